import type { Checkpoint, CheckpointsByShard } from './checkpoints.ts'
import type { ShardDescription, StartPosition } from './shard-reader.ts'

/** The shards of a stream, by id. */
type ShardGraph = ReadonlyMap<string, ShardDescription>

/**
 * The first checkpoints of an application, one for every shard of the stream. Shards that appear
 * later are children of these and are read from their beginning.
 *
 * @param nowMs epoch milliseconds of the service: the time that stands for LATEST
 */
export function firstCheckpoints(
  shards: readonly ShardDescription[],
  from: StartPosition,
  nowMs: number,
): ReadonlyMap<string, Checkpoint> {
  return new Map(shards.map((shard) => [shard.shardId, firstCheckpoint(shard, from, nowMs)]))
}

function firstCheckpoint(
  { isClosed }: ShardDescription,
  from: StartPosition,
  nowMs: number,
): Checkpoint {
  if (from.type !== 'LATEST') return { kind: 'start', position: from }
  // A closed shard receives no new records.
  if (isClosed) return { kind: 'ended' }
  return { kind: 'start', position: { type: 'AT_TIMESTAMP', timestampMs: nowMs } }
}

/**
 * The shards that may be read now: those that are not processed to their end, while all of their
 * parents are. A parent that the stream does not list has expired with all its records.
 */
export function readyShards(
  graph: ShardGraph,
  checkpoints: CheckpointsByShard,
): readonly ShardDescription[] {
  const isUnfinished = (shardId: string) =>
    graph.has(shardId) && checkpoints.get(shardId)?.kind !== 'ended'
  return [...graph.values()].filter(
    ({ shardId, parentIds }) => isUnfinished(shardId) && !parentIds.some(isUnfinished),
  )
}

/** Ids of processed shards that the stream no longer lists. */
export function expiredCheckpoints(
  graph: ShardGraph,
  checkpoints: CheckpointsByShard,
): readonly string[] {
  return [...checkpoints].flatMap(([shardId, { kind }]) =>
    kind === 'ended' && !graph.has(shardId) ? [shardId] : [],
  )
}
