import type { NewRecord } from '../outbox/outbox.ts'
import { propertiesBytes } from '../storage/stored-properties.ts'

/** What a record takes beside its data, roughly. */
export const recordOverheadBytes = 512

/**
 * The bytes of records. Records that follow each other share their message, and their data where it
 * is the same buffer.
 *
 * @param before the record before them, which is counted already
 */
export function bytesOfRecords(records: readonly NewRecord[], before?: NewRecord): number {
  let bytes = 0
  let last = before
  for (const record of records) {
    const { data, source } = record
    bytes += recordOverheadBytes
    if (source.payload !== last?.source.payload) {
      bytes += source.payload.length
      if (source.mqtt5 !== undefined) bytes += propertiesBytes(source.mqtt5)
    }
    if (data !== source.payload && data !== last?.data) bytes += data.length
    last = record
  }
  return bytes
}
