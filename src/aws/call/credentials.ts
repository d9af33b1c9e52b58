import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import { failureOf, sessionRefusalOf } from './failure-class.ts'
import type { Failure, SessionRefusal } from './failure-class.ts'
import type { Service } from './service-failures.ts'

/** Credentials that sign calls to AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** Epoch milliseconds, by the clock of STS. */
  readonly expiresAtMs: number
}

/** Asks STS once. Rejects with the error of STS or of the network. */
export type AssumeRole = (roleArn: string, externalId?: string) => Promise<AwsCredentials>

export interface AssumedRole {
  readonly roleArn: string
  /** The external ID that the role's trust policy demands, if it demands one. */
  readonly externalId?: string | undefined
}

/** The credentials of one role. */
export interface RoleCredentials {
  /** Credentials that are valid now. Rejects when there are none and STS issues none. */
  current(): Promise<AwsCredentials>
  /**
   * Drops these credentials if they are still the current ones, because AWS refuses them.
   *
   * @param refusal `expired`: at once. `unknown`: AWS does not know the session, at most once a
   *   minute, because new credentials need not cure it
   */
  drop(refused: AwsCredentials, refusal: SessionRefusal): void
}

interface AssumedCredentials extends RoleCredentials {
  /** Milliseconds since STS gave the current ones; undefined while there are none. */
  ageMs(): number | undefined
}

interface RoleCredentialsDependencies {
  readonly assumeRole: AssumeRole
  readonly clock: Clock
  readonly logger: Logger
}

/** The share of their lifetime after which credentials are renewed: it leaves time for retries. */
const refreshAfterShare = 0.8
/** Between two sessions that are dropped because AWS does not know them. */
const betweenUnknownMs = 60_000
/** Between attempts of the background refresh while STS does not answer. */
const refreshRetryMs = 10_000
/**
 * The shortest and the longest lifetime that AssumeRole can give (AWS STS API Reference). They
 * bound the lifetime that is computed from an expiry when this machine's time of day is wrong.
 */
const lifeMinMs = 900_000
const lifeMaxMs = 43_200_000

/**
 * The credentials of a role, assumed through STS and shared by every client that acts with the
 * role.
 *
 * At most one AssumeRole call is in flight. After 80 % of their lifetime the credentials are
 * renewed in the background, and calls go on with the old ones until those really expire, so that a
 * short outage of STS stops nothing. (The SDK's own provider stops using them earlier.)
 *
 * The monotonic clock measures the lifetime from the arrival of the credentials. When it counts too
 * little, for example because the machine was suspended, AWS refuses the credentials as expired and
 * they are dropped. So are those of a session that AWS does not know (any more), such as after the
 * role was made anew.
 */
export function createRoleCredentials(
  { assumeRole, clock, logger }: RoleCredentialsDependencies,
  { roleArn, externalId }: AssumedRole,
): AssumedCredentials {
  let held: AwsCredentials | undefined
  /** Both by the monotonic clock. */
  let endsAtMs = 0
  let refreshAtMs = 0
  let givenAtMs = 0
  let asking: Promise<AwsCredentials> | undefined
  let unknownDroppedMs = -Infinity

  async function ask(): Promise<AwsCredentials> {
    try {
      const credentials = await assumeRole(roleArn, externalId)
      const leftMs = credentials.expiresAtMs - clock.wallMs()
      const lifeMs = Math.min(lifeMaxMs, Math.max(lifeMinMs, leftMs))
      const nowMs = clock.monotonicMs()
      held = credentials
      givenAtMs = nowMs
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
      // Use renews them, not a timer, so that a role that is no longer used costs no calls.
      if (nowMs >= refreshAtMs && asking === undefined) void refresh()
      return Promise.resolve(held)
    },
    drop(refused: AwsCredentials, refusal: SessionRefusal) {
      if (held !== refused) return
      if (refusal === 'unknown') {
        const nowMs = clock.monotonicMs()
        if (nowMs - unknownDroppedMs < betweenUnknownMs) return
        unknownDroppedMs = nowMs
      }
      held = undefined
    },
    ageMs() {
      const nowMs = clock.monotonicMs()
      return held === undefined || endsAtMs <= nowMs ? undefined : nowMs - givenAtMs
    },
  }
}

/**
 * The credentials of a role, as a provider for the SDK's clients. The SDK caches the result of an
 * ordinary provider until shortly before its expiry and would go on signing with credentials that
 * were dropped. It asks a provider that is marked as memoized for every call.
 */
export function sdkProviderOf(credentials: RoleCredentials) {
  const provider = async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials.current()
    return { accessKeyId, secretAccessKey, sessionToken }
  }
  return Object.assign(provider, { memoized: true })
}

/** Whose credentials sign the calls of a client. */
export type Identity = Pick<RoleCredentials, 'current' | 'drop'>

/**
 * This process itself. The SDK renews the process's own credentials, except those that AWS calls
 * expired.
 */
export function identityOfProcess(client: ClientOfProcess): Identity {
  return {
    current: () => client.config.credentials() as Promise<AwsCredentials>,
    drop: () => void client.config.credentials({ forceRefresh: true }).catch(() => undefined),
  }
}

/** The part of the SDK's clients that knows the credentials. */
interface ClientOfProcess {
  readonly config: {
    readonly credentials: (options?: { readonly forceRefresh: boolean }) => Promise<unknown>
  }
}

type Attempt<Answer> =
  { readonly ok: true; readonly answer: Answer } | { readonly ok: false; readonly failure: Failure }

/**
 * Makes a call to a service, and drops the credentials of the identity when AWS refuses them. Never
 * rejects.
 */
export async function attemptAs<Answer>(
  identity: Identity,
  service: Service,
  signal: AbortSignal,
  call: () => Promise<Answer>,
): Promise<Attempt<Answer>> {
  let used: AwsCredentials
  try {
    // An abort ends only this wait: other callers of the role may be waiting for the same answer.
    used = await unlessAborted(identity.current(), signal)
  } catch (thrown) {
    return { ok: false, failure: failureOf(thrown, 'AssumeRole') }
  }
  try {
    return { ok: true, answer: await call() }
  } catch (thrown) {
    const failure = failureOf(thrown, service)
    const refusal = sessionRefusalOf(failure.code)
    if (refusal) identity.drop(used, refusal)
    return { ok: false, failure }
  }
}
