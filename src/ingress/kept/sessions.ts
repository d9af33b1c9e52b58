import type { Clock } from '../../base/clock.ts'
import { createReceivedIds } from './received-ids.ts'
import type { ReceivedIds } from './received-ids.ts'

/**
 * The sessions that outlive their connections: clean session 0 of MQTT 3.1.1, and those of MQTT 5,
 * which say how long. The session of an absent client ends after its expiry, or when more than
 * `sessionsMax` are absent, the longest absent first. The limits of connections bound the sessions
 * of connected clients.
 */
export interface Sessions {
  /** Whether the client has a session: "session present" of its CONNACK, [MQTT-3.2.2-2]. */
  readonly has: (clientId: string) => boolean
  /** Returns the session of a client that connects, if there is one. */
  resume(clientId: string): Session | undefined
  /** Begins a new session for a client that connects; an earlier one ends. */
  begin(clientId: string): Session
  /** The client asked for a clean session: ends its session, [MQTT-3.1.2-6]. */
  discard(clientId: string): void
  readonly absentCount: number
  /** No session ends any more. */
  stop(): void
}

export interface Session {
  readonly received: ReceivedIds
  /** The session was discarded, so nothing is stored for it any more. */
  readonly isOver: boolean
  /**
   * Has to be called once, when the connection is gone. The session may have another connection.
   *
   * @param expiryMs how long it waits for its client; 0: it ends now. Absent: `sessionExpiryMs`
   */
  connectionGone(expiryMs?: number): void
}

interface SessionsDependencies {
  readonly clock: Clock
  /** A session ended: everything stored for it elsewhere has to be removed, too. */
  readonly ended: (clientId: string) => void
}

interface SessionLimits {
  readonly sessionsMax: number
  /** For clients that cannot say it: those of MQTT 3.1.1. */
  readonly sessionExpiryMs: number
}

interface Kept {
  readonly received: ReceivedIds
  /** The connections that have it: two while one takes over from the other. */
  connections: number
}

export function createSessions(
  { clock, ended }: SessionsDependencies,
  limits: SessionLimits,
): Sessions {
  const sessions = new Map<string, Kept>()
  /** Client id -> stops the timer of its expiry; the longest absent client comes first. */
  const absent = new Map<string, () => void>()

  function isBack(clientId: string): void {
    absent.get(clientId)?.()
    absent.delete(clientId)
  }

  function remove(clientId: string): void {
    isBack(clientId)
    if (sessions.delete(clientId)) ended(clientId)
  }

  function connectionGone(clientId: string, session: Kept, expiryMs: number): void {
    session.connections--
    if (session.connections > 0 || sessions.get(clientId) !== session) return
    if (expiryMs === 0) {
      remove(clientId)
      return
    }
    absent.set(
      clientId,
      clock.after(expiryMs, () => remove(clientId)),
    )
    if (absent.size <= limits.sessionsMax) return
    const [longest] = absent.keys()
    if (longest !== undefined) remove(longest)
  }

  function join(clientId: string, session: Kept): Session {
    session.connections++
    isBack(clientId)
    return {
      received: session.received,
      get isOver() {
        return sessions.get(clientId) !== session
      },
      connectionGone: (expiryMs = limits.sessionExpiryMs) =>
        connectionGone(clientId, session, expiryMs),
    }
  }

  return {
    has: (clientId) => sessions.has(clientId),
    resume(clientId) {
      const session = sessions.get(clientId)
      return session && join(clientId, session)
    },
    begin(clientId) {
      remove(clientId)
      const session: Kept = { received: createReceivedIds(), connections: 0 }
      sessions.set(clientId, session)
      return join(clientId, session)
    },
    discard: remove,
    get absentCount() {
      return absent.size
    },
    stop() {
      for (const cancel of absent.values()) cancel()
    },
  }
}
