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
export interface HeldLimits {
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
