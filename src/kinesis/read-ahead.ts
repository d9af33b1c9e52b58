import type { Outbox, QueuedRecord } from '../outbox/outbox.ts'

/** Records of a destination in memory: enough for 16 full calls and the next ones. */
export const readAheadRecordsMax = 12_000
/** Their bytes; one record may be larger. */
export const readAheadBytesMax = 32 * 1024 * 1024
/** No smaller reads while more waits in memory than this: a read has a price of its own. */
const readRecordsMin = 500

/** Reads the records of one destination from the outbox, each once, in order. */
export interface ReadAhead {
  /** The next records, as far as there is room beside those held in memory. */
  next(held: { readonly records: number; readonly bytes: number }): readonly QueuedRecord[]
  /** There are new records to read. */
  appended(): void
}

export function createReadAhead(outbox: Pick<Outbox, 'read'>, destinationId: number): ReadAhead {
  let lastSequence = 0
  let exhausted = false
  return Object.freeze({
    next(held: { readonly records: number; readonly bytes: number }) {
      const countMax = readAheadRecordsMax - held.records
      const bytesMax = readAheadBytesMax - held.bytes
      if (exhausted || countMax < readRecordsMin || bytesMax <= 0) return []
      const records = outbox.read(destinationId, lastSequence, { countMax, bytesMax })
      lastSequence = records.at(-1)?.sequence ?? lastSequence
      exhausted = records.length === 0
      return records
    },
    appended() {
      exhausted = false
    },
  })
}
