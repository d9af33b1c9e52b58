import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Aedes } from 'aedes'
import type { AedesOptions, Client, PublishPacket } from 'aedes'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { upstreamConfigOf } from '../../src/config/upstream-config.ts'
import { upstreamVariables } from '../../src/config/upstream-variables.ts'
import { readVariables } from '../../src/config/variable.ts'
import type { Message } from '../../src/message.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { openUpstream } from '../../src/upstream/open-upstream.ts'
import type { UpstreamDependencies } from '../../src/upstream/upstream.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'

/** A broker of MQTT 3.1.1 that is no part of Sluice. */
export interface TestBroker {
  readonly aedes: Aedes
  readonly port: number
  /** Resolves when the message is stored for sessions. */
  publish(
    topic: string,
    payload: string,
    options?: { qos?: 0 | 1 | 2; retain?: boolean },
  ): Promise<void>
  /** Ends all connections and listens no more; sessions stay. */
  down(): Promise<void>
  /** Listens again on the same port. */
  up(): Promise<void>
  /** Ends all connections. */
  cut(): void
  /** What clients acknowledged, in order. */
  readonly acknowledged: string[]
}

export async function startBroker(options: AedesOptions = {}): Promise<TestBroker> {
  const aedes = await Aedes.createBroker({ heartbeatInterval: 60_000, ...options })
  const sockets = new Set<Socket>()
  const acknowledged: string[] = []
  aedes.on('ack', (packet, _client: Client) => {
    // There is none for a retained message.
    const stored = packet as PublishPacket | undefined
    acknowledged.push(stored === undefined ? 'retained' : String(stored.payload))
  })
  const make = () =>
    createServer((socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
      aedes.handle(socket)
    })
  const listen = async (port: number): Promise<Server> => {
    const made = make().listen(port, '127.0.0.1')
    await once(made, 'listening')
    return made
  }
  let server = await listen(0)
  const { port } = server.address() as AddressInfo
  const cut = () => sockets.forEach((socket) => socket.destroy())
  const down = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    cut()
    await closed
  }
  onTestFinished(async () => {
    cut()
    server.close()
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  })
  return {
    aedes,
    port,
    acknowledged,
    cut,
    down,
    async up() {
      server = await listen(port)
    },
    publish: (topic, payload, { qos = 1, retain = false } = {}) =>
      new Promise((resolve, reject) => {
        const packet = {
          cmd: 'publish',
          topic,
          payload: Buffer.from(payload),
          qos,
          retain,
        } as const
        aedes.publish({ ...packet, dup: false }, (error) => (error ? reject(error) : resolve()))
      }),
  }
}

/** An `ingest` that a test settles, message by message. */
export function createHeldIngest() {
  const taken: { readonly message: Message; resolve(): void; reject(thrown: Error): void }[] = []
  let wake: (() => void) | undefined
  const untilTaken = async (count: number): Promise<void> => {
    while (taken.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  return {
    taken,
    untilTaken,
    payloads: () => taken.map(({ message }) => message.payload.toString()),
    ingest: (message: Message) =>
      new Promise<void>((resolve, reject) => {
        taken.push({ message, resolve, reject })
        wake?.()
      }),
  }
}

type Environment = Readonly<Record<string, string>>

export interface TestUpstreamOptions extends Partial<
  Pick<UpstreamDependencies, 'ingest' | 'distribute' | 'isConnectedHere'>
> {
  readonly port: number
  readonly environment?: Environment
  readonly clock?: Clock
  /** The data folder of an earlier process. */
  readonly directory?: string
  readonly protocol?: string
}

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sluice-upstream-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Reads the broker at the port, on a clock that the test moves. */
export async function startUpstream(options: TestUpstreamOptions) {
  const directory = options.directory ?? (await temporaryDirectory())
  const clock = options.clock ?? createManualClock()
  const config = upstreamConfigOf(
    readVariables(upstreamVariables, {
      SLUICE_UPSTREAM_URL: `${options.protocol ?? 'mqtt'}://127.0.0.1:${options.port}`,
      SLUICE_UPSTREAM_MQTT_VERSION: '3.1.1',
      ...options.environment,
    }),
  )
  if (config === undefined) throw new Error('no broker')
  const metrics = createMetrics()
  const lines: Record<string, unknown>[] = []
  const waiting = new Set<() => void>()
  const ingested: Message[] = []
  const distributed: string[] = []
  const changed = () => waiting.forEach((look) => look())
  const {
    ingest = () => Promise.resolve(),
    distribute = async (_message: Message, kept: () => void) => kept(),
    isConnectedHere = () => false,
  } = options
  const upstream = await openUpstream(
    {
      directory,
      clock,
      metrics,
      isConnectedHere,
      random: () => 0,
      logger: createMemoryLogger((line) => {
        lines.push(line)
        changed()
      }),
      ingest(message, sender) {
        ingested.push(message)
        const taken = ingest(message, sender)
        changed()
        return taken
      },
      async distribute(message, kept) {
        distributed.push(message.topic)
        await distribute(message, kept)
      },
    },
    { config, limits: { topicBytesMax: 256, topicSlashesMax: 7, payloadBytesMax: 1_000 } },
  )
  upstream.start()
  /** Resolves when the condition holds, which is looked at with each message and each line. */
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        const look = () => {
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        setImmediate(look)
      })
    }
  }
  const close = () => {
    const closed = upstream.close({ drainMs: 1_000 })
    // A broker of a test may never answer.
    if ('advance' in clock) setTimeout(() => (clock as ManualClock).advance(5_000), 100).unref()
    return closed
  }
  onTestFinished(close)
  return {
    upstream,
    directory,
    clock: clock as ManualClock,
    ingested,
    distributed,
    lines,
    until,
    close,
    isReading: () => !upstream.troubles().includes('upstreamDisconnected'),
    payloads: () => ingested.map(({ payload }) => payload.toString()),
    warnings: () => lines.filter(({ level }) => level !== 'info').map(({ msg }) => String(msg)),
    async metric(
      name:
        'upstreamConnected' | 'upstreamMessages' | 'upstreamReconnects' | 'upstreamUnacknowledged',
    ): Promise<Record<string, number>> {
      const { values } = await metrics[name].get()
      return Object.fromEntries(
        values.map(({ labels, value }) => [Object.values(labels)[0] ?? '', value]),
      )
    },
  }
}
