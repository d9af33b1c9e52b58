import type { KinesisRecord } from '../../consumers/shard-reader.ts'
import { readJson } from '../../sql/values/json-reader.ts'
import { numberFromText } from '../../sql/values/numbers.ts'
import { compileFilterPattern, membersOfPattern, notJson } from './filter-pattern.ts'
import type { FilteredValue } from './filter-pattern.ts'

/** Whether a record passes the filters of a mapping. */
export type RecordFilter = (record: KinesisRecord) => boolean

/**
 * Compiles the filters of a mapping. A record passes when one of the patterns accepts it.
 *
 * Patterns see the record as one document: `data`, which is JSON, and what Kinesis knows of it.
 *
 * @param patterns at least one
 * @throws InvalidPattern
 */
export function createRecordFilter(patterns: readonly string[]): RecordFilter {
  const compiled = patterns.map(compileFilterPattern)
  const readsData = patterns.some((pattern) => membersOfPattern(pattern).includes('data'))
  return (record) => {
    const value = recordValue(record, readsData)
    return compiled.some((accepts) => accepts(value))
  }
}

/** The members have the names of the event. */
function recordValue(record: KinesisRecord, readsData: boolean): FilteredValue {
  return new Map<string, FilteredValue>([
    ['kinesisSchemaVersion', '1.0'],
    ['partitionKey', record.partitionKey],
    ['sequenceNumber', record.sequenceNumber],
    ['approximateArrivalTimestamp', numberFromText(String(record.approximateArrivalMs / 1_000))],
    ['data', readsData ? (readJson(record.data.toString('utf8')) ?? notJson) : notJson],
  ])
}
