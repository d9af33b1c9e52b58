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
  /**
   * Returns the session of a client that connects, if there is one.
   *
   * @param expiryMs how long it waits for its client when the connection is gone. Absent:
   *   `sessionExpiryMs`
   */
  resume(clientId: string, expiryMs?: number): Session | undefined
  /** Begins a new session for a client that connects; an earlier one ends. */
  begin(clientId: string, expiryMs?: number): Session
  /** Takes the sessions that an earlier process left. Their clients are absent. */
  restore(stored: readonly StoredSession[]): void
  /** What is to be stored of a session that outlives the process. */
  readonly stored: (clientId: string) => StoredSession | undefined
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

/** A session as an earlier process left it. Times are epoch milliseconds. */
interface StoredSession {
  readonly clientId: string
  /** Its row. */
  readonly row: number
  readonly expiryMs: number
  /** Absent: the client was connected. */
  readonly goneAtMs?: number | undefined
}

interface SessionsDependencies {
  readonly clock: Clock
  /** Gives a session its row on disk. Absent: sessions end with the process. */
  readonly newRow?: (() => number) | undefined
  /** What is to be stored of the session has changed. */
  readonly changed?: ((clientId: string) => void) | undefined
  /** A session ended: everything stored for it elsewhere has to be removed, too. */
  readonly ended: (clientId: string, row: number | undefined) => void
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
  /** On disk; undefined for one that ends with its connection. */
  row: number | undefined
  expiryMs: number
  goneAtMs: number | undefined
}

export function createSessions(
  { clock, newRow, changed = () => {}, ended }: SessionsDependencies,
  limits: SessionLimits,
): Sessions {
  const sessions = new Map<string, Kept>()
  const absent = createAbsences({ clock, remove }, limits)

  function remove(clientId: string): void {
    absent.isBack(clientId)
    const session = sessions.get(clientId)
    if (session === undefined) return
    sessions.delete(clientId)
    ended(clientId, session.row)
  }

  function connectionGone(clientId: string, session: Kept, expiryMs: number): void {
    session.connections--
    if (session.connections > 0 || sessions.get(clientId) !== session) return
    if (expiryMs === 0) {
      remove(clientId)
      return
    }
    session.expiryMs = expiryMs
    session.goneAtMs = clock.wallMs()
    changed(clientId)
    absent.isGone(clientId, expiryMs)
  }

  function join(clientId: string, session: Kept, expiryMs: number): Session {
    session.connections++
    session.expiryMs = expiryMs
    session.goneAtMs = undefined
    if (expiryMs > 0) session.row ??= newRow?.()
    absent.isBack(clientId)
    changed(clientId)
    return {
      received: session.received,
      get isOver() {
        return sessions.get(clientId) !== session
      },
      connectionGone: (goneExpiryMs = limits.sessionExpiryMs) =>
        connectionGone(clientId, session, goneExpiryMs),
    }
  }

  return {
    has: (clientId) => sessions.has(clientId),
    resume(clientId, expiryMs = limits.sessionExpiryMs) {
      const session = sessions.get(clientId)
      return session && join(clientId, session, expiryMs)
    },
    begin(clientId, expiryMs = limits.sessionExpiryMs) {
      remove(clientId)
      const session = newSession(undefined, expiryMs, undefined)
      sessions.set(clientId, session)
      return join(clientId, session, expiryMs)
    },
    discard: remove,
    restore(stored) {
      const nowMs = clock.wallMs()
      for (const { clientId, row, expiryMs, goneAtMs } of byAbsence(stored, nowMs)) {
        // The clock may have been set back: a session never waits longer than from now on.
        const absentMs = Math.max(0, nowMs - goneAtMs)
        sessions.set(clientId, newSession(row, expiryMs, Math.min(nowMs, goneAtMs)))
        if (absentMs >= expiryMs) remove(clientId)
        else absent.isGone(clientId, expiryMs - absentMs)
      }
    },
    stored: (clientId) => storedOf(clientId, sessions.get(clientId)),
    get absentCount() {
      return absent.count
    },
    stop: () => absent.stop(),
  }
}

function storedOf(clientId: string, session: Kept | undefined): StoredSession | undefined {
  if (session?.row === undefined) return undefined
  const { row, expiryMs, goneAtMs } = session
  return { clientId, row, expiryMs, goneAtMs }
}

/** The longest absent first. Clients that were connected are absent from now on. */
const byAbsence = (stored: readonly StoredSession[], nowMs: number) =>
  stored
    .map((session) => ({ ...session, goneAtMs: session.goneAtMs ?? nowMs }))
    .toSorted((left, right) => left.goneAtMs - right.goneAtMs)

/** The timers of the sessions whose client is absent. */
function createAbsences(
  { clock, remove }: { readonly clock: Clock; readonly remove: (clientId: string) => void },
  { sessionsMax }: SessionLimits,
) {
  /** Client id -> stops the timer of its expiry; the longest absent client comes first. */
  const timers = new Map<string, () => void>()
  return {
    get count() {
      return timers.size
    },
    isBack(clientId: string): void {
      timers.get(clientId)?.()
      timers.delete(clientId)
    },
    isGone(clientId: string, waitMs: number): void {
      timers.set(
        clientId,
        clock.after(waitMs, () => remove(clientId)),
      )
      if (timers.size <= sessionsMax) return
      const [longest] = timers.keys()
      if (longest !== undefined) remove(longest)
    },
    stop(): void {
      for (const cancel of timers.values()) cancel()
    },
  }
}

const newSession = (
  row: number | undefined,
  expiryMs: number,
  goneAtMs: number | undefined,
): Kept => ({
  received: createReceivedIds(),
  connections: 0,
  row,
  expiryMs,
  goneAtMs,
})
