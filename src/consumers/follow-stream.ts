import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { positionAfter } from './checkpoints.ts'
import type { Checkpoint, CheckpointScope, CheckpointStore } from './checkpoints.ts'
import { createPatience, isCurable, nameOf, unlessThrottled } from './retry-backoff.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { expiredCheckpoints, firstCheckpoints, readyShards } from './shard-graph.ts'
import type { ShardDescription, ShardPosition, StartPosition } from './shard-reader.ts'

/** The work on one shard. */
export interface ShardTask {
  readonly shard: ShardDescription
  readonly from: ShardPosition
  /** Of the last run; absent: none was saved after a record. */
  readonly checkpoint?: Extract<Checkpoint, { kind: 'after' }>
  /** Ends the work: what is begun is finished, and nothing new is. */
  readonly signal: AbortSignal
  /** Resolves when it is durable. */
  save(checkpoint: Checkpoint): Promise<void>
}

/** The children, when a shard was processed to its end; undefined when the work was ended before. */
export type ShardOutcome = { readonly children: readonly ShardDescription[] } | undefined

interface FollowOptions {
  readonly application: string
  readonly from: StartPosition
  readonly signal: AbortSignal
  /** Works on a shard to its end, or until the signal of the task aborts. */
  readonly runShard: (task: ShardTask) => Promise<ShardOutcome>
  /** Between looks for shards that nobody spoke of. */
  readonly discoveryIntervalMs?: number
}

interface FollowDependencies {
  readonly reads: Pick<KinesisReads, 'describeStream' | 'listShards'>
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly logger: WarningLog
}

interface FollowedStream {
  /** Resolves when the signal has aborted and all work is finished; rejects with what failed. */
  readonly done: Promise<void>
}

const discoveryIntervalMsDefault = 60_000

/**
 * Works on the shards of a stream, parents before children, each from its checkpoint on. One that
 * fails ends the work on all: half a stream is worse than a clear error.
 *
 * @returns when the shards are known and the work on them has begun
 * @throws what the client, or the store of the checkpoints, throws (rejects)
 */
export async function followStream(
  dependencies: FollowDependencies,
  options: FollowOptions,
): Promise<FollowedStream> {
  const { application, signal } = options
  const progress = await unlessThrottled(dependencies, signal, async () => {
    const { arn: streamArn, createdMs } = await dependencies.reads.describeStream(signal)
    return openProgress(
      dependencies,
      { application, streamArn, streamCreatedMs: createdMs },
      options,
    )
  })
  return { done: run(dependencies, options, progress) }
}

/** The shards and checkpoints of one stream, in memory as on disk. */
interface Progress {
  readonly graph: Map<string, ShardDescription>
  readonly checkpoints: Map<string, Checkpoint>
  /** At a first start that begins at LATEST: the shards that begin at the tip itself. */
  readonly atTip: Set<string>
  /** Looks for shards. */
  discover(): Promise<void>
  save(shardId: string, checkpoint: Checkpoint): Promise<void>
}

async function openProgress(
  { reads, checkpoints: store, clock }: FollowDependencies,
  scope: CheckpointScope,
  { from, signal }: FollowOptions,
): Promise<Progress> {
  const graph = new Map<string, ShardDescription>()
  const checkpoints = new Map(await store.load(scope))
  const atTip = new Set<string>()

  async function discover(): Promise<void> {
    const shards = await reads.listShards(signal)
    const known = new Set(shards.map(({ shardId }) => shardId))
    // What a parent said of its children may be news to the list.
    for (const [shardId, { parentIds }] of graph) {
      if (!known.has(shardId) && !parentIds.some((id) => known.has(id))) graph.delete(shardId)
    }
    for (const shard of shards) graph.set(shard.shardId, shard)
    const removals = expiredCheckpoints(graph, checkpoints)
    if (removals.length === 0) return
    removals.forEach((shardId) => checkpoints.delete(shardId))
    await store.save(scope, new Map(removals.map((shardId) => [shardId, undefined])))
  }

  await discover()
  if (checkpoints.size === 0) {
    const first = firstCheckpoints([...graph.values()], from, clock.wallMs())
    // Before anything is read: the next start must not take it for the first one again.
    await store.save(scope, first)
    for (const [shardId, checkpoint] of first) {
      checkpoints.set(shardId, checkpoint)
      if (from.type === 'LATEST' && checkpoint.kind === 'start') atTip.add(shardId)
    }
  }
  return {
    graph,
    checkpoints,
    atTip,
    discover,
    async save(shardId, checkpoint) {
      checkpoints.set(shardId, checkpoint)
      await store.save(scope, new Map([[shardId, checkpoint]]))
    },
  }
}

async function run(
  dependencies: FollowDependencies,
  options: FollowOptions,
  progress: Progress,
): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  /** As many as the stream has open shards. */
  const running = new Map<string, Promise<void>>()
  let failure: { readonly thrown: unknown } | undefined

  function fail(thrown: unknown): void {
    failure ??= { thrown }
    failed.abort()
  }

  async function work(shard: ShardDescription): Promise<void> {
    const outcome = await runShard(options, progress, shard, signal)
    if (!outcome) return
    await progress.save(shard.shardId, { kind: 'ended' })
    for (const child of outcome.children) {
      if (!progress.graph.has(child.shardId)) progress.graph.set(child.shardId, child)
    }
    // Some services do not name the children.
    if (outcome.children.length === 0) await discoverPatiently(dependencies, progress, signal)
  }

  function startReady(): void {
    if (signal.aborted) return
    for (const shard of readyShards(progress.graph, progress.checkpoints)) {
      if (running.has(shard.shardId)) continue
      const done = work(shard)
        .catch(fail)
        .finally(() => {
          running.delete(shard.shardId)
          startReady()
        })
      running.set(shard.shardId, done)
    }
  }

  startReady()
  await lookPeriodically(dependencies, options, progress, { signal, startReady })
  await Promise.all(running.values())
  if (failure) throw failure.thrown
}

async function runShard(
  options: FollowOptions,
  progress: Progress,
  shard: ShardDescription,
  signal: AbortSignal,
): Promise<ShardOutcome> {
  const { shardId } = shard
  const known = progress.checkpoints.get(shardId)
  if (known?.kind === 'ended') return { children: [] }
  const isAtTip = known?.kind === 'start' && progress.atTip.delete(shardId)
  const from: ShardPosition = isAtTip
    ? { type: 'LATEST' }
    : known
      ? positionAfter(known)
      : { type: 'TRIM_HORIZON' }
  try {
    return await options.runShard({
      shard,
      from,
      ...(known?.kind === 'after' && { checkpoint: known }),
      signal,
      save: (checkpoint) => progress.save(shardId, checkpoint),
    })
  } catch (thrown) {
    // A closed shard whose records have all expired is gone; a stream that is gone is not.
    if (nameOf(thrown) !== 'ResourceNotFoundException' || signal.aborted) throw thrown
    await progress.discover()
    if (progress.graph.has(shardId)) throw thrown
    return { children: [] }
  }
}

/** Until the shards were listed or nobody wants to know. */
async function discoverPatiently(
  dependencies: FollowDependencies,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const patience = createPatience(dependencies, {
    firstDelayMs: 500,
    delayMsMax: 10_000,
    text: 'the shards of a stream cannot be listed now; it is tried again',
    fields: {},
  })
  while (!signal.aborted) {
    try {
      return await progress.discover()
    } catch (thrown) {
      if (signal.aborted) return
      if (!isCurable(thrown)) throw thrown
      await patience.afterFailure(thrown, signal)
    }
  }
}

async function lookPeriodically(
  { clock, logger }: FollowDependencies,
  { discoveryIntervalMs = discoveryIntervalMsDefault }: FollowOptions,
  progress: Progress,
  { signal, startReady }: { readonly signal: AbortSignal; readonly startReady: () => void },
): Promise<void> {
  for (;;) {
    await clock.sleep(discoveryIntervalMs, signal)
    if (signal.aborted) return
    try {
      await progress.discover()
      startReady()
    } catch (thrown) {
      // Not news that anything waits for: the next look comes.
      if (!signal.aborted) logger.warn({ err: thrown }, 'the shards of a stream cannot be listed')
    }
  }
}
