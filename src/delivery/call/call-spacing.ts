import type { DeliverySettings } from '../../outbox/outbox.ts'
import type { Amount, CallLimits } from './outgoing.ts'

/**
 * Decides when a call that is not full starts. A full call starts at once, and so does the first
 * call after a rest, so that a lone record is not delayed. Other calls follow each other at a small
 * distance: each call has a cost of its own, however few records it holds, and without the distance
 * a steady flow would be cut into as many calls as may be in flight.
 */
export interface CallSpacing {
  /** How long to wait before the next call, which could take `ready`; 0 when it may start. */
  delayMs(nowMs: number, ready: Amount): number
  started(nowMs: number): void
  /** Whether a call that takes `ready` is full. */
  isFull(ready: Amount): boolean
  /** The records and bytes of a full call. */
  limits(): CallLimits
  /** For a while each call takes one record, because PutRecords was denied just now. */
  oneRecordPerCall(nowMs: number): void
}

/**
 * The distance between the starts of two calls that are not full: at most 100 of them a second. A
 * call costs about 1 ms of CPU beside its records; at 5 ms, 10,000 records/s take half as much CPU
 * again.
 */
export const callSpacingMs = 10
/**
 * How long PutRecords is not tried after it was denied. The role may be corrected at any time, and
 * a try costs one call.
 */
export const putRecordsDeniedMs = 300_000

export function createCallSpacing({
  ordering,
  batching,
}: Pick<DeliverySettings, 'ordering' | 'batching'>): CallSpacing {
  let recordsMax = batching.count
  let startedMs = -Infinity
  let triesPutRecordsMs = Infinity
  let waitingSinceMs: number | undefined
  // With one record of a key per call, the records that are ready say little about those that wait.
  const spacingMs = ordering === 'strict' ? 0 : callSpacingMs
  const isFull = (ready: Amount) => ready.records >= recordsMax || ready.bytes >= batching.bytes
  return {
    isFull,
    delayMs(nowMs: number, ready: Amount) {
      if (ready.records === 0) return 0
      waitingSinceMs ??= nowMs
      if (isFull(ready)) return 0
      const dueMs = Math.max(startedMs + spacingMs, waitingSinceMs + batching.periodMs)
      return Math.max(0, dueMs - nowMs)
    },
    started(nowMs: number) {
      if (nowMs >= triesPutRecordsMs) recordsMax = batching.count
      startedMs = nowMs
      waitingSinceMs = undefined
    },
    limits: () => ({ recordsMax, bytesMax: batching.bytes }),
    oneRecordPerCall(nowMs: number) {
      recordsMax = 1
      triesPutRecordsMs = nowMs + putRecordsDeniedMs
    },
  }
}
