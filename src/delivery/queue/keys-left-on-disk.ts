/**
 * Decides which records of slow partition keys stay on disk, so that the backlog of a hot key does
 * not fill the memory that other keys need. It does so where left-on-disk.ts cannot: no shard is
 * known, or the order `strict` sends one record of a key in a call.
 *
 * Invariants:
 * - Once a record of a key is passed over, every later record of the key is passed over too, until
 *   all of them have been read again.
 * - The mark of a key is a sequence. All records of the key between its mark and the sequence up to
 *   which the outbox was read were passed over, and none of them is in memory.
 *
 * All marked keys are read again together, as one group: reading for each of them alone would cost
 * a further read over the records of all others.
 */
import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { HeldLimits, LeftOnDisk } from './left-on-disk.ts'
import type { SlowKeys } from './slow-keys.ts'

/** Keys of which records are passed over. The records of further keys go to memory. */
const markedKeysMax = 10_000
const groupOfKeys = 'keys'

/** @param limits of the records of all slow keys together that are in memory */
export function createKeysLeftOnDisk(
  slowKeys: () => SlowKeys | undefined,
  limits: HeldLimits,
): LeftOnDisk {
  const marks = new Map<string, number>()
  /** The marked keys that `groupsToRead` has chosen. */
  let reading: ReadonlySet<string> = new Set()

  /** How much of the limits is used: 1 is all of it. */
  function fullness({ records, bytes }: SlowKeys['held']): number {
    return Math.max(records / limits.recordsMax, bytes / limits.bytesMax)
  }

  /** The marked keys whose records should be read again. */
  function readable(): readonly string[] {
    const slow = slowKeys()
    const keys = [...marks.keys()]
    if (slow === undefined || fullness(slow.held) < 0.5) return keys
    return keys.filter((key) => !slow.has(key))
  }

  return {
    hasMarks: () => marks.size > 0,
    isActive: () => marks.size > 0 || slowKeys() !== undefined,
    admit(records: readonly QueuedRecord[]) {
      const slow = slowKeys()
      const held = slow === undefined ? { records: 0, bytes: 0 } : { ...slow.held }
      return records.filter(({ partitionKey, sequence, bytes }) => {
        if (marks.has(partitionKey)) return false
        if (slow?.has(partitionKey) !== true) return true
        if (fullness(held) >= 1 && marks.size < markedKeysMax) {
          marks.set(partitionKey, sequence - 1)
          return false
        }
        held.records += 1
        held.bytes += bytes
        return true
      })
    },
    groupsToRead() {
      if (marks.size === 0) return []
      reading = new Set(readable())
      let afterSequence = Infinity
      for (const key of reading) afterSequence = Math.min(afterSequence, marks.get(key) ?? Infinity)
      return reading.size === 0 ? [] : [[groupOfKeys, afterSequence]]
    },
    ofGroup: (_group: string, records: readonly QueuedRecord[]) =>
      records.filter(({ partitionKey, sequence }) => {
        const mark = reading.has(partitionKey) ? marks.get(partitionKey) : undefined
        return mark !== undefined && sequence > mark
      }),
    readUpTo(_group: string, sequence: number) {
      for (const key of reading) {
        const mark = marks.get(key)
        if (mark !== undefined && mark < sequence) marks.set(key, sequence)
      }
    },
    caughtUp() {
      for (const key of reading) marks.delete(key)
    },
    clear: () => marks.clear(),
  }
}

/**
 * Both ways of leaving records on disk as one. Only one of them passes records over at a time:
 * otherwise a record that one of them reads again could overtake one of its key that the other has
 * left on disk.
 */
export function combineLeftOnDisk(byShard: LeftOnDisk, byKey: LeftOnDisk): LeftOnDisk {
  const current = (): LeftOnDisk => (byKey.hasMarks() ? byKey : byShard)
  return {
    isActive: () => byShard.isActive() || byKey.isActive(),
    admit(records) {
      if (byKey.hasMarks()) return byKey.admit(records)
      const admitted = byShard.admit(records)
      return byShard.hasMarks() ? admitted : byKey.admit(admitted)
    },
    hasMarks: () => byShard.hasMarks() || byKey.hasMarks(),
    groupsToRead: () => current().groupsToRead(),
    ofGroup: (group, records) => current().ofGroup(group, records),
    readUpTo: (group, sequence) => current().readUpTo(group, sequence),
    caughtUp: (group) => current().caughtUp(group),
    clear() {
      byShard.clear()
      byKey.clear()
    },
  }
}
