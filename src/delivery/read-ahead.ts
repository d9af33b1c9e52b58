import type { Outbox, QueuedRecord, ReadLimits } from '../outbox/outbox.ts'
import type { LeftOnDisk } from './queue/left-on-disk.ts'
import type { Amount } from './call/outgoing.ts'

/** Records of a destination in memory: enough for 16 full calls and the calls after them. */
export const readAheadRecordsMax = 12_000
/** Bytes of a destination in memory. One record may be larger. */
const readAheadBytesMax = 32 * 1024 * 1024
/** Bytes of all destinations together, apart from `readBytesAlways` for each. */
const readAheadTotalBytesMax = 96 * 1024 * 1024
/** A destination without records in memory may read this much, whatever the others hold. */
const readBytesAlways = 64 * 1024
/** Below this room no read starts, because each read has a cost of its own. */
const readRecordsMin = 500
/**
 * Larger reads live long enough to be promoted to V8's old generation, where collecting them is
 * expensive.
 */
const readRecordsMax = 2_000
/** The part of these records that throttled shards may hold. Further ones stay on disk. */
export const heldRecordsMaxDefault = 4_000
export const heldBytesMax = 8 * 1024 * 1024
/** Reads are smaller while records are passed over, because their partition keys are hashed. */
const readBesideMax = 500
/** Reads in a row that may find only records to pass over. */
const readsInVainMax = 2

/** The memory that all destinations share. */
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

/** Reads the records of one destination from the outbox, each of them once and in order. */
export interface ReadAhead {
  /** The next records, as far as there is room beside the records in memory. */
  next(held: Amount): readonly QueuedRecord[]
  /** The next records when none are in memory: enough for the one call that tries a destination. */
  nextToTry(held: Amount, limits: ReadLimits): readonly QueuedRecord[]
  /** True when the last reads were passed over and records behind them may be sent. */
  isBehind(): boolean
  /** The outbox has new records. */
  appended(): void
  /** Starts again with the oldest record, because all records in memory were forgotten. */
  restart(): void
  /** The oldest records. Reading them here does not move the position of `next`. */
  oldest(countMax: number): readonly QueuedRecord[]
}

interface ReadAheadDependencies {
  readonly outbox: Pick<Outbox, 'read'>
  readonly destinationId: number
  readonly budget: ReadBudget
  /** True for records that are being given up, which must not be sent. */
  readonly isGivenUp: (sequence: number) => boolean
  readonly leftOnDisk: LeftOnDisk
}

export function createReadAhead(dependencies: ReadAheadDependencies): ReadAhead {
  const { outbox, destinationId, budget, isGivenUp, leftOnDisk } = dependencies
  let lastSequence = 0
  let exhausted = false
  let isBehind = false

  const isThere = ({ sequence }: QueuedRecord) => !isGivenUp(sequence)

  function readOn(limits: ReadLimits): readonly QueuedRecord[] {
    if (exhausted) return []
    const records = outbox.read(destinationId, lastSequence, limits)
    lastSequence = records.at(-1)?.sequence ?? lastSequence
    exhausted = records.length === 0
    return records.filter(isThere)
  }

  /** Reads the passed-over records of a group again, up to the position of `readOn`. */
  function readAgain(group: string, afterSequence: number, limits: ReadLimits) {
    const records = outbox.read(destinationId, afterSequence, limits)
    const passed = records.filter(({ sequence }) => sequence <= lastSequence)
    const ofGroup = leftOnDisk.ofGroup(group, passed)
    const last = records.at(-1)
    if (last === undefined || last.sequence > lastSequence) leftOnDisk.caughtUp(group)
    else leftOnDisk.readUpTo(group, last.sequence)
    return ofGroup.filter(isThere)
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
    for (let count = 0; count < readsInVainMax; count++) {
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
      outbox.read(destinationId, 0, { countMax, bytesMax: readAheadBytesMax }).filter(isThere),
  }
}
