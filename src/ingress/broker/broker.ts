import type { EventEmitter } from 'node:events'
import { Aedes } from 'aedes'
import type { Client, Subscription } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'
import { decideLogin } from './login.ts'
import type { LoginDependencies } from './login.ts'
import type { Login } from '../../identity/policies/access.ts'
import type { Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import type { ConnectFailureReason, LifecycleEvents } from './lifecycle-events.ts'
import type { DelayedWills } from './delayed-wills.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { createForwarding } from './forwarding.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import { sessionMarker } from '../kept/persistence.ts'
import type { ClientClaims } from '../relay/client-claims.ts'
import { prepareConnection } from './incoming-connect.ts'
import type { IncomingConnectLimits } from './incoming-connect.ts'
import type { ReportNarrowed } from './narrowing.ts'
import { connectionGone, notIngested, publishForbiddenReason } from './publishing.ts'
import { openHandshakesMax } from '../kept/received-ids.ts'
import type { Session, Sessions } from '../kept/sessions.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { findFilterFault } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'

/**
 * Creates Aedes with hooks for everything about connecting and subscribing that Sluice decides. The
 * hooks must not throw: an error would be an uncaught exception of the process.
 */
interface BrokerDependencies extends LoginDependencies {
  readonly logger: Logger
  readonly log: LimitedLog
  readonly metrics: Metrics
  readonly sessions: Sessions
  /** For Aedes' option `persistence`. */
  readonly persistence: object
  /** Takes one filter out of the session of a client. */
  readonly forgetSubscription: (client: Client, filter: string) => void
  readonly clock: Clock
  /** A client is about to be accepted, which ends an earlier connection of it. */
  readonly takesOver: (clientId: string) => void
  readonly wills: DelayedWills
  /** The client is accepted, and an earlier connection of it is closed. */
  readonly connected: Connections['name']
  /** The other nodes of a cluster. Absent: there are none. */
  readonly claims?: Pick<ClientClaims, 'connected'> | undefined
  readonly events: LifecycleEvents
  readonly profile: Profile
  readonly queues: SubscriberQueues
  readonly narrowed: ReportNarrowed
}

interface BrokerLimits extends SubscriptionLimits, IncomingConnectLimits {
  readonly distributionsMax: number
}

export interface SubscriptionLimits extends TopicLimits {
  readonly subscriptionsMax: number
}

/**
 * Switches Aedes' own timers off. They run before the sockets are read, even after a pause of the
 * process, and would disconnect clients whose bytes have arrived. `acceptance.ts` replaces each.
 */
const never = 2 ** 31 - 1
const unacceptableProtocol = 1

export function createBroker(dependencies: BrokerDependencies, limits: BrokerLimits): Aedes {
  const broker = new Aedes({
    concurrency: limits.distributionsMax,
    connectTimeout: never,
    drainTimeout: never,
    persistence: dependencies.persistence,
    maxClientsIdLength: limits.clientIdBytesMax,
    maxInflightInbound: openHandshakesMax,
    preConnect: (client, packet, callback) => {
      forwarding.prepare(client)
      const refusal = prepareConnection(dependencies, limits, client, packet)
      callback(refusal, refusal === null)
    },
    authenticate: (client, username, password, done) => {
      const login: Login = {
        clientId: client.id,
        // Aedes gives null for what is not there, whatever its types say.
        username: username ?? undefined,
        password: password ?? undefined,
      }
      void decideLogin(dependencies, client, login, (error, success) => {
        if (error === null) {
          dependencies.takesOver(client.id)
          resumeSession(dependencies, client)
        }
        done(error, success)
      })
    },
    authorizeSubscribe: (client, subscription, callback) => {
      callback(null, grantSubscription(dependencies, limits, client, subscription))
    },
    authorizeForward: (client, packet) => (forwarding.mayForward(client, packet) ? packet : null),
  })
  const forwarding = createForwarding(broker, dependencies)
  observe(broker, dependencies)
  return broker
}

/**
 * Called right before Aedes asks for the filters of the session, in the same turn of the event
 * loop, so that CONNACK's "session present" stays true.
 */
function resumeSession({ connectionOf, sessions }: BrokerDependencies, client: Client): void {
  const connection = connectionOf(client)
  if (connection === undefined || connection.closed || startsClean(client, connection)) return
  useSession(connection, sessions.resume(client.id, expiryMsOf(connection)))
  if (connection.mqtt5) connection.mqtt5.isSessionPresent = connection.session !== undefined
  else connection.isEmptyingQueue = connection.session !== undefined
}

/** Sessions of MQTT 5 are kept without Aedes, so for it all of them are clean. */
const startsClean = (client: Client, { mqtt5 }: Connection): boolean =>
  mqtt5 === undefined ? client.clean : mqtt5.connect?.cleanStart !== false

/** Undefined for clients that cannot say it: those of MQTT 3.1.1. */
const expiryMsOf = ({ mqtt5 }: Connection): number | undefined =>
  mqtt5 && mqtt5.sessionExpirySeconds * 1_000

function useSession(connection: Connection, session: Session | undefined): void {
  connection.session = session
  if (session !== undefined) connection.received = session.received
}

/** @returns null for a refusal, which SUBACK carries as 0x80, [MQTT-3.9.3-2] */
function grantSubscription(
  dependencies: BrokerDependencies,
  limits: BrokerLimits,
  client: Client,
  subscription: Subscription,
): Subscription | null {
  const connection = dependencies.connectionOf(client)
  if (subscription === sessionMarker) return null
  if (connection === undefined) return null
  const isResumed = !client.connected
  const about = { client, connection, isResumed }
  const fault = grantFilter(dependencies, limits, about, subscription.topic)
  return fault === undefined ? subscription : null
}

interface FilterFault {
  readonly detail: string
  /** For a SUBACK of MQTT 5. */
  readonly code: number
}

/**
 * Adds a filter to those that are granted to the connection.
 *
 * @returns why it is refused
 */
export function grantFilter(
  {
    log,
    forgetSubscription,
    profile,
  }: Pick<BrokerDependencies, 'log' | 'forgetSubscription' | 'profile'>,
  limits: SubscriptionLimits,
  about: {
    readonly client: Client
    readonly connection: Connection
    /** The filter is of a resumed session: it was granted when the policies allowed it. */
    readonly isResumed: boolean
  },
  filter: string,
): FilterFault | undefined {
  const { client, connection } = about
  const fault = findSubscriptionFault(connection, filter, limits, profile)
  if (fault === undefined) {
    connection.filters.add(filter)
    return undefined
  }
  if (!connection.filters.has(filter)) {
    connection.hasLostFilters ||= about.isResumed
    forgetSubscription(client, filter)
  }
  log.warn(
    'subscription_refused',
    { clientId: client.id, filter: filter.slice(0, filterLogMax), detail: fault.detail },
    'a subscription was refused',
  )
  return fault
}

function findSubscriptionFault(
  { filters, permissions }: Connection,
  filter: string,
  limits: SubscriptionLimits,
  { name }: Profile,
): FilterFault | undefined {
  const detail = findFilterFault(filter, limits)
  if (detail !== undefined) return { detail, code: reasonCode.filterNotValid }
  if (permissions?.maySubscribe(filter) !== true) {
    return { detail: 'no policy allows it', code: reasonCode.notAuthorized }
  }
  if (filters.has(filter) || filters.size < limits.subscriptionsMax) return undefined
  const most = `${limits.subscriptionsMax} subscriptions of a client`
  const text = name === 'aws' ? asOnAws('one more', `takes ${most}`) : `${most} are taken`
  return { detail: text, code: reasonCode.quotaExceeded }
}

const filterLogMax = 300

/** Turns Aedes' events into the gauge, the counters and the log. */
function observe(broker: Aedes, dependencies: BrokerDependencies): void {
  broker.on('connackSent', (connack, client) => {
    if (connack.returnCode !== 0) return
    const connection = dependencies.connectionOf(client)
    if (connection === undefined) return
    if (connection.mqtt5 === undefined || connection.counted) openGate(connection)
    else connection.opensLater = true
  })
  broker.on('client', (client) => {
    const connection = dependencies.connectionOf(client)
    if (connection === undefined || connection.closed) return
    // Only now is an earlier connection of this client closed.
    const isClean = startsClean(client, connection)
    if (connection.mqtt5 && !isClean && connection.session) dependencies.wills.resumed(client.id)
    if (isClean && connection.mqtt5 === undefined) dependencies.sessions.discard(client.id)
    else if (connection.session === undefined)
      useSession(connection, dependencies.sessions.begin(client.id, expiryMsOf(connection)))
    const earlier = dependencies.connected(client, connection)
    if (earlier) dependencies.events.disconnected(earlier.client, earlier.connection)
    dependencies.events.connected(client, connection)
    dependencies.claims?.connected(client.id, isClean, connection.lifecycle?.versionNumber)
    connection.counted = true
    connection.connectedSinceMs = dependencies.clock.wallMs()
    dependencies.metrics.mqttConnections.inc()
    dependencies.logger.debug(
      { clientId: client.id, sourceIp: connection.peer.sourceIp },
      'client connected',
    )
    // The session was discarded after CONNACK promised it: the next CONNACK will say so.
    if (connection.session?.isOver === true) client.close()
    else if (connection.opensLater) openGate(connection)
  })
  observeSubscriptions(broker, dependencies)
  const onFault = (client: Client, error: Error): void => {
    const reason = refusalReason(error)
    const connection = dependencies.connectionOf(client)
    if (error === notIngested && connection) connection.endReason ??= 'SERVER_ERROR'
    // One fault can fail many writes, and each reports an error.
    if (reason === undefined || connection === undefined || connection.faulted) return
    connection.faulted = true
    connection.mqtt5?.endWith(reasonCode.unspecified)
    connection.endReason ??= reason === publishForbiddenReason ? 'AUTH_ERROR' : 'CLIENT_ERROR'
    const failure = connection.counted ? undefined : connectFailures.get(reason)
    if (failure) dependencies.events.refused(client, connection, failure)
    dependencies.metrics.mqttConnectionsRefused.inc({ reason })
    const { sourceIp } = connection.peer
    dependencies.log.warn(
      reason,
      { reason, clientId: client.id ?? undefined, sourceIp, detail: error.message },
      'a client was disconnected',
    )
  }
  broker.on('clientError', onFault)
  broker.on('connectionError', onFault)
  // Without a listener this event would end the process.
  ;(broker as EventEmitter).on('error', (error: unknown) => {
    dependencies.logger.error({ cause: messageOf(error) }, 'the broker failed at an internal task')
  })
}

/** Of MQTT 3.1.1: subscriptions of MQTT 5 do not pass Aedes. */
function observeSubscriptions(broker: Aedes, { connectionOf, events }: BrokerDependencies): void {
  broker.on('subscribe', (subscriptions, client) => {
    const connection = connectionOf(client)
    const filters = subscriptions.map(({ topic }) => topic)
    if (connection) events.subscribed(client, connection, filters)
  })
  broker.on('unsubscribe', (filters, client) => {
    const connection = connectionOf(client)
    if (connection === undefined) return
    for (const filter of filters) connection.filters.delete(filter)
    // Aedes also unsubscribes for a client that goes.
    if (!connection.closed && client.connected) events.unsubscribed(client, connection, filters)
  })
}

const connectFailures: ReadonlyMap<string, ConnectFailureReason> = new Map([
  ['bad_credentials', 'AUTHENTICATION_FAILED'],
  ['not_authorized', 'AUTHORIZATION_FAILED'],
])

/** The CONNECT is answered: what follows it may pass. */
function openGate(connection: Connection): void {
  if (connection.closed) return
  connection.subscriber?.begin()
  connection.gate.open(connection.keepAliveSeconds)
}

/** Aedes distinguishes errors only by their texts. Undefined: the error was reported already. */
function refusalReason(error: Error & { readonly errorCode?: number; readonly reason?: string }) {
  if (error === notIngested || error === connectionGone) return undefined
  if (error.errorCode === unacceptableProtocol) return 'protocol_version'
  if (error.message === 'connection closed') return undefined
  return error.reason ?? 'protocol_error'
}
