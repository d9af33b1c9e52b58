import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** What a call is signed with. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** Epoch milliseconds, by the clock of STS. */
  readonly expiresAtMs: number
}

/** Asks STS once; rejects with what STS or the network said. */
export type AssumeRole = (roleArn: string, externalId?: string) => Promise<AwsCredentials>

interface AssumedRole {
  readonly roleArn: string
  /** What the role's trust policy asks of those who assume it, if it asks. */
  readonly externalId?: string | undefined
}

/** The credentials of one role. */
export interface RoleCredentials {
  /** Credentials that hold now; rejects when there are none and STS gives none. */
  current(): Promise<AwsCredentials>
  /** Forgets these credentials, if they are still the current ones: AWS says that they expired. */
  drop(refused: AwsCredentials): void
}

interface RoleCredentialsDependencies {
  readonly assumeRole: AssumeRole
  readonly clock: Clock
  readonly logger: Logger
}

/** Of their life, so that a refresh has time to fail and be tried again. */
const refreshAfterShare = 0.8
/** Between attempts of the background refresh while STS does not answer. */
const refreshRetryMs = 10_000
/**
 * What STS gives at least, and what a role can be set to at most [AWS STS API Reference, AssumeRole].
 * Where this machine's time of day is wrong, the life that it makes of an expiry is bounded by them.
 */
const lifeMinMs = 900_000
const lifeMaxMs = 43_200_000

/**
 * The credentials of a role, assumed through STS and shared by all that writes with it.
 *
 * One AssumeRole is under way at most. At 80 % of their life the credentials are renewed in the
 * background, while calls go on with the old ones; those are used until they really expire, so that
 * a short outage of STS stops nothing. (The provider that the SDK brings refuses them before.)
 *
 * Their life is measured from when they came, by the monotonic clock. Where that is too long, since
 * the machine was suspended for example, AWS refuses them as expired, and they are dropped.
 */
export function createRoleCredentials(
  { assumeRole, clock, logger }: RoleCredentialsDependencies,
  { roleArn, externalId }: AssumedRole,
): RoleCredentials {
  let held: AwsCredentials | undefined
  /** By the monotonic clock, as is `refreshAtMs`. */
  let endsAtMs = 0
  let refreshAtMs = 0
  let asking: Promise<AwsCredentials> | undefined

  async function ask(): Promise<AwsCredentials> {
    try {
      const credentials = await assumeRole(roleArn, externalId)
      const leftMs = credentials.expiresAtMs - clock.wallMs()
      const lifeMs = Math.min(lifeMaxMs, Math.max(lifeMinMs, leftMs))
      const nowMs = clock.monotonicMs()
      held = credentials
      endsAtMs = nowMs + lifeMs
      refreshAtMs = nowMs + refreshAfterShare * lifeMs
      return credentials
    } finally {
      asking = undefined
    }
  }

  function askOnce(): Promise<AwsCredentials> {
    asking ??= ask()
    return asking
  }

  async function refresh(): Promise<void> {
    try {
      await askOnce()
    } catch (error) {
      refreshAtMs = clock.monotonicMs() + refreshRetryMs
      const expiresAt = held && new Date(held.expiresAtMs).toISOString()
      logger.warn(
        { roleArn, expiresAt, reason: messageOf(error) },
        'credentials of a role could not be renewed; the old ones are used until they expire',
      )
    }
  }

  return {
    current() {
      const nowMs = clock.monotonicMs()
      if (held === undefined || endsAtMs <= nowMs) return askOnce()
      // Renewed when they are used, not by a timer: a role that is no longer used costs no calls.
      if (nowMs >= refreshAtMs && asking === undefined) void refresh()
      return Promise.resolve(held)
    },
    drop(refused: AwsCredentials) {
      if (held === refused) held = undefined
    },
  }
}

/**
 * The credentials of a role as the SDK's clients take them. The SDK keeps what a provider gave until
 * shortly before it expires, and would sign with dropped credentials until then; a provider marked
 * as memoized it asks for every call.
 */
export function sdkProviderOf(credentials: RoleCredentials) {
  const provider = async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials.current()
    return { accessKeyId, secretAccessKey, sessionToken }
  }
  return Object.assign(provider, { memoized: true })
}
