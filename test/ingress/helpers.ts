import { connect as connectSocket } from 'node:net'
import { once } from 'node:events'
import mqttPacket from 'mqtt-packet'
import type { IConnectPacket, Packet } from 'mqtt-packet'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { Access } from '../../src/identity/policies/access.ts'
import { createIngress } from '../../src/ingress/ingress.ts'
import type { Ingress, IngressDependencies, IngressOptions } from '../../src/ingress/ingress.ts'
import type { Message } from '../../src/message.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { Metrics } from '../../src/telemetry/telemetry.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'
import { atTheEnd } from '../helpers/at-the-end.ts'
import { connectPacket, encode } from './packets.ts'

export { atTheEnd } from '../helpers/at-the-end.ts'
export { connectPacket, encode, publishPacket } from './packets.ts'

const hourMs = 3_600_000

export interface TestIngress {
  readonly ingress: Ingress
  readonly port: number
  readonly metrics: Metrics
  /** What `ingest` was called with, in order. */
  readonly messages: Message[]
  readonly lines: Record<string, unknown>[]
  readonly warnings: () => Record<string, unknown>[]
  /** The value of a counter or gauge at these labels; 0 when it was never touched. */
  readonly metric: (
    name: keyof Omit<Metrics, 'registry' | 'ruleStatistics' | 'publishToDelivered'>,
    labels?: object,
  ) => Promise<number>
}

/** A listening ingress, closed at the end of the file. */
export async function startIngress(
  ingest: IngressDependencies['ingest'] = () => Promise.resolve(),
  options: Partial<IngressOptions> = {},
  address = { host: '127.0.0.1', port: 0 },
  clock: Clock = systemClock,
  access?: Access,
  retained?: IngressDependencies['retained'],
  relay?: IngressDependencies['relay'],
): Promise<TestIngress> {
  const metrics = createMetrics()
  const messages: Message[] = []
  const lines: Record<string, unknown>[] = []
  const ingress = await createIngress(
    {
      ingest(message, sender) {
        messages.push(message)
        return ingest(message, sender)
      },
      logger: createMemoryLogger((line) => lines.push(line)),
      metrics,
      clock,
      ...(access && { access }),
      retained,
      relay,
    },
    { drainMs: 200, closeTimeoutMs: 200, ...options },
  )
  atTheEnd(() => {
    const closed = ingress.close()
    // Nobody else moves it any more.
    if ('advance' in clock) (clock as ManualClock).advance(hourMs)
    return closed
  })
  const { port } = await ingress.listen(address)
  return {
    ingress,
    port,
    metrics,
    messages,
    lines,
    warnings: () => lines.filter((line) => line['level'] === 'warn'),
    async metric(name, labels = {}) {
      const { values } = await metrics[name].get()
      const wanted = Object.entries(labels)
      const found = values.filter((value) =>
        wanted.every(([label, of]) => (value.labels as Record<string, unknown>)[label] === of),
      )
      return found.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

/** An `ingest` whose outcomes the test decides, one by one. */
export function createManualIngest() {
  const outcomes: PromiseWithResolversOf<void>[] = []
  return {
    ingest: () => {
      const outcome = withResolvers<void>()
      outcomes.push(outcome)
      return outcome.promise
    },
    outcomes,
    resolve: (index: number) => outcomes[index]?.resolve(),
    reject: (index: number) => outcomes[index]?.reject(new Error('no room')),
    resolveAll: () => outcomes.forEach(({ resolve }) => resolve()),
  }
}

interface PromiseWithResolversOf<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

function withResolvers<T>(): PromiseWithResolversOf<T> {
  let resolvers: Pick<PromiseWithResolversOf<T>, 'resolve' | 'reject'> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    resolvers = { resolve, reject }
  })
  if (resolvers === undefined) throw new Error('the executor runs at once')
  return { promise, ...resolvers }
}

/** A client of bytes: sends what it is given, and keeps what comes. */
export interface RawClient {
  send(...parts: (Packet | Buffer)[]): void
  /** The next packet that has not been taken yet; rejects when the connection ends before. */
  next(): Promise<Packet>
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>
  readonly isClosed: boolean
  /** Packets that have come and are not taken. */
  readonly waiting: readonly Packet[]
  /** Reads nothing more, and goes on. */
  pause(): void
  resume(): void
  end(): void
  destroy(): void
}

export async function openRaw(port: number): Promise<RawClient> {
  const socket = connectSocket(port, '127.0.0.1')
  socket.on('error', () => {})
  const parser = mqttPacket.parser()
  const waiting: Packet[] = []
  const takers: PromiseWithResolversOf<Packet>[] = []
  let isClosed = false
  parser.on('packet', (packet) => {
    const taker = takers.shift()
    if (taker) taker.resolve(packet)
    else waiting.push(packet)
  })
  socket.on('data', (chunk: Buffer) => parser.parse(chunk))
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      isClosed = true
      for (const taker of takers) taker.reject(new Error('the connection closed'))
      resolve()
    })
  })
  await once(socket, 'connect')
  atTheEnd(() => void socket.destroy())
  return {
    send: (...parts) =>
      void socket.write(
        Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : encode(part)))),
      ),
    next() {
      const packet = waiting.shift()
      if (packet) return Promise.resolve(packet)
      if (isClosed) return Promise.reject(new Error('the connection closed'))
      const taker = withResolvers<Packet>()
      takers.push(taker)
      return taker.promise
    },
    closed,
    get isClosed() {
      return isClosed
    },
    waiting,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => socket.end(),
    destroy: () => socket.resetAndDestroy(),
  }
}

/** The same with the handshake done. */
export async function connectRaw(
  port: number,
  connect: Partial<IConnectPacket> = {},
): Promise<RawClient> {
  const client = await openRaw(port)
  client.send(connectPacket(connect))
  const connack = await client.next()
  if (connack.cmd !== 'connack' || connack.returnCode !== 0) throw new Error('not accepted')
  return client
}

/** A PUBLISH byte by byte, for what no encoder makes. */
export function rawPublish(topic: Buffer, options: { flags?: number; rest?: Buffer } = {}): Buffer {
  const { flags = 0x32, rest = Buffer.from([0, 1, 120]) } = options
  const body = Buffer.concat([Buffer.from([topic.length >> 8, topic.length & 255]), topic, rest])
  return Buffer.concat([Buffer.from([flags]), remainingLength(body.length), body])
}

export function remainingLength(length: number): Buffer {
  const bytes: number[] = []
  for (let left = length; ; left >>= 7) {
    if (left < 128) return Buffer.from([...bytes, left])
    bytes.push((left & 127) | 128)
  }
}

/** Resolves once `condition` holds; looks at it whenever the event loop turns. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

/**
 * Resolves when all that is under way on loopback has arrived: both ends are of this process, and
 * each turn of its event loop takes what the one before has sent.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}
