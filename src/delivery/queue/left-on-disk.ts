/**
 * Which records of throttled shards stay on disk: what a hot shard cannot take is not to fill the
 * memory that the others need, too.
 *
 * Records go by the group of their partition key: the shard of its hash, whatever explicit hash key
 * they bring, so that all records of a key are of one group. Invariants:
 * - From the first record of a group that is passed over until all of them are read again, every
 *   record of the group is passed over: nothing of a key overtakes what is on disk.
 * - Of what lies between a group's mark and the place up to which the outbox was read, all records
 *   of the group were passed over, and none is in memory.
 * - Groups are those of one shard map for as long as any is passed over.
 */
import { hashKeyOf } from '../../base/hash-key.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Amount } from '../call/outgoing.ts'
import type { QueueShards } from '../shards/shard-throttles.ts'
import type { ShardMap } from '../shards/shard-map.ts'

export interface LeftOnDisk {
  /** False while no shard is throttled and nothing is passed over: then all are admitted. */
  isActive(): boolean
  /** Those of records just read that go to memory; the others are passed over. */
  admit(records: readonly QueuedRecord[]): readonly QueuedRecord[]
  /**
   * The groups of which more may be in memory, and the sequence after which they are passed over:
   * all that are not throttled any more, and those that have less than half of their share.
   */
  groupsToRead(): readonly (readonly [group: string, afterSequence: number])[]
  /** Those of records that were read again that are of the group. */
  ofGroup(group: string, records: readonly QueuedRecord[]): readonly QueuedRecord[]
  /** The group was read again up to this sequence. */
  readUpTo(group: string, sequence: number): void
  /** All of the group was read again. */
  caughtUp(group: string): void
  /** Reading begins with the oldest record again. */
  clear(): void
}

/** What all throttled shards together may hold in memory, before their records are passed over. */
interface HeldLimits {
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Each costs a further look at what is passed over of the others. */
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

  /** How full the group's share is; above 1 it is over it. */
  function fullness({ records, bytes }: Amount): number {
    const share = 1 / Math.max(1, shards.room.count())
    return Math.max(records / (limits.recordsMax * share), bytes / (limits.bytesMax * share))
  }

  /** Not when most shards are throttled: then there are none to keep the memory free for. */
  function mayLeaveOnDisk(): boolean {
    return marks.size < groupsMax && 2 * shards.room.count() <= (map?.shardCount ?? 0)
  }

  return {
    isActive: () => marks.size > 0 || shards.room.any(),
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
