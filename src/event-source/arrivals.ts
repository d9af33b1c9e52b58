import type { ShardRead } from '../consumers/shard-reader.ts'

/**
 * When the records of a shard arrived, by the monotonic clock of this process, so that a change of
 * the time of day does not change their age while they wait.
 *
 * The age of a record at its read follows from the time of day, which may be wrong. But a record
 * that is read after the reader was at the tip of the shard has arrived since then.
 */
type ArrivalsOf = (read: ShardRead) => (approximateArrivalMs: number) => number

/** @returns a function to call for each read of a shard, in order */
export function createArrivals(): ArrivalsOf {
  let atTipMs = Number.NEGATIVE_INFINITY
  return ({ asOfMs, readMs, millisBehindLatest }) => {
    const earliestMs = atTipMs
    if (millisBehindLatest === 0) atTipMs = readMs
    return (arrivalMs) => Math.max(earliestMs, readMs - Math.max(0, asOfMs - arrivalMs))
  }
}
