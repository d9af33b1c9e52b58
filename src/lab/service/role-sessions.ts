import { createBoundedMap } from '../../base/bounded-map.ts'
import type { BoundedMap } from '../../base/bounded-map.ts'

/** By access key id: what AssumeRole gave out. */
export type Sessions = BoundedMap<string, Session>

/** Sessions remembered, expired ones too; the oldest is forgotten first. */
const sessionsMax = 10_000

export const createSessions = (): Sessions => createBoundedMap(sessionsMax)

export interface Session {
  readonly arn: string
  readonly userId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** When it expires, by the clock's `monotonicMs`. */
  readonly endsAtMs: number
}
