/**
 * Decides which records of throttled shards stay on disk, so that the records that a hot shard
 * cannot take do not fill the memory that other shards need.
 *
 * The group of a record is the shard of its partition key's hash, whatever its explicit hash key
 * is: all records of a key are in one group. Records that stay on disk are passed over. Invariants:
 * - Once a record of a group is passed over, every later record of the group is passed over too,
 *   until all of them have been read again: no record of a key overtakes one on disk.
 * - The mark of a group is a sequence. All records of the group between its mark and the sequence
 *   up to which the outbox was read were passed over, and none of them is in memory.
 * - The groups come from one shard map for as long as records of any group are passed over.
 */
import { hashKeyOf } from '../../base/hash-key.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Amount } from '../call/outgoing.ts'
import type { QueueShards } from '../shards/shard-throttles.ts'
import type { ShardMap } from '../shards/shard-map.ts'
import type { SlowKeys } from './slow-keys.ts'

export interface LeftOnDisk {
  /** False while no shard is throttled and no record is passed over: then all are admitted. */
  isActive(): boolean
  /** False while no record is passed over. */
  hasMarks(): boolean
  /** Of records just read, the ones that go to memory. The others are passed over. */
  admit(records: readonly QueuedRecord[]): readonly QueuedRecord[]
  /**
   * The groups whose records should be read again, each with its mark: groups that are no longer
   * throttled, and groups that use less than half of their share of memory.
   */
  groupsToRead(): readonly (readonly [group: string, afterSequence: number])[]
  /** Of records that were read again, the ones of the group. */
  ofGroup(group: string, records: readonly QueuedRecord[]): readonly QueuedRecord[]
  /** The group was read again up to this sequence. */
  readUpTo(group: string, sequence: number): void
  /** All of the group was read again. */
  caughtUp(group: string): void
  /** Reading begins with the oldest record again. */
  clear(): void
}

/** How much all throttled shards, or slow keys, may hold before their records are passed over. */
interface HeldLimits {
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Each group costs a further read over the records that other groups left on disk. */
const groupsMax = 4

export function createLeftOnDisk(
  shards: QueueShards,
  heldFor: (shardId: string) => Amount,
  limits: HeldLimits,
): LeftOnDisk {
  const marks = new Map<string, number>()
  let map: ShardMap | undefined

  function groupOf({ partitionKey }: QueuedRecord): string {
    return map?.shardOf(hashKeyOf(partitionKey)) ?? ''
  }

  /** How much of its share a group uses: 1 is all of it. */
  function fullness({ records, bytes }: Amount): number {
    const share = 1 / Math.max(1, shards.room.count())
    return Math.max(records / (limits.recordsMax * share), bytes / (limits.bytesMax * share))
  }

  /** False when most shards are throttled: then no other shards need the memory. */
  function mayLeaveOnDisk(): boolean {
    return marks.size < groupsMax && 2 * shards.room.count() <= (map?.shardCount ?? 0)
  }

  return {
    isActive: () => marks.size > 0 || shards.room.any(),
    hasMarks: () => marks.size > 0,
    admit(records: readonly QueuedRecord[]) {
      if (marks.size === 0) map = shards.map()
      const admitted: QueuedRecord[] = []
      const heldOf = new Map<string, { records: number; bytes: number }>()
      for (const record of records) {
        const group = groupOf(record)
        if (marks.has(group)) continue
        if (shards.room.isThrottled(group)) {
          const held = heldOf.get(group) ?? { ...heldFor(group) }
          heldOf.set(group, held)
          if (fullness(held) >= 1 && mayLeaveOnDisk()) {
            marks.set(group, record.sequence - 1)
            continue
          }
          held.records += 1
          held.bytes += record.bytes
        }
        admitted.push(record)
      }
      return admitted
    },
    groupsToRead: () =>
      [...marks].filter(
        ([group]) => !shards.room.isThrottled(group) || fullness(heldFor(group)) < 0.5,
      ),
    ofGroup: (group: string, records: readonly QueuedRecord[]) =>
      records.filter((record) => groupOf(record) === group),
    readUpTo(group: string, sequence: number) {
      marks.set(group, sequence)
    },
    caughtUp(group: string) {
      marks.delete(group)
    },
    clear: () => marks.clear(),
  }
}

/** Keys of which records are passed over. The records of further keys go to memory. */
const markedKeysMax = 10_000
const groupOfKeys = 'keys'

/**
 * Decides which records of slow partition keys stay on disk, so that the backlog of a hot key does
 * not fill the memory that other keys need. It does so where `createLeftOnDisk` cannot: no shard
 * is known, or the order `strict` sends one record of a key in a call.
 *
 * Invariants:
 * - Once a record of a key is passed over, every later record of the key is passed over too, until
 *   all of them have been read again.
 * - The mark of a key is a sequence. All records of the key between its mark and the sequence up to
 *   which the outbox was read were passed over, and none of them is in memory.
 *
 * All marked keys are read again together, as one group: reading for each of them alone would cost
 * a further read over the records of all others.
 *
 * @param limits of the records of all slow keys together that are in memory
 */
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
