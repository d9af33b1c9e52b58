import type { KinesisRecord } from '../consumers/shard-reader.ts'

type RecordPlace = Pick<KinesisRecord, 'sequenceNumber' | 'approximateArrivalMs'>

/** Where records are in their shard: the first and the last of them, and how many there are. */
export interface RecordRange {
  readonly first: RecordPlace
  readonly last: RecordPlace
  readonly count: number
}

/** The range with more records behind it; undefined when there are none at all. */
export function extendRange(
  range: RecordRange | undefined,
  records: readonly RecordPlace[],
): RecordRange | undefined {
  const first = records.at(0)
  const last = records.at(-1)
  if (!first || !last) return range
  return {
    first: range?.first ?? placeOf(first),
    last: placeOf(last),
    count: (range?.count ?? 0) + records.length,
  }
}

const placeOf = ({ sequenceNumber, approximateArrivalMs }: RecordPlace): RecordPlace => ({
  sequenceNumber,
  approximateArrivalMs,
})
