import { createBoundedMap } from '../../base/bounded-map.ts'
import type { BoundedMap } from '../../base/bounded-map.ts'

/** The sessions that AssumeRole has issued, by access key id. */
export type RoleSessions = BoundedMap<string, RoleSession>

/** Stored sessions, including expired ones; beyond it the oldest is removed. */
const sessionsMax = 10_000

export const createRoleSessions = (): RoleSessions => createBoundedMap(sessionsMax)

/** The ARN of a caller: that of its session, or that of the lab's user. */
export const callerArnOf = (
  sessions: RoleSessions,
  accessKeyId: string | undefined,
  accountId: string,
): string =>
  (accessKeyId === undefined ? undefined : sessions.get(accessKeyId))?.arn ??
  `arn:aws:iam::${accountId}:user/lab`

interface RoleSession {
  readonly arn: string
  readonly userId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** The time of its expiry, by the monotonic clock. */
  readonly endsAtMs: number
}
