import { SluiceError } from '../errors.ts'
import type { Metrics } from '../telemetry.ts'
import { countByAction } from './action-counts.ts'
import type { RecordOwner } from './action-counts.ts'
import type { DestinationTable } from './destination-table.ts'
import type { StoredEntry } from './outbox-store.ts'
import { payloadBytesOf } from './record-codec.ts'

/** An accepted record, as far as it is counted. */
interface Accepted extends RecordOwner {
  readonly destinationId: number
  readonly bytes: number
}

/** How much the outbox holds, in all and for each destination; kept equal to the metrics. */
export interface Counts {
  /** Counts what an earlier process left; returns the highest sequence, 0 when there is none. */
  addStored(entries: Iterable<StoredEntry>): number
  accepted(records: readonly Accepted[]): void
  removed(destinationId: number, records: readonly { readonly bytes: number }[]): void
  total(): { readonly records: number; readonly bytes: number }
}

interface CountsDependencies {
  readonly metrics: Pick<Metrics, 'outboxRecords' | 'outboxBytes' | 'recordsAccepted'>
}

export function createCounts(table: DestinationTable, { metrics }: CountsDependencies): Counts {
  const total = { records: 0, bytes: 0 }

  function count(destinationId: number, records: number, bytes: number): void {
    const entry = table.entryWithId(destinationId)
    if (entry === undefined) {
      const message = `The outbox holds records of destination ${destinationId}, which it lacks`
      throw new SluiceError('DataFolderUnusable', message)
    }
    total.records += records
    total.bytes += bytes
    entry.records += records
    entry.bytes += bytes
  }

  function publish(): void {
    metrics.outboxRecords.set(total.records)
    metrics.outboxBytes.set(total.bytes)
  }

  return Object.freeze({
    addStored(entries: Iterable<StoredEntry>) {
      let lastSequence = 0
      for (const { destinationId, sequence, value } of entries) {
        count(destinationId, 1, payloadBytesOf(value))
        lastSequence = Math.max(lastSequence, sequence)
      }
      publish()
      return lastSequence
    },
    accepted(records: readonly Accepted[]) {
      for (const { destinationId, bytes } of records) count(destinationId, 1, bytes)
      countByAction(metrics.recordsAccepted, records)
      publish()
    },
    removed(destinationId: number, records: readonly { readonly bytes: number }[]) {
      const bytes = records.reduce((sum, record) => sum + record.bytes, 0)
      count(destinationId, -records.length, -bytes)
      publish()
    },
    total: () => ({ ...total }),
  })
}
