import { randomUUID } from 'node:crypto'
import type { Client } from 'aedes'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Message } from '../../message.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Connection } from './connection.ts'

/**
 * Tells rules and subscribers when clients connect, disconnect and subscribe, below `$aws/events/`
 * [AWS IoT Developer Guide, "Lifecycle events"]. The events of one client go out in order. A client
 * whose id holds a wildcard has none.
 */
export interface LifecycleEvents {
  connected(client: Client, connection: Connection): void
  /** The client was connected. Has an effect once for each connection. */
  disconnected(client: Client, connection: Connection): void
  /** The client has connected at another node, where its events have this version number. */
  readonly versionTold: (clientId: string, versionNumber: number) => void
  /** Its CONNECT was refused. */
  refused(client: Client, connection: Connection, reason: ConnectFailureReason): void
  /** @param filters of one SUBSCRIBE; those that were not granted are left out */
  subscribed(client: Client, connection: Connection, filters: readonly string[]): void
  /** @param filters of one UNSUBSCRIBE */
  unsubscribed(client: Client, connection: Connection, filters: readonly string[]): void
  /** Events under way. */
  readonly underway: number
}

/** Why a connection ended, in AWS's words. */
export type DisconnectReason =
  | 'API_INITIATED_DISCONNECT'
  | 'AUTH_ERROR'
  | 'CLIENT_ERROR'
  | 'CLIENT_INITIATED_DISCONNECT'
  | 'CONNECTION_LOST'
  | 'DUPLICATE_CLIENTID'
  | 'MQTT_KEEP_ALIVE_TIMEOUT'
  | 'SERVER_ERROR'
  | 'SERVER_INITIATED_DISCONNECT'
  | 'THROTTLED'

export type ConnectFailureReason = 'AUTHENTICATION_FAILED' | 'AUTHORIZATION_FAILED'

/** What the events of one connection have in common. */
export interface LifecycleOfConnection {
  readonly sessionIdentifier: string
  readonly versionNumber: number
}

interface LifecycleEventsDependencies {
  /** Runs rules on messages and hands them to subscribers. Absent: there are no events. */
  readonly announce: ((messages: readonly Message[]) => Promise<void>) | undefined
  /** The version of a client that connects for the first time. */
  readonly firstVersion: number
  readonly clock: Clock
  readonly log: LimitedLog
  /** An event has gone out. */
  readonly finished: () => void
}

/** Events that rules and subscribers have not taken yet; further ones are dropped, with a line. */
const underwayMax = 10_000
/** Clients whose versions are remembered. */
const versionsMax = 100_000
/** A client that was away for as long begins anew. */
const forgottenAfterMs = 3_600_000
/** What stands for the principal of a client that did not authenticate. */
const anonymous = 'anonymous'

export function createLifecycleEvents(dependencies: LifecycleEventsDependencies): LifecycleEvents {
  const { announce } = dependencies
  const versions = createVersions(dependencies)
  const telling = createTelling(dependencies)

  function tellFilters(
    event: 'subscribed' | 'unsubscribed',
    [{ id }, connection, topics]: readonly [Client, Connection, readonly string[]],
  ): void {
    const { lifecycle } = connection
    if (lifecycle === undefined || topics.length === 0) return
    telling.tell(`subscriptions/${event}`, id, {
      eventType: event,
      sessionIdentifier: lifecycle.sessionIdentifier,
      principalIdentifier: principalOf(connection),
      topics,
    })
  }

  return {
    connected({ id }, connection) {
      if (announce === undefined) return
      const lifecycle = { sessionIdentifier: randomUUID(), versionNumber: versions.next(id) }
      connection.lifecycle = lifecycle
      telling.tell('presence/connected', id, {
        eventType: 'connected',
        sessionIdentifier: lifecycle.sessionIdentifier,
        principalIdentifier: principalOf(connection),
        ipAddress: connection.peer.sourceIp,
        versionNumber: lifecycle.versionNumber,
      })
    },

    disconnected({ id }, connection) {
      const { lifecycle } = connection
      if (lifecycle === undefined) return
      connection.lifecycle = undefined
      versions.seen(id)
      const disconnectReason = disconnectReasonOf(connection)
      telling.tell('presence/disconnected', id, {
        eventType: 'disconnected',
        clientInitiatedDisconnect: disconnectReason === 'CLIENT_INITIATED_DISCONNECT',
        sessionIdentifier: lifecycle.sessionIdentifier,
        principalIdentifier: principalOf(connection),
        disconnectReason,
        versionNumber: lifecycle.versionNumber,
      })
    },

    versionTold: (clientId, versionNumber) => versions.told(clientId, versionNumber),

    refused({ id }, connection, connectFailureReason) {
      telling.tell('presence/connect_failed', id, {
        eventType: 'connect_failed',
        connectFailureReason,
        principalIdentifier: principalOf(connection),
        sessionIdentifier: randomUUID(),
        ipAddress: connection.peer.sourceIp,
      })
    },

    subscribed: (client, connection, filters) => {
      const granted = filters.filter((filter) => connection.filters.has(filter))
      tellFilters('subscribed', [client, connection, granted])
    },
    unsubscribed: (...about) => tellFilters('unsubscribed', about),

    get underway() {
      return telling.underway
    },
  }
}

/** The version numbers of clients. */
function createVersions({ clock, firstVersion }: LifecycleEventsDependencies) {
  const versions = createBoundedMap<string, { version: number; seenMs: number }>(versionsMax)
  return {
    next(clientId: string): number {
      const known = versions.get(clientId)
      const isRemembered = known && clock.monotonicMs() - known.seenMs < forgottenAfterMs
      const version = isRemembered ? known.version + 1 : firstVersion
      versions.set(clientId, { version, seenMs: clock.monotonicMs() })
      return version
    },
    /** Another node gave this version to the client. */
    told(clientId: string, version: number): void {
      const known = versions.get(clientId)
      if (known !== undefined && known.version >= version) return
      // It may be connected there for any time.
      versions.set(clientId, { version, seenMs: Infinity })
    },
    /** The client goes: from now on it is away. */
    seen(clientId: string): void {
      const known = versions.get(clientId)
      // It may have gone to another node.
      if (known !== undefined && known.seenMs !== Infinity) known.seenMs = clock.monotonicMs()
    },
  }
}

/** Announces events, those of one client one after the other. */
function createTelling({ announce, clock, log, finished }: LifecycleEventsDependencies) {
  /** For each client with events under way: resolves when the last of them has gone out. */
  const tails = new Map<string, Promise<void>>()
  let underway = 0

  async function announceAfter(before: Promise<void> | undefined, message: Message): Promise<void> {
    try {
      if (before !== undefined) await before
      await announce?.([message])
    } catch (thrown) {
      const about = { topic: message.topic, problem: messageOf(thrown) }
      log.warnOnce('lifecycle_failed', about, 'an event could not be made durable')
    }
  }

  return {
    get underway() {
      return underway
    },
    tell(topic: string, clientId: string, members: object): void {
      if (announce === undefined || /[+#]/.test(clientId)) return
      if (underway >= underwayMax) {
        log.warnOnce('lifecycle_dropped', { topic }, 'an event is dropped: too many are under way')
        return
      }
      const timestampMs = clock.wallMs()
      const sent = announceAfter(tails.get(clientId), {
        topic: `$aws/events/${topic}/${clientId}`,
        payload: Buffer.from(JSON.stringify({ clientId, timestamp: timestampMs, ...members })),
        qos: 1,
        retain: false,
        transport: 'mqtt',
        timestampMs,
      }).finally(() => {
        underway -= 1
        if (tails.get(clientId) === sent) tails.delete(clientId)
        finished()
      })
      underway += 1
      tails.set(clientId, sent)
    },
  }
}

export function disconnectReasonOf({ endReason, gate }: Connection): DisconnectReason {
  if (endReason !== undefined) return endReason
  return gate.hasDisconnect ? 'CLIENT_INITIATED_DISCONNECT' : 'CONNECTION_LOST'
}

const principalOf = ({ permissions, peer }: Connection): string =>
  permissions?.principal ?? peer.certificate?.principal ?? peer.accessKeyId ?? anonymous
