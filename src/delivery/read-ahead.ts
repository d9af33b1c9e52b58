import type { Outbox, QueuedRecord, ReadLimits } from '../outbox/outbox.ts'
import type { LeftOnDisk } from './queue/left-on-disk.ts'
import type { Amount } from './call/outgoing.ts'

/** Records of a destination in memory: enough for 16 full calls and the next ones. */
export const readAheadRecordsMax = 12_000
/** Their bytes; one record may be larger. */
const readAheadBytesMax = 32 * 1024 * 1024
/** The same, for all destinations together, but for what each of them may always have. */
const readAheadTotalBytesMax = 96 * 1024 * 1024
/** A destination that holds nothing may read so much, whatever the others hold. */
const readBytesAlways = 64 * 1024
/** No smaller reads while more waits in memory than this: a read has a price of its own. */
const readRecordsMin = 500
/** Nor larger ones: what is read early lives long, and is garbage of the dear kind when it goes. */
const readRecordsMax = 2_000
/** Of these, those that throttled shards hold; what is more stays on disk. */
export const heldRecordsMaxDefault = 4_000
export const heldBytesMax = 8 * 1024 * 1024
/** Smaller reads while some are passed over: their keys are hashed. */
const readBesideMax = 500
/** Reads in a row that may find nothing but records to pass over. */
const readsInVainMax = 2

/** What all destinations hold in memory. */
export interface ReadBudget {
  roomBytes(): number
  held(changeBytes: number): void
}

export function createReadBudget(bytesMax = readAheadTotalBytesMax): ReadBudget {
  let heldBytes = 0
  return {
    roomBytes: () => bytesMax - heldBytes,
    held(changeBytes: number) {
      heldBytes += changeBytes
    },
  }
}

/** Reads the records of one destination from the outbox, each once, in order. */
export interface ReadAhead {
  /** The next records, as far as there is room beside those held in memory. */
  next(held: Amount): readonly QueuedRecord[]
  /** The next records if none are held: enough for the one call that tries a destination. */
  nextToTry(held: Amount, limits: ReadLimits): readonly QueuedRecord[]
  /** True when much was read and passed over, and there may be records behind it that go. */
  isBehind(): boolean
  /** There are new records to read. */
  appended(): void
  /** What was read is forgotten: reading begins with the oldest record again. */
  restart(): void
  /** The oldest records, for a look at them. */
  oldest(countMax: number): readonly QueuedRecord[]
}

interface ReadAheadDependencies {
  readonly outbox: Pick<Outbox, 'read'>
  readonly destinationId: number
  readonly budget: ReadBudget
  /** True for records that are being given up: they are not to be sent. */
  readonly isGivenUp: (sequence: number) => boolean
  readonly leftOnDisk: LeftOnDisk
}

export function createReadAhead(parts: ReadAheadDependencies): ReadAhead {
  const { outbox, destinationId, budget, isGivenUp, leftOnDisk } = parts
  let lastSequence = 0
  let exhausted = false
  let isBehind = false

  const staying = (records: readonly QueuedRecord[]) =>
    records.filter(({ sequence }) => !isGivenUp(sequence))

  function readOn(limits: ReadLimits): readonly QueuedRecord[] {
    if (exhausted) return []
    const records = outbox.read(destinationId, lastSequence, limits)
    lastSequence = records.at(-1)?.sequence ?? lastSequence
    exhausted = records.length === 0
    return staying(records)
  }

  /** Reads again what was passed over of a group, up to where the outbox was read. */
  function readAgain(group: string, afterSequence: number, limits: ReadLimits) {
    const records = outbox.read(destinationId, afterSequence, limits)
    const last = records.at(-1)
    if (last === undefined || last.sequence > lastSequence) leftOnDisk.caughtUp(group)
    else leftOnDisk.readUpTo(group, last.sequence)
    const passed = records.filter(({ sequence }) => sequence <= lastSequence)
    return staying(leftOnDisk.ofGroup(group, passed))
  }

  function readLeftOnDisk(limits: ReadLimits): readonly QueuedRecord[] {
    const records: QueuedRecord[] = []
    for (const [group, afterSequence] of leftOnDisk.groupsToRead()) {
      for (const record of readAgain(group, afterSequence, limits)) records.push(record)
      if (records.length >= limits.countMax) break
    }
    return records
  }

  function readBeside(limits: ReadLimits, isRoomy: boolean): readonly QueuedRecord[] {
    const few = { ...limits, countMax: Math.min(limits.countMax, readBesideMax) }
    for (let time = 0; time < readsInVainMax; time++) {
      const again = isRoomy ? readLeftOnDisk(few) : []
      const records = [...again, ...leftOnDisk.admit(readOn(few))]
      const isAll = exhausted && !(isRoomy && leftOnDisk.groupsToRead().length > 0)
      if (records.length > 0 || isAll) return records
    }
    isBehind = true
    return []
  }

  function read(limits: ReadLimits, isRoomy: boolean): readonly QueuedRecord[] {
    isBehind = false
    return leftOnDisk.isActive() ? readBeside(limits, isRoomy) : readOn(limits)
  }

  return {
    next(held: Amount) {
      const countMax = readAheadRecordsMax - held.records
      const roomBytes = Math.min(readAheadBytesMax - held.bytes, budget.roomBytes())
      const bytesMax = held.records === 0 ? Math.max(readBytesAlways, roomBytes) : roomBytes
      isBehind = false
      if (countMax < readRecordsMin || bytesMax <= 0) return []
      const isRoomy = countMax > readAheadRecordsMax / 2
      return read({ countMax: Math.min(countMax, readRecordsMax), bytesMax }, isRoomy)
    },
    nextToTry: (held: Amount, limits: ReadLimits) => (held.records > 0 ? [] : read(limits, true)),
    isBehind: () => isBehind,
    appended() {
      exhausted = false
    },
    restart() {
      lastSequence = 0
      exhausted = false
      isBehind = false
      leftOnDisk.clear()
    },
    oldest: (countMax: number) =>
      staying(outbox.read(destinationId, 0, { countMax, bytesMax: readAheadBytesMax })),
  }
}
