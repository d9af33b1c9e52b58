import { connect as connectSocket } from 'node:net'
import { once } from 'node:events'
import { atTheEnd, remainingLength } from '../helpers.ts'

/** Packets of MQTT 5 as bytes, and a client that sends and receives them as they are. */
export const hex = (bytes: Buffer): string => bytes.toString('hex').replaceAll(/(..)(?=.)/g, '$1 ')

export const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

export const text = (value: string): Buffer => {
  const encoded = Buffer.from(value)
  return Buffer.concat([two(encoded.length), encoded])
}

export const two = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])

export const four = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

export function packet(firstByte: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([firstByte]), remainingLength(body.length), body])
}

/** A property block with its length. */
export function block(...properties: readonly Buffer[]): Buffer {
  const content = Buffer.concat(properties)
  return Buffer.concat([remainingLength(content.length), content])
}

export const property = (identifier: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([identifier]), value])

export const userProperty = (key: string, value: string): Buffer =>
  property(38, Buffer.concat([text(key), text(value)]))

interface Connect {
  readonly clientId?: string
  readonly flags?: number
  readonly keepAlive?: number
  readonly properties?: readonly Buffer[]
  /** What follows the client id. */
  readonly rest?: Buffer
  readonly level?: number
}

export function connect5(options: Connect = {}): Buffer {
  const { clientId = 'raw5', flags = 2, keepAlive = 60, properties = [], rest, level = 5 } = options
  return packet(
    0x10,
    text('MQTT'),
    Buffer.from([level, flags]),
    two(keepAlive),
    block(...properties),
    text(clientId),
    rest ?? Buffer.alloc(0),
  )
}

interface Publish {
  readonly qos?: 0 | 1 | 2 | 3
  readonly retain?: boolean
  readonly dup?: boolean
  readonly packetId?: number
  readonly properties?: readonly Buffer[]
  readonly payload?: string | Buffer
}

export function publish5(topic: string, options: Publish = {}): Buffer {
  const { qos = 1, retain = false, dup = false, packetId = 1, properties = [] } = options
  const flags = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  return packet(
    flags,
    text(topic),
    qos === 0 ? Buffer.alloc(0) : two(packetId),
    block(...properties),
    Buffer.from(options.payload ?? 'x'),
  )
}

export function subscribe5(
  filters: Readonly<Record<string, number>>,
  { packetId = 1, properties = [] as readonly Buffer[] } = {},
): Buffer {
  const entries = Object.entries(filters).map(([filter, options]) =>
    Buffer.concat([text(filter), Buffer.from([options])]),
  )
  return packet(0x82, two(packetId), block(...properties), ...entries)
}

export const unsubscribe5 = (filters: readonly string[], packetId = 1): Buffer =>
  packet(0xa2, two(packetId), block(), ...filters.map(text))

export const puback = (packetId: number): Buffer => packet(0x40, two(packetId))

export const disconnect5 = (code: number, ...properties: readonly Buffer[]): Buffer =>
  packet(0xe0, Buffer.from([code]), block(...properties))

export interface RawMqtt5 {
  send(...parts: readonly Buffer[]): void
  /** The next whole packet; rejects when the connection ends before. */
  next(): Promise<Buffer>
  /** The packets that come before the server closes the connection. */
  rest(): Promise<readonly Buffer[]>
  readonly waiting: readonly Buffer[]
  readonly isClosed: boolean
  end(): void
  destroy(): void
}

export async function openMqtt5(port: number): Promise<RawMqtt5> {
  const socket = connectSocket(port, '127.0.0.1')
  socket.on('error', () => {})
  const waiting: Buffer[] = []
  let takers: (() => void)[] = []
  let partial = Buffer.alloc(0)
  let isClosed = false
  const changed = () => {
    const woken = takers
    takers = []
    for (const take of woken) take()
  }
  socket.on('data', (chunk: Buffer) => {
    partial = Buffer.concat([partial, chunk])
    for (let frame = firstFrame(partial); frame; frame = firstFrame(partial)) {
      waiting.push(frame)
      partial = partial.subarray(frame.length)
    }
    changed()
  })
  socket.on('close', () => {
    isClosed = true
    changed()
  })
  await once(socket, 'connect')
  atTheEnd(() => void socket.destroy())
  const whenChanged = () => new Promise<void>((resolve) => takers.push(resolve))
  return {
    send: (...parts) => void socket.write(Buffer.concat(parts)),
    async next() {
      for (;;) {
        const frame = waiting.shift()
        if (frame !== undefined) return frame
        if (isClosed) throw new Error('the connection closed')
        await whenChanged()
      }
    },
    async rest() {
      for (;;) {
        if (isClosed) return waiting.splice(0)
        await whenChanged()
      }
    },
    waiting,
    get isClosed() {
      return isClosed
    },
    end: () => void socket.end(),
    destroy: () => socket.resetAndDestroy(),
  }
}

function firstFrame(buffer: Buffer): Buffer | undefined {
  let length = 0
  for (let index = 1; index <= 4; index++) {
    const byte = buffer[index]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 2 ** (7 * (index - 1))
    if (byte >= 0x80) continue
    const end = index + 1 + length
    return end <= buffer.length ? buffer.subarray(0, end) : undefined
  }
  return undefined
}

/** The same with the handshake done. */
export async function connectMqtt5(port: number, options: Connect = {}): Promise<RawMqtt5> {
  const client = await openMqtt5(port)
  client.send(connect5(options))
  const connack = await client.next()
  if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error(`refused: ${hex(connack)}`)
  return client
}

/** The reason code of a packet that the broker sends last: CONNACK or DISCONNECT. */
export function codeOf(frame: Buffer | undefined): string {
  if (frame === undefined) return 'nothing'
  const name = frame[0] === 0x20 ? 'CONNACK' : frame[0] === 0xe0 ? 'DISCONNECT' : hex(frame)
  const body = frame.subarray((frame[1] ?? 0) < 0x80 ? 2 : 3)
  const code = frame[0] === 0x20 ? body[1] : body[0]
  return `${name} ${(code ?? 0).toString(16)}`
}
