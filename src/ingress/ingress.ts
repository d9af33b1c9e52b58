import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import type { TrustedProxies } from '../base/trusted-proxies.ts'
import { SluiceError } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { TlsMaterial } from '../identity/certificates/tls-files.ts'
import { payloadBytesMaxDefault } from '../message.ts'
import type { Message, MessageSender } from '../message.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { openAccess } from '../identity/policies/access.ts'
import type { Access } from '../identity/policies/access.ts'
import { createAcceptance } from './entrances/acceptance.ts'
import type { AcceptanceDependencies } from './entrances/acceptance.ts'
import { createBroker } from './broker/broker.ts'
import { claimedClients, createConnections, endConnectionsOf } from './broker/connections.ts'
import { createPorts } from './entrances/ports.ts'
import type { Ports } from './entrances/ports.ts'
import { createReportedHeldBytes } from './gate/reported-held-bytes.ts'
import type { KeptStore } from './kept/kept-store.ts'
import { createMemory } from './memory.ts'
import { createDelayedWills } from './broker/delayed-wills.ts'
import type { DelayedWills } from './broker/delayed-wills.ts'
import { createMqtt5Clients } from './broker/mqtt5-clients.ts'
import { createLifecycleEvents } from './broker/lifecycle-events.ts'
import { profiles } from './mqtt5/profile.ts'
import type { MqttProfile } from './mqtt5/profile.ts'
import { reasonCode } from './mqtt5/reason-codes.ts'
import { sendTo, watchReceivers } from './broker/distributing.ts'
import type { Distribute } from './broker/distributing.ts'
import { createPublishing } from './broker/publishing.ts'
import { createSharedMembers } from './broker/shared-members.ts'
import type { Publishing } from './broker/publishing.ts'
import { createManagedClients } from './broker/managed-clients.ts'
import type { ManagedClients } from './broker/managed-clients.ts'
import { createRelayedMessages } from './broker/relayed-messages.ts'
import { relayInterest } from './relay/relay.ts'
import type { ClientClaims } from './relay/client-claims.ts'
import type { Relay } from './relay/relay.ts'
import { createReportNarrowed } from './broker/narrowing.ts'
import { leaveOutParents } from './broker/leave-out-parents.ts'
import { createRetainedFilters, deliverRetained } from './broker/retained-delivery.ts'
import type { RetainedMessage, RetainedMessages } from './kept/retained-messages.ts'
import type { SharedRetained } from './kept/shared-retained.ts'
import { awsTopicLimits } from '../topics/topic-filter.ts'
import type { Sessions } from './kept/sessions.ts'
import { findRetainFault, findTopicTextFault, parseBasicIngest } from '../topics/topic.ts'
import type { WebSocketGuard } from './entrances/web-socket.ts'

/** Stage 1: messages come in, over MQTT through the embedded broker or through `publish`. */
export interface Ingress extends ManagedClients {
  /**
   * Starts to accept MQTT connections.
   *
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: Address): Promise<{ port: number }>
  /**
   * The same over TLS. With the CAs of clients, a client is asked for a certificate, which
   * identifies it; a certificate that cannot be verified ends the connection.
   *
   * @throws SluiceError PortUnavailable
   */
  listenTls(address: Address, material: TlsMaterial): Promise<{ port: number }>
  /** Replaces certificate, key and CAs for new connections. Open connections are kept. */
  readonly useTls: (material: TlsMaterial) => void
  /** Takes over a request for MQTT over WebSocket from the HTTP server, and answers it. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /**
   * Takes a message as if a client had published it: ingests it, then distributes it to the
   * subscribers. A topic `$aws/rules/<rule>/<topic>` is Basic Ingest here too.
   *
   * @throws SluiceError InvalidRequestException for the topic, PayloadTooLarge,
   *   ServiceUnavailableException after `close`; or what `ingest` rejects with
   */
  publish(message: Message, from?: MessageSender): Promise<void>
  /**
   * Hands a message only to the subscribers, or to its `receiver`: no rule sees it. With `retain`
   * it becomes the retained message of its topic. Has no effect after `close`.
   *
   * @param kept called once the message is on disk for sessions and as a retained message, at once
   *   when nobody keeps it; or with the fault that keeps it from the disk
   * @throws SluiceError InvalidRequestException for the topic, PayloadTooLarge
   */
  distribute(message: Message, kept?: (fault?: unknown) => void): Promise<void>
  /** The retained message of the topic. */
  retained(topic: string): RetainedMessage | undefined
  /** A page of retained messages in the order of their topics: at most `max`, after `after`. */
  listRetained(page: {
    readonly after?: string | undefined
    readonly max: number
  }): readonly RetainedMessage[]
  /** Ends all connections with this client certificate, by its id. */
  endConnectionsOf(certificateId: string): void
  /**
   * Publishers are held back because the memory for messages is full, and none of them has gone on
   * for seconds.
   */
  readonly isStalled: boolean
  /**
   * Stops accepting, gives unanswered PUBLISHes `drainMs` to be answered, then disconnects all
   * clients. Wills are published, as for any connection that the broker ends; they have the rest of
   * that time.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>
}

interface Address {
  readonly host: string
  readonly port: number
}

export interface IngressDependencies {
  /**
   * Called synchronously, in the order of arrival. Resolves once all records of the message are
   * durable; a rejection means no acknowledgement, so the client sends the message again. A
   * `sender` waits for the answer: once it is closed, work that has not begun may be dropped by
   * rejecting with a SluiceError SenderGone, and so may work that waits for room.
   */
  readonly ingest: (message: Message, sender?: MessageSender) => Promise<void>
  /** Decides who may connect and what they may do. Absent: every client may do everything. */
  readonly access?: Access | undefined
  /** Takes events of the lives of clients, for rules and subscribers. Absent: there are none. */
  readonly announce?: ((messages: readonly Message[]) => Promise<void>) | undefined
  /** The version number of a client that connects for the first time. Default: 0. */
  readonly firstLifecycleVersion?: number | undefined
  /** Decides who may open a WebSocket. Absent: no client may. */
  readonly webSocketGuard?: WebSocketGuard | undefined
  /** Keeps sessions and messages beyond the process. Absent: memory alone does. */
  readonly kept?: KeptStore | undefined
  /** Retained messages that all nodes of a cluster share. Absent: this engine has its own. */
  readonly retained?: SharedRetained | undefined
  /** Absent: no proxy is trusted. */
  readonly proxies?: TrustedProxies | undefined
  /** The other nodes of a cluster, for subscribers there. Absent: there are none. */
  readonly relay?: Relay | undefined
  /** Absent: a client id has one connection at this engine. */
  readonly claims?: ClientClaims | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}

const ingressDefaults = Object.freeze({
  /** Bytes of a payload; AWS IoT takes 128 KiB. */
  payloadBytesMax: payloadBytesMaxDefault,
  /** UTF-8 bytes and slashes of a topic without a Basic Ingest prefix; AWS IoT takes as many. */
  topicBytesMax: awsTopicLimits.topicBytesMax,
  topicSlashesMax: awsTopicLimits.topicSlashesMax,
  /** Filters of one SUBSCRIBE; AWS IoT takes 8. */
  filtersPerSubscribeMax: 8,
  /** UTF-8 bytes of a client id; AWS IoT takes 128. */
  clientIdBytesMax: 128,
  /** PUBLISHes of one client in a second; beyond it the client has to wait. 0 is no limit. */
  publishRate: 0,
  /** Open connections over all transports. */
  connectionsMax: 10_000,
  /** Connections of one address, and new ones a second; 0 is no limit. Loopback has none. */
  connectionsPerAddressMax: 1_000,
  connectRate: 100,
  /** PUBLISHes of one client that are handled at a time; the others wait in TCP. */
  unfinishedMax: 64,
  /** Bytes of one client that are read although they have to wait, to find its PINGREQs. */
  readAheadBytesMax: 64 * 1024,
  /** Bytes of messages that all clients hold together; beyond it publishers are not read from. */
  heldBytesMax: 256 * 1024 * 1024,
  /** For a packet that has begun, and a second more for each 512 bytes of it; 0 is no limit. */
  packetTimeoutMs: 30_000,
  /** Messages that are handed to subscribers at a time. */
  distributionsMax: 100,
  /** Sessions of absent clients (clean session 0); beyond it the longest absent one ends. */
  sessionsMax: 10_000,
  /**
   * How long a session waits for its client, and the most that a client of MQTT 5 may ask for; AWS
   * IoT's default too.
   */
  sessionExpiryMs: 3_600_000,
  /** Queued messages of one session, and bytes of those of all sessions. */
  queuedMax: 1_000,
  queuedBytesMax: 64 * 1024 * 1024,
  /** Retained messages, and their bytes together. */
  retainedMax: 10_000,
  retainedBytesMax: 64 * 1024 * 1024,
  /** In which the CONNECT has to arrive, the TLS handshake before it included. */
  connectTimeoutMs: 10_000,
  /**
   * In which a subscriber has to read what is written to it, because its publishers wait for it.
   */
  drainTimeoutMs: 5_000,
  /** In which the last bytes of a connection have to be sent. */
  closeTimeoutMs: 2_000,
  /** In which unanswered PUBLISHes have to be answered when the ingress closes. */
  drainMs: 5_000,
})
export type IngressOptions = Readonly<Record<keyof typeof ingressDefaults, number>> &
  ReturnType<typeof defaultsOf>

/** What depends on whose behaviour clients see where AWS IoT Core narrows MQTT. */
function defaultsOf(profile: MqttProfile) {
  const { maximumQos: qosMax, subscriptionsMax, takesDollarTopics } = profiles[profile]
  return { profile, qosMax, subscriptionsMax, takesDollarTopics }
}

export async function createIngress(
  dependencies: IngressDependencies,
  overrides: Partial<IngressOptions> = {},
): Promise<Ingress> {
  const ofProfile = defaultsOf(overrides.profile ?? 'open')
  const options: IngressOptions = { ...ingressDefaults, ...ofProfile, ...overrides }
  const overHttp: IngressOptions = { ...options, takesDollarTopics: false }
  const stage = await createStage(dependencies, options)
  const { broker, publishing, ports, retained, managed } = stage
  let closing: Promise<void> | undefined

  return {
    listen: (address) => ports.listen(address),
    listenTls: (address, material) => ports.listenTls(address, material),
    useTls: ports.useTls,
    upgrade: ports.upgrade,
    async publish(message, from) {
      if (closing !== undefined) {
        throw new SluiceError('ServiceUnavailableException', 'The broker is stopping.')
      }
      await publishing.publish(checkMessage(message, overHttp), from)
    },
    async distribute(message, kept) {
      const { topic } = message
      // Rules may publish to topics that are reserved to the broker for devices.
      const isReserved = topic.startsWith('$')
      const limits = isReserved ? { ...overHttp, topicSlashesMax: Infinity } : overHttp
      checkMessage({ ...message, topic: isReserved ? topic.slice(1) : topic }, limits)
      if (broker.closed) return
      if (message.receiver === undefined) await publishing.distributeMessage(message, kept)
      else await sendTo(stage.connections.byId(message.receiver), message)
    },
    retained: (topic) => retained.get(topic),
    listRetained: (page) => retained.list(page),
    disconnect: managed.disconnect,
    connection: managed.connection,
    subscriptions: managed.subscriptions,
    listClients: managed.listClients,
    connectedClient: managed.connectedClient,
    async sendDirect(message, confirmMs) {
      if (message.topic.startsWith('$')) {
        const text = 'A topic that begins with $ belongs to the broker.'
        throw new SluiceError('InvalidRequestException', text)
      }
      checkMessage({ ...message, retain: false }, overHttp)
      return managed.sendDirect(message, confirmMs)
    },
    endConnectionsOf: (certificateId) => endConnectionsOf(stage.connections, certificateId),
    get isStalled() {
      return stage.heldBytes.isStalled
    },
    close: ({ drainMs = options.drainMs } = {}) => (closing ??= close(stage, drainMs)),
  }
}

/** The parts of the stage. */
interface Stage extends AcceptanceDependencies {
  readonly retained: RetainedMessages
  readonly sessions: Sessions
  readonly wills: DelayedWills
  readonly ports: Ports
  readonly managed: ManagedClients & AcceptanceDependencies['managed']
  readonly publishing: Publishing
}

async function createStage(
  dependencies: IngressDependencies,
  options: IngressOptions,
): Promise<Stage> {
  const { metrics, clock, access = openAccess } = dependencies
  const logger = dependencies.logger.child({ stage: 'ingress' })
  const log = createLimitedLog({ logger, clock }, { linesMax: 10, intervalMs: 60_000 })
  const { claims } = dependencies
  const connections = createConnections(claims?.gone)
  const connectionOf = connections.of
  const wills = createDelayedWills(clock)
  const profile = profiles[options.profile]
  const narrowed = createReportNarrowed(log)
  const { relay } = dependencies
  const interest = relay && relayInterest(relay)
  const ofMemory = { ...dependencies, log, connections, wills, interest }
  const memory = createMemory(ofMemory, { ...options, ...profile })
  const retainedFilters = createRetainedFilters(memory.retained, profile, narrowed)
  const { name: connected, takesOver, finished } = connections
  const { announce, firstLifecycleVersion: firstVersion = 0 } = dependencies
  const events = createLifecycleEvents({ announce, firstVersion, clock, log, finished })
  const told = { log, logger, metrics, events, narrowed }
  const parts = { ...memory, ...told, access, clock, wills, connectionOf, profile, retainedFilters }
  const broker = createBroker({ ...parts, connected, takesOver, claims }, options)
  if (!profile.hashMatchesParent) leaveOutParents(broker)
  await broker.listen()
  const notKept = () => memory.notKept('retained_full', 1)
  deliverRetained(broker, { ...memory, notKept, retainedFilters })
  const publishing = createPublishing({
    clock,
    metrics,
    log,
    connectionOf,
    ingest: dependencies.ingest,
    finished,
    distribute: broker.publish.bind(broker) as Distribute,
    receivers: watchReceivers(broker, memory.storedFilters, interest),
    relay,
    prepareKeep: memory.prepareKeep,
  })
  broker.authorizePublish = publishing.authorize
  broker.publish = publishing.distribute
  relay?.start(createRelayedMessages(publishing))
  claims?.start(claimedClients(connections, memory.sessions, events))
  const shared = memory.share(broker)
  const sharedMembers = createSharedMembers({ ...parts, broker, shared })
  const heldBytes = createReportedHeldBytes({ clock, metrics, log }, options)
  const mqtt5Clients = createMqtt5Clients(
    {
      ...parts,
      broker,
      shared,
      notKept,
      publish: (message) => publishing.publish(message),
    },
    mqtt5OptionsOf(options),
  )
  const managed = createManagedClients({ ...parts, connections }, options)
  const context = { ...parts, connections, mqtt5Clients, sharedMembers, managed, broker, heldBytes }
  const ports = createPorts(
    {
      ...context,
      proxies: dependencies.proxies ?? createTrustedProxies([]),
      accept: createAcceptance(context, options),
      guard: dependencies.webSocketGuard,
    },
    options,
  )
  return { ...context, ports, publishing }
}

function mqtt5OptionsOf(options: IngressOptions) {
  return {
    ...options,
    profile: profiles[options.profile],
    topicLimits: options,
    sessionExpirySecondsMax: Math.floor(options.sessionExpiryMs / 1_000),
  }
}

async function close(stage: Stage, drainMs: number): Promise<void> {
  const { broker, clock, connections, publishing } = stage
  const closed = stage.ports.close()
  connections.forEach(({ gate }) => gate.hold())
  const timeUp = new AbortController()
  const cancel = clock.after(drainMs, () => timeUp.abort())
  const isAnswered = () => connections.every(({ gate }) => gate.unfinished === 0)
  await connections.waitUntil(() => isAnswered() && publishing.underway === 0, timeUp.signal)
  connections.forEach((connection) => {
    connection.endReason ??= 'SERVER_INITIATED_DISCONNECT'
    connection.mqtt5?.endWith(reasonCode.shuttingDown)
  })
  await new Promise<void>((resolve) => broker.close(resolve))
  stage.wills.close()
  // The clients are gone, but their wills and events may be under way.
  const areTold = () => publishing.underway === 0 && stage.events.underway === 0
  await connections.waitUntil(areTold, timeUp.signal)
  cancel()
  stage.sessions.stop()
  // Destroys the connections that Aedes does not know yet, or no longer knows.
  connections.forEach(({ gate }) => gate.stream.destroy())
  await closed
}

function checkMessage<Checked extends Pick<Message, 'topic' | 'payload' | 'retain'>>(
  message: Checked,
  options: IngressOptions,
): Checked & Pick<Message, 'basicIngestRule'> {
  const { payloadBytesMax } = options
  const { topic, retain } = message
  const fault = findTopicTextFault(topic, options) ?? findRetainFault(retain, topic.charCodeAt(0))
  if (fault !== undefined) throw new SluiceError('InvalidRequestException', fault.detail)
  if (message.payload.length > payloadBytesMax) {
    throw new SluiceError('PayloadTooLarge', `The payload is over ${payloadBytesMax} bytes.`)
  }
  const basicIngest = parseBasicIngest(message.topic)
  if (basicIngest === undefined) return message
  return { ...message, topic: basicIngest.topic, basicIngestRule: basicIngest.rule }
}
