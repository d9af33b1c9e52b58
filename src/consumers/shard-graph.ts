import type { Checkpoint, CheckpointsByShard } from './checkpoints.ts'
import type { ShardDescription, StartPosition } from './shard-reader.ts'

/** What is known of the shards of a stream, by id. */
type ShardGraph = ReadonlyMap<string, ShardDescription>

/**
 * Where an application that never read the stream begins: a checkpoint for every shard that is
 * there. Shards that come later begin at their beginning: they are children of these.
 *
 * @param nowMs epoch milliseconds: what LATEST stands for
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
  // Nothing new comes to a closed shard.
  if (isClosed) return { kind: 'ended' }
  return { kind: 'start', position: { type: 'AT_TIMESTAMP', timestampMs: nowMs } }
}

/**
 * The shards whose turn it is: those that are not processed to their end, and whose parents are. A
 * parent that neither the stream nor the checkpoints know has expired with all its records.
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

/** Checkpoints of shards that are processed and that the stream has forgotten. */
export function expiredCheckpoints(
  graph: ShardGraph,
  checkpoints: CheckpointsByShard,
): readonly string[] {
  return [...checkpoints].flatMap(([shardId, { kind }]) =>
    kind === 'ended' && !graph.has(shardId) ? [shardId] : [],
  )
}
