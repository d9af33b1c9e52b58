import type { ShardRead } from '../consumers/shard-reader.ts'

/**
 * When the records of a shard arrived, by the monotonic clock of this process: their age goes on by
 * it, whatever is done to the time of day while they wait.
 *
 * When they are read, their age is what the time of day says, which may be wrong. But what a reader
 * finds after it was at the tip of the shard has arrived since then.
 */
type ArrivalsOf = (read: ShardRead) => (approximateArrivalMs: number) => number

/** @returns to be called for each read of a shard, in order */
export function createArrivals(): ArrivalsOf {
  let atTipMs = Number.NEGATIVE_INFINITY
  return ({ asOfMs, readMs, millisBehindLatest }) => {
    const earliestMs = atTipMs
    if (millisBehindLatest === 0) atTipMs = readMs
    return (arrivalMs) => Math.max(earliestMs, readMs - Math.max(0, asOfMs - arrivalMs))
  }
}
