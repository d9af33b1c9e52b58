/**
 * Counters that are on disk and in memory: rows of numbers. Each row has the numbers as they are
 * now (`live`) and as the last commit left them on disk (`stored`). Deliveries count in `live` at
 * once and are on disk a little later; everything else counts in `live` when it is durable.
 *
 * On disk a row is its numbers as 64-bit floats, big-endian: whole numbers up to 2^53 are exact.
 */
import { SluiceError } from '../../base/errors.ts'

const numberBytes = 8

export interface CounterRow {
  readonly live: number[]
  readonly stored: number[]
}

/** What is to be added to rows, summed up: a commit moves many records of few rows. */
export interface CounterSums<Row extends CounterRow> {
  add(row: Row, delta: readonly number[], times?: number): void
  entries(): ReadonlyMap<Row, readonly number[]>
}

export function createCounterSums<Row extends CounterRow>(): CounterSums<Row> {
  const sums = new Map<Row, number[]>()
  return {
    add(row: Row, delta: readonly number[], times = 1) {
      const sum = sums.get(row)
      if (sum) addTo(sum, delta, times)
      else
        sums.set(
          row,
          delta.map((number) => number * times),
        )
    },
    entries: () => sums,
  }
}

/** The row on disk once `delta` is added. */
export function encodeCounters(stored: readonly number[], delta: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(stored.length * numberBytes)
  for (const [index, number] of stored.entries()) {
    bytes.writeDoubleBE(number + (delta[index] ?? 0), index * numberBytes)
  }
  return bytes
}

/** @throws SluiceError DataFolderUnusable when these are not `count` counters */
export function decodeCounters(bytes: Buffer, count: number): number[] {
  if (bytes.length !== count * numberBytes) {
    throw new SluiceError('DataFolderUnusable', 'The outbox holds counters that it cannot read')
  }
  return Array.from({ length: count }, (_, index) => bytes.readDoubleBE(index * numberBytes))
}

export function addTo(target: number[], delta: readonly number[], times = 1): void {
  for (let index = 0; index < delta.length; index++) {
    target[index] = (target[index] ?? 0) + (delta[index] ?? 0) * times
  }
}
