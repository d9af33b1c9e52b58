import type { Clock } from '../../base/clock.ts'
import { createReceivedIds } from './received-ids.ts'
import type { ReceivedIds } from './received-ids.ts'

/**
 * The sessions that outlive their connections (clean session 0). The session of an absent client
 * ends after `sessionExpiryMs`, or when more than `sessionsMax` are absent, the longest absent
 * first. The limits of connections bound the sessions of connected clients.
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
   */
  connectionGone(): void
}

interface SessionsDependencies {
  readonly clock: Clock
  /** A session ended: everything stored for it elsewhere has to be removed, too. */
  readonly ended: (clientId: string) => void
}

interface SessionLimits {
  readonly sessionsMax: number
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
  /** Client id -> when its session ends; in this order, because all may be absent equally long. */
  const absent = new Map<string, number>()
  let cancel: (() => void) | undefined

  function remove(clientId: string): void {
    absent.delete(clientId)
    if (sessions.delete(clientId)) ended(clientId)
  }

  function endOverdue(): void {
    cancel = undefined
    for (const [clientId, endsAtMs] of absent) {
      if (endsAtMs > clock.monotonicMs() && absent.size <= limits.sessionsMax) {
        cancel = clock.after(endsAtMs - clock.monotonicMs(), endOverdue)
        return
      }
      remove(clientId)
    }
  }

  function connectionGone(clientId: string, session: Kept): void {
    session.connections--
    if (session.connections > 0 || sessions.get(clientId) !== session) return
    absent.set(clientId, clock.monotonicMs() + limits.sessionExpiryMs)
    if (cancel === undefined || absent.size > limits.sessionsMax) {
      cancel?.()
      endOverdue()
    }
  }

  function join(clientId: string, session: Kept): Session {
    session.connections++
    absent.delete(clientId)
    return {
      received: session.received,
      get isOver() {
        return sessions.get(clientId) !== session
      },
      connectionGone: () => connectionGone(clientId, session),
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
      cancel?.()
    },
  }
}
