import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Aedes } from 'aedes'
import mqttPacket from 'mqtt-packet'
import type { FloorKind } from './messages.ts'

/**
 * What an acknowledgement costs at the least, as a process of its own: the bare broker, the bare
 * parser, and a server that looks for nothing but the ends of frames, which is the load
 * generator's own limit.
 */
const kind = process.argv[2] as FloorKind

const acceptors: Record<FloorKind, () => Promise<(socket: Socket) => void>> = {
  async aedes() {
    const broker = await Aedes.createBroker()
    return (socket) => void broker.handle(socket)
  },
  'mqtt-packet': async () => answerByParser,
  bytes: async () => answerByBytes,
}

const connack = Buffer.from([0x20, 2, 0, 0])

function answerByParser(socket: Socket): void {
  const parser = mqttPacket.parser()
  parser.on('packet', (packet) => {
    if (packet.cmd === 'connect') socket.write(connack)
    if (packet.cmd === 'publish' && packet.qos === 1) {
      mqttPacket.writeToStream({ cmd: 'puback', messageId: packet.messageId ?? 0 }, socket)
    }
    if (packet.cmd === 'disconnect') socket.end()
  })
  socket.on('data', (chunk: Buffer) => parser.parse(chunk))
}

function answerByBytes(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const answers: Buffer[] = []
    let offset = 0
    for (;;) {
      const end = frameEnd(bytes, offset)
      if (end === undefined) break
      const type = (bytes[offset] ?? 0) >> 4
      if (type === 1) answers.push(connack)
      if (type === 14) socket.end()
      if (bytes[offset] === 0x32) {
        const topicAt = offset + (end - offset > 129 ? 3 : 2)
        const idAt = topicAt + 2 + bytes.readUInt16BE(topicAt)
        answers.push(Buffer.from([0x40, 2, bytes[idAt] ?? 0, bytes[idAt + 1] ?? 0]))
      }
      offset = end
    }
    rest = bytes.subarray(offset)
    if (answers.length > 0) socket.write(Buffer.concat(answers))
  })
}

/** Of frames of at most two bytes of length; undefined while it is not whole. */
function frameEnd(bytes: Buffer, offset: number): number | undefined {
  const [first, second] = [bytes[offset + 1], bytes[offset + 2]]
  if (first === undefined || (first >= 128 && second === undefined)) return undefined
  const end = first < 128 ? offset + 2 + first : offset + 3 + (first & 127) + (second ?? 0) * 128
  return end <= bytes.length ? end : undefined
}

const accept = await acceptors[kind]()
const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  accept(socket)
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit(0))
