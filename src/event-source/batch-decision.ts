import { unreachable } from '../base/unreachable.ts'

/**
 * What happens to a batch after an invocation, as Lambda decides it (Lambda Developer Guide, "Using
 * Lambda to process records from Amazon Kinesis Data Streams"). The decisions
 * are pure functions with these invariants:
 *
 * - each record of a part is finished, given up, or in a following part, in order: none is lost;
 * - a following part is shorter, or has failed more often, so a limit on retries ends it;
 * - records that the function reported as done are not handed over again.
 */
export interface BatchPart {
  /** Records in the part, at least one. */
  readonly count: number
  /** Failed invocations that count towards MaximumRetryAttempts. */
  readonly failedCalls: number
}

/** How an invocation for a part went. */
export type PartResult =
  | { readonly kind: 'succeeded' }
  /** The function failed, or reported that no record is done. */
  | { readonly kind: 'failed' }
  /** The records before `index` are done, and the one at `index` is not: 0 < index < count. */
  | { readonly kind: 'failedFrom'; readonly index: number }
  /** The function was throttled or unreachable, so it has not seen the part. */
  | { readonly kind: 'notInvoked' }

interface RetrySettings {
  /** BisectBatchOnFunctionError */
  readonly bisects: boolean
  /** MaximumRetryAttempts; -1 retries until the records expire. */
  readonly retriesMax: number
}

interface BatchDecision {
  /** Records at the beginning of the part that are done. */
  readonly finishedCount: number
  /** Records after these that are given up, because their retries are exhausted. */
  readonly givenUpCount: number
  /** The remaining parts, in order. */
  readonly next: readonly BatchPart[]
  /** Whether the next invocation waits for the backoff. */
  readonly isDelayed: boolean
}

/** Decides what becomes of `part` after `result`. */
export function decideBatch(
  part: BatchPart,
  result: PartResult,
  settings: RetrySettings,
): BatchDecision {
  switch (result.kind) {
    case 'succeeded':
      return { finishedCount: part.count, givenUpCount: 0, next: [], isDelayed: false }
    case 'notInvoked':
      return { finishedCount: 0, givenUpCount: 0, next: [part], isDelayed: true }
    case 'failed':
      return { finishedCount: 0, ...afterFailure(part, settings) }
    case 'failedFrom':
      return { finishedCount: result.index, ...afterPartialFailure(part, result.index, settings) }
    default:
      return unreachable(result)
  }
}

function afterPartialFailure(
  { count, failedCalls }: BatchPart,
  index: number,
  settings: RetrySettings,
): Omit<BatchDecision, 'finishedCount'> {
  const rest = { count: count - index, failedCalls }
  // The batch is split where the function says. A split does not count as an attempt.
  if (settings.bisects) return { givenUpCount: 0, next: [rest], isDelayed: true }
  return afterFailure(rest, settings)
}

function afterFailure(
  { count, failedCalls }: BatchPart,
  { bisects, retriesMax }: RetrySettings,
): Omit<BatchDecision, 'finishedCount'> {
  if (bisects && count > 1) {
    // A split does not count as an attempt.
    const half = Math.ceil(count / 2)
    const next = [
      { count: half, failedCalls },
      { count: count - half, failedCalls },
    ]
    return { givenUpCount: 0, next, isDelayed: false }
  }
  const isLast = retriesMax >= 0 && failedCalls >= retriesMax
  if (isLast) return { givenUpCount: count, next: [], isDelayed: false }
  return { givenUpCount: 0, next: [{ count, failedCalls: failedCalls + 1 }], isDelayed: true }
}

/**
 * Counts the leading records that are older than MaximumRecordAgeInSeconds; -1 allows any age.
 * @param nowMs by the monotonic clock
 */
export function countTooOld(
  records: readonly { readonly sinceMs: number }[],
  ageSecondsMax: number,
  nowMs: number,
): number {
  if (ageSecondsMax < 0) return 0
  const youngest = records.findIndex(({ sinceMs }) => nowMs - sinceMs <= ageSecondsMax * 1_000)
  return youngest < 0 ? records.length : youngest
}
