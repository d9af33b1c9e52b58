import { randomBytes } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { RoleSessions } from '../service/role-sessions.ts'

interface IssueDependencies {
  readonly clock: Clock
  readonly sessions: RoleSessions
}

interface NewSession {
  /** What GetCallerIdentity says of the session. */
  readonly arn: string
  readonly userId: string
  readonly lifeSeconds: number
}

/** The Credentials of an answer. */
interface IssuedCredentials {
  readonly [name: string]: string
}

/** Starts a session. @returns its keys in the form of the API */
export function issueSession(
  { clock, sessions }: IssueDependencies,
  { arn, userId, lifeSeconds }: NewSession,
): IssuedCredentials {
  const accessKeyId = `ASIA${randomOf(base32, 16)}`
  const secretAccessKey = randomBytes(30).toString('base64')
  const sessionToken = randomBytes(192).toString('base64')
  // STS reports whole seconds.
  const nowMs = clock.wallMs()
  const expiresMs = (Math.floor(nowMs / 1000) + lifeSeconds) * 1000
  const endsAtMs = clock.monotonicMs() + expiresMs - nowMs
  sessions.set(accessKeyId, { arn, userId, secretAccessKey, sessionToken, endsAtMs })
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken: sessionToken,
    Expiration: new Date(expiresMs).toISOString().replace(/\.\d+/, ''),
  }
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The id of a role, as AWS gives it to each one. */
export const randomRoleId = () => `AROA${randomOf(base32, 17)}`

const randomOf = (alphabet: string, length: number) =>
  Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('')
