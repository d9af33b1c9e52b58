import type { Outbox, QueuedRecord, ReadLimits } from '../outbox/outbox.ts'
import type { Amount } from './send-queue.ts'

/** Records of a destination in memory: enough for 16 full calls and the next ones. */
export const readAheadRecordsMax = 12_000
/** Their bytes; one record may be larger. */
export const readAheadBytesMax = 32 * 1024 * 1024
/** The same, for all destinations together, but for what each of them may always have. */
export const readAheadTotalBytesMax = 96 * 1024 * 1024
/** A destination that holds nothing may read so much, whatever the others hold. */
const readBytesAlways = 64 * 1024
/** No smaller reads while more waits in memory than this: a read has a price of its own. */
const readRecordsMin = 500

/** What all destinations hold in memory. */
export interface ReadBudget {
  roomBytes(): number
  held(changeBytes: number): void
}

export function createReadBudget(bytesMax = readAheadTotalBytesMax): ReadBudget {
  let heldBytes = 0
  return Object.freeze({
    roomBytes: () => bytesMax - heldBytes,
    held(changeBytes: number) {
      heldBytes += changeBytes
    },
  })
}

/** Reads the records of one destination from the outbox, each once, in order. */
export interface ReadAhead {
  /** The next records, as far as there is room beside those held in memory. */
  next(held: Amount): readonly QueuedRecord[]
  /** The next records if none are held: enough for the one call that tries a destination. */
  nextToTry(held: Amount, limits: ReadLimits): readonly QueuedRecord[]
  /** There are new records to read. */
  appended(): void
  /** What was read is forgotten: reading begins with the oldest record again. */
  restart(): void
  /** The oldest records, for a look at them. */
  oldest(countMax: number): readonly QueuedRecord[]
}

export interface ReadAheadParts {
  readonly outbox: Pick<Outbox, 'read'>
  readonly destinationId: number
  readonly budget: ReadBudget
  /** True for records that are being given up: they are not to be sent. */
  readonly isLeaving: (sequence: number) => boolean
}

export function createReadAhead(parts: ReadAheadParts): ReadAhead {
  const { outbox, destinationId, budget, isLeaving } = parts
  let lastSequence = 0
  let exhausted = false

  function read(limits: ReadLimits): readonly QueuedRecord[] {
    if (exhausted) return []
    const records = outbox.read(destinationId, lastSequence, limits)
    lastSequence = records.at(-1)?.sequence ?? lastSequence
    exhausted = records.length === 0
    return records.filter(({ sequence }) => !isLeaving(sequence))
  }

  return Object.freeze({
    next(held: Amount) {
      const countMax = readAheadRecordsMax - held.records
      const roomBytes = Math.min(readAheadBytesMax - held.bytes, budget.roomBytes())
      const bytesMax = held.records === 0 ? Math.max(readBytesAlways, roomBytes) : roomBytes
      return countMax < readRecordsMin || bytesMax <= 0 ? [] : read({ countMax, bytesMax })
    },
    nextToTry: (held: Amount, limits: ReadLimits) => (held.records > 0 ? [] : read(limits)),
    appended() {
      exhausted = false
    },
    restart() {
      lastSequence = 0
      exhausted = false
    },
    oldest: (countMax: number) =>
      outbox
        .read(destinationId, 0, { countMax, bytesMax: readAheadBytesMax })
        .filter(({ sequence }) => !isLeaving(sequence)),
  })
}
