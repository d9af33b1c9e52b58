import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { LimitedLog } from '../telemetry/limited-log.ts'
import type { TlsMaterial } from '../identity/certificates/tls-files.ts'
import type { Message, MessageSender } from '../message.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { openAccess } from '../identity/policies/access.ts'
import type { Access } from '../identity/policies/access.ts'
import { createAcceptance } from './entrances/acceptance.ts'
import type { AcceptanceDependencies } from './entrances/acceptance.ts'
import { createBroker } from './broker/broker.ts'
import { createConnections } from './broker/connections.ts'
import type { Connections } from './broker/connections.ts'
import { createPorts } from './entrances/ports.ts'
import type { Ports } from './entrances/ports.ts'
import { createHeldBytes } from './gate/held-bytes.ts'
import { createPersistence } from './kept/persistence.ts'
import { createPublishing, distributeMessage, watchReceivers } from './broker/publishing.ts'
import type { Distribute, Publishing } from './broker/publishing.ts'
import { deliverRetained } from './broker/retained-delivery.ts'
import { createRetainedMessages } from './kept/retained-messages.ts'
import type { RetainedMessage, RetainedMessages } from './kept/retained-messages.ts'
import { awsTopicLimits } from '../topics/topic-filter.ts'
import { createSessions } from './kept/sessions.ts'
import type { Sessions } from './kept/sessions.ts'
import { createSubscriberQueues } from './kept/subscriber-queues.ts'
import { findTopicTextFault, parseBasicIngest } from '../topics/topic.ts'
import type { WebSocketGuard } from './entrances/web-socket.ts'

/** Stage 1: messages come in, over MQTT through the embedded broker or through `publish`. */
export interface Ingress {
  /**
   * Starts to accept MQTT connections.
   *
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: Address): Promise<{ port: number }>
  /**
   * The same over TLS. With the CAs of clients a client is asked for a certificate: who has one is
   * known by it, and one that cannot be verified ends the connection.
   *
   * @throws SluiceError PortUnavailable
   */
  listenTls(address: Address, material: TlsMaterial): Promise<{ port: number }>
  /** What TLS shows and trusts from now on. Connections that stand are kept. */
  readonly useTls: (material: TlsMaterial) => void
  /** For the HTTP server: takes over a request for MQTT over WebSocket, and answers it. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /**
   * Takes a message as if a client had published it: ingests it, then distributes it to the
   * subscribers. A topic `$aws/rules/<rule>/<topic>` is Basic Ingest here too.
   *
   * @throws SluiceError InvalidRequestException for the topic, PayloadTooLarge,
   *   ServiceUnavailableException after `close`; or what `ingest` rejects with
   */
  publish(message: Message): Promise<void>
  /**
   * Hands a message to the subscribers alone: no rule sees it. With `retain` it is kept as the last
   * of its topic. After `close` nobody gets it.
   *
   * @throws SluiceError InvalidRequestException for the topic, PayloadTooLarge
   */
  distribute(message: Message): Promise<void>
  /** The last message of the topic that was published with the retain flag. */
  retained(topic: string): RetainedMessage | undefined
  /** A page of them, in the order of their topics: at most `max`, of those after `after`. */
  listRetained(page: {
    readonly after?: string | undefined
    readonly max: number
  }): readonly RetainedMessage[]
  /**
   * Ends the connection of a client.
   *
   * @returns whether it was connected
   */
  disconnect(clientId: string, options?: DisconnectOptions): Promise<boolean>
  /**
   * Stops accepting, gives PUBLISHes that wait for their answer `drainMs` to get it, then
   * disconnects everyone. Wills are published, as of any connection that the broker ends; they get
   * the rest of that time.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>
}

interface Address {
  readonly host: string
  readonly port: number
}

interface DisconnectOptions {
  /** Forgets its session, also where it is not connected. */
  readonly cleanSession?: boolean | undefined
  readonly preventWillMessage?: boolean | undefined
}

export interface IngressDependencies {
  /**
   * Called synchronously, in the order of arrival. Resolves once all that the message gives rise
   * to is durable; a rejection means no acknowledgement, and the client sends it again. With a
   * `sender` somebody waits for an answer: once it is closed, what has not begun may be dropped, by
   * a SluiceError SenderGone.
   */
  readonly ingest: (message: Message, sender?: MessageSender) => Promise<void>
  /** Who may connect, and what he may do. Absent: everyone may do everything. */
  readonly access?: Access | undefined
  /** Who may open a WebSocket. Absent: nobody. */
  readonly webSocketGuard?: WebSocketGuard | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}

const ingressDefaults = Object.freeze({
  /** Bytes of a payload; AWS IoT takes 128 KiB. */
  payloadBytesMax: 128 * 1024,
  /** UTF-8 bytes and slashes of a topic, a Basic Ingest prefix apart; AWS IoT takes as many. */
  ...awsTopicLimits,
  /** Filters of one SUBSCRIBE; AWS IoT takes 8. */
  filtersPerSubscribeMax: 8,
  /** UTF-8 bytes of a client id; AWS IoT takes 128. */
  clientIdBytesMax: 128,
  /** PUBLISHes of one client in a second; beyond it the client has to wait. 0 is no limit. */
  publishRate: 0,
  /** Connections at a time, whichever way they come in. */
  connectionsMax: 10_000,
  /** Of one address, and new ones of it in a second; 0 is no limit. Loopback has none. */
  connectionsPerAddressMax: 1_000,
  connectRate: 100,
  /** PUBLISHes of one client that are handled at a time; the rest waits in its TCP connection. */
  unfinishedMax: 64,
  /** Bytes of one client that are read though they have to wait, to find its PINGREQs. */
  readAheadBytesMax: 64 * 1024,
  /** Bytes of messages that all clients hold together; then publishers are not read from. */
  heldBytesMax: 256 * 1024 * 1024,
  /** Messages that are handed to subscribers at a time. */
  distributionsMax: 100,
  /** Filters that one client may be subscribed to; AWS IoT takes 50. */
  subscriptionsMax: 100,
  /** Sessions of absent clients (clean session 0); beyond it the longest absent is forgotten. */
  sessionsMax: 10_000,
  /** How long a session waits for its client; AWS IoT's default too. */
  sessionExpiryMs: 3_600_000,
  /** Messages that are kept for the subscriber of one session, and bytes for those of all. */
  queuedMax: 1_000,
  queuedBytesMax: 64 * 1024 * 1024,
  /** Retained messages, and their bytes together. */
  retainedMax: 10_000,
  retainedBytesMax: 64 * 1024 * 1024,
  /** For the CONNECT to arrive, the handshake of TLS before it included. */
  connectTimeoutMs: 10_000,
  /** For a subscriber to take what is written to it; it would hold up its publishers longer. */
  drainTimeoutMs: 5_000,
  /** For the last bytes of a connection to leave. */
  closeTimeoutMs: 2_000,
  /** For unanswered PUBLISHes to get their answer when the ingress closes. */
  drainMs: 5_000,
})
export type IngressOptions = Readonly<Record<keyof typeof ingressDefaults, number>>

export async function createIngress(
  dependencies: IngressDependencies,
  overrides: Partial<IngressOptions> = {},
): Promise<Ingress> {
  const options = { ...ingressDefaults, ...overrides }
  const stage = await createStage(dependencies, options)
  const { broker, publishing, ports, retained } = stage
  let closing: Promise<void> | undefined

  return {
    listen: (address) => ports.listen(address),
    listenTls: (address, material) => ports.listenTls(address, material),
    useTls: ports.useTls,
    upgrade: ports.upgrade,
    async publish(message) {
      if (closing !== undefined) {
        throw new SluiceError('ServiceUnavailableException', 'The broker is stopping.')
      }
      await publishing.publish(checkMessage(message, options))
    },
    async distribute(message) {
      const { topic } = message
      // Rules may publish to topics that are the broker's own for devices.
      const checked = topic.startsWith('$') ? topic.slice(1) : topic
      checkMessage({ ...message, topic: checked }, options)
      if (broker.closed) return
      await distributeMessage(publishing.distribute, message)
    },
    retained: (topic) => retained.get(topic),
    listRetained: (page) => retained.list(page),
    disconnect: (clientId, disconnectOptions = {}) =>
      disconnect(stage, clientId, disconnectOptions),
    close: ({ drainMs = options.drainMs } = {}) => (closing ??= close(stage, drainMs)),
  }
}

/** The parts, each given what it is to call. */
interface Stage extends AcceptanceDependencies {
  readonly retained: RetainedMessages
  readonly sessions: Sessions
  readonly ports: Ports
  readonly publishing: Publishing
}

async function createStage(
  dependencies: IngressDependencies,
  options: IngressOptions,
): Promise<Stage> {
  const { metrics, clock, access = openAccess } = dependencies
  const logger = dependencies.logger.child({ stage: 'ingress' })
  const log = createLimitedLog({ logger, clock }, { linesMax: 10, intervalMs: 60_000 })
  const connections = createConnections()
  const connectionOf = connections.of
  const memory = createMemory({ clock, metrics, log, connections }, options)
  const broker = createBroker(
    { access, logger, log, metrics, ...memory, connectionOf, connected: connections.name },
    options,
  )
  await broker.listen()
  deliverRetained(broker, { ...memory, notKept: () => memory.notKept('retained_full', 1) })
  const publishing = createPublishing({
    clock,
    metrics,
    log,
    connectionOf,
    ingest: dependencies.ingest,
    finished: connections.finished,
    distribute: broker.publish.bind(broker) as Distribute,
    receivers: watchReceivers(broker, memory.storedFilters),
  })
  broker.authorizePublish = publishing.authorize
  broker.publish = publishing.distribute
  const heldBytes = createHeldBytes(options.heldBytesMax)
  metrics.mqttHeldBytes.readFrom(() => heldBytes.total)
  const context = { broker, connections, heldBytes, clock, metrics, logger, log }
  const ports = createPorts(
    { ...context, accept: createAcceptance(context, options), guard: dependencies.webSocketGuard },
    options,
  )
  return { ...context, ...memory, ports, publishing }
}

/** What the broker remembers beyond a connection, each part with its bound. */
function createMemory(
  dependencies: Pick<IngressDependencies, 'clock' | 'metrics'> & {
    readonly log: LimitedLog
    readonly connections: Connections
  },
  options: IngressOptions,
) {
  const { clock, metrics, log, connections } = dependencies
  const retained = createRetainedMessages(clock, options)
  const queues = createSubscriberQueues(options)
  const sessions: Sessions = createSessions(
    { clock, ended: (clientId) => persistence.forget(clientId) },
    options,
  )
  function notKept(reason: 'retained_full' | 'queue_full', count: number): void {
    metrics.messagesNotKept.inc({ reason }, count)
    log.warn(reason, { reason }, 'a message was not kept for an absent or later subscriber')
  }
  const persistence = createPersistence({
    queues,
    hasSession: (clientId) => sessions.has(clientId),
    keepsFilter(client, filter) {
      const connection = connections.of(client)
      return connection?.session?.isOver === false && connection.filters.has(filter)
    },
    receivedOf: (client) => connections.of(client)?.received,
    mayReceive: (clientId, topic) =>
      connections.byId(clientId)?.connection.permissions?.mayReceive(topic) ?? true,
    notKept: (count) => notKept('queue_full', count),
  })
  metrics.mqttAbsentSessions.readFrom(() => sessions.absentCount)
  metrics.mqttQueuedBytes.readFrom(() => queues.bytes)
  metrics.retainedMessages.readFrom(() => retained.count)
  const { store, forgetSubscription, storedFilters } = persistence
  const ofAedes = { persistence: store, forgetSubscription, storedFilters }
  return { ...ofAedes, retained, sessions, notKept }
}

async function disconnect(
  { connections, sessions }: Stage,
  clientId: string,
  { cleanSession = false, preventWillMessage = false }: DisconnectOptions,
): Promise<boolean> {
  // First: a connection that comes meanwhile is told that the session is gone.
  if (cleanSession) sessions.discard(clientId)
  const named = connections.byId(clientId)
  if (named !== undefined) {
    named.connection.isWillPrevented = preventWillMessage
    await new Promise<void>((resolve) => named.client.close(resolve))
  }
  return named !== undefined
}

async function close(stage: Stage, drainMs: number): Promise<void> {
  const { broker, clock, connections, publishing } = stage
  const closed = stage.ports.close()
  connections.forEach(({ gate }) => gate.hold())
  const timeUp = new AbortController()
  const cancel = clock.after(drainMs, () => timeUp.abort())
  const isAnswered = () => connections.every(({ gate }) => gate.unfinished === 0)
  await connections.waitUntil(() => isAnswered() && publishing.underway === 0, timeUp.signal)
  await new Promise<void>((resolve) => broker.close(resolve))
  // The clients are gone; what may be under way now are their wills.
  await connections.waitUntil(() => publishing.underway === 0, timeUp.signal)
  cancel()
  stage.sessions.stop()
  // Those that Aedes does not know, or not any more.
  connections.forEach(({ gate }) => gate.stream.destroy())
  await closed
}

function checkMessage(message: Message, options: IngressOptions): Message {
  const { payloadBytesMax } = options
  const fault = findTopicTextFault(message.topic, options)
  if (fault !== undefined) throw new SluiceError('InvalidRequestException', fault.detail)
  if (message.payload.length > payloadBytesMax) {
    throw new SluiceError('PayloadTooLarge', `The payload is over ${payloadBytesMax} bytes.`)
  }
  const basicIngest = parseBasicIngest(message.topic)
  if (basicIngest === undefined) return message
  return { ...message, topic: basicIngest.topic, basicIngestRule: basicIngest.rule }
}
