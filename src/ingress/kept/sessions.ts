import type { Clock } from '../../base/clock.ts'
import { createReceivedIds } from './received-ids.ts'
import type { ReceivedIds } from './received-ids.ts'

/**
 * The sessions that outlive their connections (clean session 0), and when those of absent clients
 * end: after `sessionExpiryMs`, or when more than `sessionsMax` are absent, the longest absent first.
 * Sessions of connected clients are bounded by the connections.
 */
export interface Sessions {
  /** The session of this client, begun if there is none. */
  resume(clientId: string): Session
  /** The client asked for a clean session: what was kept for it is gone, [MQTT-3.1.2-6]. */
  discard(clientId: string): void
  readonly absentCount: number
  /** No session ends any more. */
  stop(): void
}

export interface Session {
  readonly received: ReceivedIds
  /** Its connection has gone. Without effect once another connection has resumed the session. */
  leave(): void
}

export interface SessionsDeps {
  readonly clock: Clock
  /** A session ended: what is kept for it elsewhere is to go too. */
  readonly ended: (clientId: string) => void
}

export interface SessionLimits {
  readonly sessionsMax: number
  readonly sessionExpiryMs: number
}

interface Kept {
  readonly received: ReceivedIds
  /** Of the connection that has it. */
  holder: object | undefined
}

export function createSessions({ clock, ended }: SessionsDeps, limits: SessionLimits): Sessions {
  const sessions = new Map<string, Kept>()
  /** Client id -> when the session ends; in this order, because each is absent as long. */
  const absent = new Map<string, number>()
  let cancel: (() => void) | undefined

  function remove(clientId: string): void {
    absent.delete(clientId)
    if (sessions.delete(clientId)) ended(clientId)
  }

  function endOverdue(): void {
    cancel = undefined
    for (const [clientId, endsAtMs] of absent) {
      if (endsAtMs > clock.nowMs() && absent.size <= limits.sessionsMax) {
        cancel = clock.after(endsAtMs - clock.nowMs(), endOverdue)
        return
      }
      remove(clientId)
    }
  }

  function leave(clientId: string, session: Kept, holder: object): void {
    if (session.holder !== holder || sessions.get(clientId) !== session) return
    session.holder = undefined
    absent.set(clientId, clock.nowMs() + limits.sessionExpiryMs)
    if (cancel === undefined || absent.size > limits.sessionsMax) {
      cancel?.()
      endOverdue()
    }
  }

  return {
    resume(clientId) {
      const session = sessions.get(clientId) ?? { received: createReceivedIds(), holder: undefined }
      const holder = {}
      session.holder = holder
      sessions.set(clientId, session)
      absent.delete(clientId)
      return { received: session.received, leave: () => leave(clientId, session, holder) }
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
