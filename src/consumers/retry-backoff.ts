import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'

/** What readers, runners and handlers do when something fails that may work again: wait and log. */
export interface Patience {
  /** Waits longer after each failure in a row, or until `signal` aborts. */
  afterFailure(thrown: unknown, signal: AbortSignal): Promise<void>
  /** The next failure is the first one again. */
  success(): void
}

interface PatienceDependencies {
  readonly clock: Clock
  readonly logger: WarningLog
}

interface PatienceOptions {
  readonly firstDelayMs: number
  readonly delayMsMax: number
  /** Logged, once a minute, with the reason. */
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A fifth of each delay is left to chance, so that many readers do not come back at once. */
const jitterShare = 0.2

export function createPatience(
  { clock, logger }: PatienceDependencies,
  { firstDelayMs, delayMsMax, text, fields }: PatienceOptions,
): Patience {
  const log = createLimitedLog({ logger, clock })
  let failures = 0
  return {
    async afterFailure(thrown, signal) {
      if (signal.aborted) return
      const delayMs = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures, 30))
      failures++
      log.warnOnce(text, { ...fields, reason: reasonOf(thrown) }, text)
      await clock.sleep(delayMs * (1 - jitterShare * Math.random()), signal)
    },
    success() {
      failures = 0
    },
  }
}

/** Answers that no waiting cures are told from the others by their status and name. */
const curableNames: ReadonlySet<string> = new Set([
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'ResourceInUseException',
  'KMSThrottlingException',
  'ThrottlingException',
  'ExpiredTokenException',
  'ExpiredNextTokenException',
  'RequestTimeout',
  'TimeoutError',
])
const throttlingNames: ReadonlySet<string> = new Set([
  'LimitExceededException',
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
])
const throttledAttemptsMax = 6
const incurableNames: ReadonlySet<string> = new Set(['CredentialsProviderError'])

/** Whether the same call may succeed later by itself: throttling, faults of service and network. */
export function isCurable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  if (curableNames.has(thrown.name)) return true
  if (incurableNames.has(thrown.name)) return false
  const status = statusOf(thrown)
  return status === undefined || status === 429 || status >= 500 || status < 400
}

/**
 * Tries what a start needs some more times while the service throttles: many that start at once must
 * not fail for it. Everything else is told at once.
 *
 * @throws what `attempt` throws (rejects)
 */
export async function unlessThrottled<Result>(
  dependencies: PatienceDependencies,
  signal: AbortSignal,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const patience = createPatience(dependencies, {
    firstDelayMs: 500,
    delayMsMax: 8_000,
    text: 'the service throttles the start of a consumer; it is tried again',
    fields: {},
  })
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (thrown) {
      const isThrottled = throttlingNames.has(nameOf(thrown))
      if (!isThrottled || count === throttledAttemptsMax || signal.aborted) throw thrown
      await patience.afterFailure(thrown, signal)
    }
  }
}

function statusOf(thrown: Error): number | undefined {
  const metadata = '$metadata' in thrown ? thrown.$metadata : undefined
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const status = 'httpStatusCode' in metadata ? metadata.httpStatusCode : undefined
  return typeof status === 'number' ? status : undefined
}

/** The name of an error says most of it. */
export function reasonOf(thrown: unknown): string {
  const isNamed = thrown instanceof Error && thrown.name !== 'Error'
  return isNamed ? `${thrown.name}: ${thrown.message}` : messageOf(thrown)
}

export const nameOf = (thrown: unknown) => (thrown instanceof Error ? thrown.name : '')
