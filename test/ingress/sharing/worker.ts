import { connect as connectSocket } from 'node:net'
import { once } from 'node:events'
import mqttPacket from 'mqtt-packet'
import type { IConnectPacket, IPublishPacket, ISubscription, Packet } from 'mqtt-packet'
import { atTheEnd, until } from '../helpers.ts'

/** A client of either version of MQTT that acknowledges what the test tells it to. */
export interface Worker {
  readonly clientId: string
  readonly isPresent: boolean
  /** The PUBLISHes that came, in order. */
  readonly received: readonly IPublishPacket[]
  readonly payloads: () => readonly string[]
  /** All other packets. */
  readonly others: readonly Packet[]
  readonly isClosed: () => boolean
  /** @returns the code of SUBACK */
  subscribe(filter: string, options?: Partial<ISubscription>): Promise<number>
  unsubscribe(filter: string): Promise<void>
  /** Resolves when the broker has taken it: the ping behind it is answered. */
  acknowledge(packet: IPublishPacket, code?: number): Promise<void>
  send(packet: Packet): void
  /** Resolves when the broker has taken everything before. */
  ping(): Promise<void>
  /** Resolves when as many PUBLISHes have come in all. */
  has(count: number): Promise<void>
  /** DISCONNECT. */
  leave(): Promise<void>
  /** Ends the connection without a word. */
  kill(): void
}

export interface WorkerOptions {
  readonly version?: 4 | 5
  readonly clean?: boolean
  readonly properties?: IConnectPacket['properties']
}

export async function openWorker(
  port: number,
  clientId: string,
  { version = 4, clean = true, properties }: WorkerOptions = {},
): Promise<Worker> {
  const socket = connectSocket(port, '127.0.0.1')
  socket.on('error', () => {})
  atTheEnd(() => void socket.destroy())
  const parser = mqttPacket.parser({ protocolVersion: version })
  const received: IPublishPacket[] = []
  const others: Packet[] = []
  let isClosed = false
  parser.on('packet', (packet) => {
    if (packet.cmd === 'publish') received.push(packet)
    else others.push(packet)
  })
  socket.on('data', (chunk: Buffer) => parser.parse(chunk))
  socket.on('close', () => void (isClosed = true))
  await once(socket, 'connect')
  const send = (packet: Packet) =>
    void socket.write(mqttPacket.generate(packet, { protocolVersion: version }))
  let answers = 0
  const answer = async () => {
    await until(() => others.length > answers || isClosed)
    const packet = others[answers++]
    if (packet === undefined) throw new Error(`${clientId}: the connection closed`)
    return packet
  }
  send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId,
    clean,
    keepalive: 60,
    ...(properties && { properties }),
  })
  const connack = await answer()
  if (connack.cmd !== 'connack') throw new Error(`unexpected ${connack.cmd}`)
  if ((connack.returnCode ?? connack.reasonCode) !== 0) throw new Error('refused')
  const ping = async () => {
    send({ cmd: 'pingreq' })
    while ((await answer()).cmd !== 'pingresp');
  }
  return {
    clientId,
    isPresent: connack.sessionPresent,
    received,
    payloads: () => received.map(({ payload }) => payload.toString()),
    others,
    isClosed: () => isClosed,
    async subscribe(filter, options = {}) {
      const subscriptions = [{ topic: filter, qos: 1 as const, ...options }]
      send({ cmd: 'subscribe', messageId: 1, subscriptions })
      const suback = await answer()
      if (suback.cmd !== 'suback') throw new Error(`unexpected ${suback.cmd}`)
      return Number(suback.granted[0])
    },
    async unsubscribe(filter) {
      send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] })
      const unsuback = await answer()
      if (unsuback.cmd !== 'unsuback') throw new Error(`unexpected ${unsuback.cmd}`)
    },
    async acknowledge({ qos, messageId = 0 }, code = 0) {
      const reason = code === 0 ? {} : { reasonCode: code }
      send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId, ...reason })
      await ping()
    },
    send,
    ping,
    has: (count) =>
      until(() => {
        if (received.length < count && isClosed) throw new Error(`${clientId}: closed`)
        return received.length >= count
      }),
    async leave() {
      send({ cmd: 'disconnect' })
      await until(() => isClosed)
    },
    kill: () => void socket.resetAndDestroy(),
  }
}
