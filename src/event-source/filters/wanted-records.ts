import { openAggregate } from '../../consumers/aggregate.ts'
import type { KinesisRecord, ShardDescription } from '../../consumers/shard-reader.ts'
import type { RecordFilter } from './record-filter.ts'

interface WantedRecordsOptions {
  /** A record passes when one filter accepts it; without filters every record passes. */
  readonly filters: readonly RecordFilter[]
  /**
   * Whether records of the Kinesis Producer Library are opened before they are filtered. Lambda
   * filters aggregates only for mappings with the ARN of a consumer ("Filtering Kinesis aggregated
   * records" of its Developer Guide, of which only the title could be read).
   */
  readonly opensAggregates: boolean
}

/** @returns a function that gives the records in a record that pass, in order */
export function createWantedRecords(
  { filters, opensAggregates }: WantedRecordsOptions,
  shard: Pick<ShardDescription, 'startingHashKey' | 'endingHashKey'>,
): (record: KinesisRecord) => readonly KinesisRecord[] {
  if (filters.length === 0) return (record) => [record]
  const passes = (record: KinesisRecord) => filters.some((accepts) => accepts(record))
  return (record) =>
    (opensAggregates ? openAggregate(record, shard) : [record]).filter((part) => passes(part))
}
