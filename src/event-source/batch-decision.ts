import { unreachable } from '../base/unreachable.ts'

/**
 * What becomes of a batch after an invocation, as Lambda decides it (Lambda Developer Guide, "Using
 * Lambda to process records from Amazon Kinesis Data Streams"). Pure, so that a table and a property
 * can hold it to these invariants:
 *
 * - the records of a part are finished, given up or in a part that follows, in order: none is lost;
 * - a part that follows is shorter, or has failed more often: with a limit on retries it ends;
 * - records that were reported as done are not handed over again.
 */
export interface BatchPart {
  /** Records in it, at least one. */
  readonly count: number
  /** Invocations that count towards the limit of retries. */
  readonly failedCalls: number
}

/** How an invocation for a part went. */
export type PartResult =
  | { readonly kind: 'succeeded' }
  /** The function failed, or said that nothing is done. */
  | { readonly kind: 'failed' }
  /** The records before `index` are done, and that one is not: 0 < index < count. */
  | { readonly kind: 'failedFrom'; readonly index: number }
  /** Throttled, or out of reach: the function has not seen it. */
  | { readonly kind: 'notInvoked' }

interface RetrySettings {
  /** BisectBatchOnFunctionError */
  readonly bisects: boolean
  /** MaximumRetryAttempts; -1: as long as the record can be read. */
  readonly retriesMax: number
}

interface BatchDecision {
  /** Records at the beginning of the part that are done. */
  readonly finishedCount: number
  /** Records after those that are given up: retries are exhausted. */
  readonly givenUpCount: number
  /** What is left, in order. */
  readonly next: readonly BatchPart[]
  /** Whether the next invocation is to wait a little. */
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
  // Cut off where the function says, which is a split and no attempt.
  if (settings.bisects) return { givenUpCount: 0, next: [rest], isDelayed: true }
  return afterFailure(rest, settings)
}

function afterFailure(
  { count, failedCalls }: BatchPart,
  { bisects, retriesMax }: RetrySettings,
): Omit<BatchDecision, 'finishedCount'> {
  if (bisects && count > 1) {
    // A split does not count towards the limit.
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
 * Records at the beginning that are older than MaximumRecordAgeInSeconds; -1: none is too old.
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
