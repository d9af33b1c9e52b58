import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'

/** Waits between attempts of something that may succeed later, longer each time, and logs why. */
export interface RetryBackoff {
  /** Waits longer after each failure in a row, or until `signal` aborts. */
  afterFailure(thrown: unknown, signal: AbortSignal): Promise<void>
  /**
   * Waits for about a second after a call that the service throttled. The pause does not grow: the
   * limit is shared, and readers that come back sooner would take all of it.
   */
  afterThrottling(thrown: unknown, signal: AbortSignal): Promise<void>
  /** Something succeeded: the next failure counts as the first one again. */
  reset(): void
}

interface RetryBackoffDependencies {
  readonly clock: Clock
  readonly logger: WarningLog
}

export interface RetryBackoffOptions {
  readonly firstDelayMs: number
  readonly delayMsMax: number
  /** The log line, written once a minute with the reason of the failure. */
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** After so many of the longest delays without a failure, the next one counts as the first. */
const delaysWithoutFailure = 2
/** A fifth of each delay is random, so that many readers do not retry at the same moment. */
const jitterShare = 0.2
/** The pause after throttling is between these. */
const throttledPauseMs = { min: 750, max: 1_250 }

export function createRetryBackoff(
  { clock, logger }: RetryBackoffDependencies,
  { firstDelayMs, delayMsMax, text, fields }: RetryBackoffOptions,
): RetryBackoff {
  const log = createLimitedLog({ logger, clock })
  let failures = 0
  let lastFailureMs = clock.monotonicMs()
  const warn = (thrown: unknown) =>
    void log.warnOnce(text, { ...fields, reason: reasonOf(thrown) }, text)
  return {
    async afterThrottling(thrown, signal) {
      if (signal.aborted) return
      warn(thrown)
      const { min, max } = throttledPauseMs
      await clock.sleep(min + (max - min) * Math.random(), signal)
    },
    async afterFailure(thrown, signal) {
      if (signal.aborted) return
      const nowMs = clock.monotonicMs()
      if (nowMs - lastFailureMs > delaysWithoutFailure * delayMsMax) failures = 0
      lastFailureMs = nowMs
      const delayMs = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures, 30))
      failures++
      warn(thrown)
      await clock.sleep(delayMs * (1 - jitterShare * Math.random()), signal)
    },
    reset() {
      failures = 0
    },
  }
}

/** Errors that a later attempt of the same call may not meet, although their status is 4xx. */
const retryableNames: ReadonlySet<string> = new Set([
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'ResourceInUseException',
  'KMSThrottlingException',
  'ThrottlingException',
  'RequestLimitExceeded',
  'ExpiredTokenException',
  'ExpiredIteratorException',
  'ExpiredNextTokenException',
  'RequestTimeout',
  'TimeoutError',
])
const throttlingNames: ReadonlySet<string> = new Set([
  'LimitExceededException',
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
  'KMSThrottlingException',
])
const throttledAttemptsMax = 6
const permanentNames: ReadonlySet<string> = new Set(['CredentialsProviderError'])

export const isThrottling = (thrown: unknown) => throttlingNames.has(nameOf(thrown))

/** Whether the same call may succeed later: throttling, and faults of the service or network. */
export function isRetryable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  if (retryableNames.has(thrown.name)) return true
  if (permanentNames.has(thrown.name)) return false
  const status = statusOf(thrown)
  return status === undefined || status === 429 || status >= 500 || status < 400
}

/**
 * Retries what a start needs while the service throttles, so that consumers which start together do
 * not fail. Every other error is thrown at once.
 *
 * @throws what `attempt` throws (rejects)
 */
export async function unlessThrottled<Result>(
  dependencies: RetryBackoffDependencies,
  signal: AbortSignal,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const backoff = createRetryBackoff(dependencies, {
    firstDelayMs: 500,
    delayMsMax: 8_000,
    text: 'the service throttles the start of a consumer; it is tried again',
    fields: {},
  })
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (thrown) {
      if (!isThrottling(thrown) || count === throttledAttemptsMax || signal.aborted) throw thrown
      await backoff.afterFailure(thrown, signal)
    }
  }
}

function statusOf(thrown: Error): number | undefined {
  const metadata = '$metadata' in thrown ? thrown.$metadata : undefined
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const status = 'httpStatusCode' in metadata ? metadata.httpStatusCode : undefined
  return typeof status === 'number' ? status : undefined
}

/** The text of an error for a log line, with its name, which says most about an AWS error. */
export function reasonOf(thrown: unknown): string {
  const isNamed = thrown instanceof Error && thrown.name !== 'Error'
  return isNamed ? `${thrown.name}: ${thrown.message}` : messageOf(thrown)
}

export const nameOf = (thrown: unknown) => (thrown instanceof Error ? thrown.name : '')
