import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import mqttPacket from 'mqtt-packet'
import type {
  IConnackPacket,
  IConnectPacket,
  IPublishPacket,
  ISubscription,
  Packet,
} from 'mqtt-packet'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { createIngress } from '../../../src/ingress/ingress.ts'
import type { Ingress, IngressDependencies, IngressOptions } from '../../../src/ingress/ingress.ts'
import { openKeptStore } from '../../../src/ingress/kept/kept-store.ts'
import type { KeptStore } from '../../../src/ingress/kept/kept-store.ts'
import { createQuarantine } from '../../../src/storage/quarantine.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-kept-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface KeptBroker {
  readonly ingress: Ingress
  readonly lines: Record<string, unknown>[]
  readonly open: (options?: ClientOptions) => Promise<KeptClient>
  /** Stops it gracefully. */
  readonly stop: () => Promise<void>
  /** @returns a folder with what is on disk at this moment, as a kill would leave it */
  readonly killed: () => Promise<string>
}

interface BrokerOptions extends Partial<IngressOptions> {
  /** Default: the system's. */
  readonly clock?: ManualClock
  readonly ingest?: IngressDependencies['ingest']
  /** In place of the one in the folder. */
  readonly store?: KeptStore
}

/** A broker whose memory is filled from the folder. */
export async function startKept(folder: string, options: BrokerOptions = {}): Promise<KeptBroker> {
  const clock: Clock = options.clock ?? systemClock
  const { ingest = () => Promise.resolve(), store, clock: manual, ...limits } = options
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const quarantine = createQuarantine(folder, clock, 'kept')
  const environment = path.join(folder, 'kept')
  const kept = store ?? (await openKeptStore({ clock, logger, quarantine }, environment))
  const ingress = await createIngress(
    { ingest, logger, metrics: createMetrics(), clock, kept },
    { drainMs: 0, closeTimeoutMs: 200, ...limits },
  )
  const { port } = await ingress.listen({ host: '127.0.0.1', port: 0 })
  const stop = async () => {
    const closed = ingress.close()
    manual?.advance(1_000)
    await closed
    await kept.close()
  }
  let stopped: Promise<void> | undefined
  onTestFinished(() => (stopped ??= stop()))
  return {
    ingress,
    lines,
    open: (given = {}) => openClient(port, given),
    stop: () => (stopped ??= stop()),
    async killed() {
      const copy = await newFolder()
      await mkdir(path.join(copy, 'kept'))
      await cp(path.join(environment, 'data.mdb'), path.join(copy, 'kept', 'data.mdb'))
      return copy
    },
  }
}

const nothing = (): void => {}

interface ClientOptions extends Partial<IConnectPacket> {
  readonly version?: 4 | 5
  readonly expirySeconds?: number
}

/** A client that sends what it is told, and acknowledges nothing by itself. */
export interface KeptClient {
  readonly isPresent: boolean
  send(packet: Packet): void
  /** The next packet of this kind; others before it wait. */
  next<Kind extends Packet['cmd']>(kind: Kind): Promise<Extract<Packet, { cmd: Kind }>>
  /** To `kept/#` at QoS 1 unless they say something else. Resolves with the answer. */
  subscribe(...subscriptions: readonly Partial<ISubscription>[]): Promise<Packet>
  /** Resolves when the message is acknowledged; rejects when the connection ends before. */
  publish(topic: string, payload: string, options?: Partial<IPublishPacket>): Promise<Packet>
  /** The payloads of the next messages, each acknowledged. */
  take(count: number): Promise<readonly string[]>
  close(): Promise<void>
  /** The same with RST. */
  reset(): Promise<void>
}

async function openClient(port: number, options: ClientOptions): Promise<KeptClient> {
  const { version = 4, expirySeconds, ...connect } = options
  const socket = connectSocket(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  const parser = mqttPacket.parser({ protocolVersion: version })
  const packets: Packet[] = []
  let arrived = nothing
  parser.on('packet', (packet) => {
    packets.push(packet)
    arrived()
  })
  socket.on('data', (chunk) => parser.parse(chunk))
  const closed = once(socket, 'close')
  void closed.then(() => arrived())
  let packetId = 0

  const send = (packet: Packet) =>
    void socket.write(mqttPacket.generate(packet, { protocolVersion: version }))
  async function next<Kind extends Packet['cmd']>(
    kind: Kind,
  ): Promise<Extract<Packet, { cmd: Kind }>> {
    for (;;) {
      const at = packets.findIndex(({ cmd }) => cmd === kind)
      const [packet] = at === -1 ? [] : packets.splice(at, 1)
      if (packet !== undefined) return packet as Extract<Packet, { cmd: Kind }>
      if (socket.destroyed) throw new Error(`the connection closed before ${kind}`)
      await new Promise<void>((resolve) => (arrived = resolve))
    }
  }

  send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId: 'session',
    clean: false,
    keepalive: 0,
    ...(version === 5 && { properties: { sessionExpiryInterval: expirySeconds ?? 600 } }),
    ...connect,
  })
  const connack: IConnackPacket = await next('connack')
  return {
    isPresent: connack.sessionPresent,
    send,
    next,
    async subscribe(...subscriptions) {
      const asked = (subscriptions.length > 0 ? subscriptions : [{}]).map((each) => ({
        topic: 'kept/#',
        qos: 1 as const,
        ...each,
      }))
      send({ cmd: 'subscribe', messageId: ++packetId, subscriptions: asked })
      return next('suback')
    },
    async publish(topic, payload, given = {}) {
      const message = { qos: 1 as const, retain: false, dup: false, ...given }
      send({ cmd: 'publish', topic, payload, messageId: ++packetId, ...message })
      return next(message.qos === 2 ? 'pubrec' : 'puback')
    },
    async take(count) {
      const payloads: string[] = []
      while (payloads.length < count) {
        const { payload, messageId, qos } = await next('publish')
        payloads.push(payload.toString())
        if (qos === 1) send({ cmd: 'puback', messageId: messageId ?? 0 })
      }
      return payloads
    },
    async close() {
      socket.destroy()
      await closed
    },
    async reset() {
      socket.resetAndDestroy()
      await closed
    },
  }
}
