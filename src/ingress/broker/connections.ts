import type { Client } from 'aedes'
import { reasonCode } from '../mqtt5/reason-codes.ts'
import type { Keep } from '../kept/keeping.ts'
import type { LifecycleEvents } from './lifecycle-events.ts'
import type { Sessions } from '../kept/sessions.ts'
import type { ClaimedClients } from '../relay/client-claims.ts'
import type { Connection } from './connection.ts'

/** The open connections: finds them, and waits for the messages that they have under way. */
export interface Connections {
  add(client: Client, connection: Connection): void
  /**
   * The client is accepted under its id; an earlier connection with that id is closed.
   *
   * @returns that connection
   */
  readonly name: (client: Client, connection: Connection) => NamedConnection | undefined
  /** Another connection with this id is about to be accepted. */
  readonly takesOver: (clientId: string) => void
  remove(client: Client, connection: Connection): void
  readonly of: (client: Client) => Connection | undefined
  byId(clientId: string): NamedConnection | undefined
  /** Of all accepted clients. */
  readonly ids: () => Iterable<string>
  every(test: (connection: Connection) => boolean): boolean
  forEach(act: (connection: Connection, client: Client) => void): void
  /** A message is finished, so that a condition of `waitUntil` may hold now. */
  readonly finished: () => void
  /**
   * Resolves once the condition holds, or when the time is up. The condition is evaluated at once,
   * and again after each turn of the event loop in which a message was finished or a connection was
   * removed.
   */
  waitUntil(condition: () => boolean, timeUp: AbortSignal): Promise<void>
}

interface NamedConnection {
  readonly client: Client
  readonly connection: Connection
}

/** @param gone is told of each client whose last connection has ended */
export function createConnections(gone?: (clientId: string) => void): Connections {
  const open = new Map<Connection, Client>()
  // Weak, because Aedes' hooks may still run for a client whose connection is closed.
  const byClient = new WeakMap<Client, Connection>()
  const named = new Map<string, NamedConnection>()
  const { finished, waitUntil } = createWaiting()
  return {
    add(client, connection) {
      open.set(connection, client)
      byClient.set(client, connection)
    },
    name(client, connection) {
      const earlier = named.get(client.id)
      named.set(client.id, { client, connection })
      // [MQTT-3.1.4-2]. Aedes does this too, but misses the younger of two that close at once.
      if (earlier === undefined || earlier.client === client) return undefined
      earlier.client.close()
      return earlier
    },
    takesOver(clientId) {
      const connection = named.get(clientId)?.connection
      if (connection === undefined) return
      connection.endReason ??= 'DUPLICATE_CLIENTID'
      connection.mqtt5?.expectTakeover()
    },
    remove(client, connection) {
      connection.closed = true
      connection.dropWaiting()
      open.delete(connection)
      const { session, mqtt5 } = connection
      session?.connectionGone(mqtt5 && mqtt5.sessionExpirySeconds * 1_000)
      if (named.get(client.id)?.connection === connection) {
        named.delete(client.id)
        gone?.(client.id)
      }
      if (connection.keeps) settleDropped(connection.keeps)
      finished()
    },
    of: (client) => byClient.get(client),
    byId: (clientId) => named.get(clientId),
    ids: () => named.keys(),
    every: (test) => [...open.keys()].every(test),
    forEach: (act) => [...open].forEach(([connection, client]) => act(connection, client)),
    finished,
    waitUntil,
  }
}

/** What another node that has accepted a client asks for. */
export function claimedClients(
  { byId, takesOver }: Pick<Connections, 'byId' | 'takesOver'>,
  sessions: Pick<Sessions, 'discard'>,
  { versionTold }: Pick<LifecycleEvents, 'versionTold'>,
): ClaimedClients {
  return {
    takeOver(clientId) {
      takesOver(clientId)
      byId(clientId)?.client.close()
    },
    discardSession: (clientId) => sessions.discard(clientId),
    versionTold,
  }
}

/** As AWS IoT ends the connections of a certificate that is deactivated. */
export function endConnectionsOf(
  connections: Pick<Connections, 'forEach'>,
  certificateId: string,
): void {
  connections.forEach((connection, client) => {
    if (connection.peer.certificate?.principal !== certificateId) return
    connection.endReason ??= 'AUTH_ERROR'
    connection.mqtt5?.endWith(reasonCode.notAuthorized)
    connection.gate.hold()
    // Before it is accepted there is nobody to tell.
    if (connection.counted) client.close()
    else connection.gate.stream.destroy()
  })
}

/**
 * Aedes does not distribute a PUBLISH whose PUBACK could not be written. It hears of each write
 * within the turn of the event loop after it.
 */
function settleDropped(keeps: ReadonlySet<Keep>): void {
  setImmediate(() => setImmediate(() => keeps.forEach(({ settle }) => settle())))
}

function createWaiting(): Pick<Connections, 'finished' | 'waitUntil'> {
  const waiting = new Set<() => void>()
  let isPlanned = false
  const evaluateAll = () => {
    isPlanned = false
    waiting.forEach((evaluate) => evaluate())
  }
  return {
    finished() {
      if (waiting.size === 0 || isPlanned) return
      isPlanned = true
      setImmediate(evaluateAll)
    },
    waitUntil: (condition, timeUp) =>
      new Promise((resolve) => {
        const evaluate = () => {
          if (!condition() && !timeUp.aborted) return
          waiting.delete(evaluate)
          timeUp.removeEventListener('abort', evaluate)
          resolve()
        }
        waiting.add(evaluate)
        timeUp.addEventListener('abort', evaluate)
        evaluate()
      }),
  }
}
