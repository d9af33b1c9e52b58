import type { DeliverySettings } from '../../outbox/outbox.ts'
import type { Amount } from './outgoing.ts'

/**
 * When a call that is not full starts. One that is full starts at once, and so does the first after
 * a rest: a lone record is not held up. Others follow each other at a small distance, because a
 * call has a price of its own, however few records it takes: without it, a steady flow is cut into
 * as many calls as can be in flight.
 */
export interface CallSpacing {
  /** How long to wait before the next call, which could take `ready`; 0: it may start. */
  delayMs(nowMs: number, ready: Amount): number
  started(nowMs: number): void
  /** A call that could take so much is full. */
  isFull(ready: Amount): boolean
  /** Records that make a call full. */
  recordsMax(): number
  /** The role allows PutRecord alone. */
  oneRecordPerCall(): void
}

/**
 * Between the starts of two calls that are not full: 100 of them a second at most. A call costs
 * about 1 ms of CPU beside its records: at 5 ms, 10,000 records/s cost half as much again.
 */
export const callSpacingMs = 10

export function createCallSpacing({
  ordering,
  batching,
}: Pick<DeliverySettings, 'ordering' | 'batching'>): CallSpacing {
  let recordsMax = batching.count
  let startedMs = -Infinity
  let waitingSinceMs: number | undefined
  // One record of a key in a call: what is ready says little of what waits.
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
      startedMs = nowMs
      waitingSinceMs = undefined
    },
    recordsMax: () => recordsMax,
    oneRecordPerCall() {
      recordsMax = 1
    },
  }
}
