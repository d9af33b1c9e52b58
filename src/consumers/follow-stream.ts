import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { positionAfter } from './checkpoints.ts'
import type { Checkpoint, CheckpointScope, CheckpointStore } from './checkpoints.ts'
import type { FollowOptions, FollowedStream, ShardOutcome, StreamReads } from './following.ts'
import { createRetryBackoff, isRetryable, nameOf, unlessThrottled } from './retry-backoff.ts'
import { expiredCheckpoints, firstCheckpoints, readyShards } from './shard-graph.ts'
import type { ShardDescription, ShardPosition } from './shard-reader.ts'

interface FollowDependencies {
  readonly reads: StreamReads
  readonly checkpoints: CheckpointStore
  readonly clock: Clock
  readonly logger: WarningLog
}

const discoveryIntervalMsDefault = 60_000

/**
 * Processes the shards of a stream, parents before children, each from its checkpoint on. One shard
 * that fails stops all others: half a stream is worse than a clear error.
 *
 * @returns once the shards are listed and their processing has begun
 * @throws errors of the client and of the checkpoint store (rejects)
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
  const positioned = progress.atTip.whenTaken()
  return { positioned, done: run(dependencies, options, progress) }
}

/** The shards of one stream, and their checkpoints, which the store holds as well. */
interface Progress {
  readonly graph: Map<string, ShardDescription>
  readonly checkpoints: Map<string, Checkpoint>
  /** The shards to be read from LATEST: those of a first start that begins there. */
  readonly atTip: ShardsAtTip
  /** Lists the shards anew. */
  discover(): Promise<void>
  save(shardId: string, checkpoint: Checkpoint): Promise<void>
}

async function openProgress(
  { reads, checkpoints: store }: FollowDependencies,
  scope: CheckpointScope,
  { from, signal }: FollowOptions,
): Promise<Progress> {
  const graph = new Map<string, ShardDescription>()
  const checkpoints = new Map(await store.load(scope))
  const atTip = createShardsAtTip()

  async function discover(): Promise<void> {
    const shards = await reads.listShards(signal)
    const listed = new Set(shards.map(({ shardId }) => shardId))
    // A parent may have named children that the list does not have yet.
    for (const [shardId, { parentIds }] of graph) {
      if (!listed.has(shardId) && !parentIds.some((id) => listed.has(id))) graph.delete(shardId)
    }
    for (const shard of shards) graph.set(shard.shardId, shard)
    const removals = expiredCheckpoints(graph, checkpoints)
    if (removals.length === 0) return
    removals.forEach((shardId) => checkpoints.delete(shardId))
    await store.save(scope, new Map(removals.map((shardId) => [shardId, undefined])))
  }

  await discover()
  if (checkpoints.size === 0) {
    const first = firstCheckpoints([...graph.values()], from, reads.serviceNowMs())
    // Saved before anything is read: the next start must find them, or it would be a first one.
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
    // The service did not name the children, so they have to be listed.
    if (outcome.children.length === 0) await discoverWithRetries(dependencies, progress, signal)
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
  await discoverPeriodically(dependencies, options, progress, { signal, startReady })
  await Promise.all(running.values())
  if (failure) throw failure.thrown
}

/** A shard of a first start at LATEST is read from the tip, once; its checkpoint has the time. */
function positionOf(
  progress: Progress,
  shardId: string,
  checkpoint: Exclude<Checkpoint, { kind: 'ended' }> | undefined,
): ShardPosition {
  if (!checkpoint) return { type: 'TRIM_HORIZON' }
  const position = positionAfter(checkpoint)
  if (position.type !== 'AT_TIMESTAMP') return position
  const onTaken = progress.atTip.take(shardId)
  return onTaken ? { type: 'LATEST', retryFromMs: position.timestampMs, onTaken } : position
}

interface ShardsAtTip {
  add(shardId: string): void
  /** The first reader of such a shard begins at its tip, and calls the function when it has it. */
  take(shardId: string): (() => void) | undefined
  /** Resolves when every tip is taken, at once when there is none. */
  whenTaken(): Promise<void>
}

function createShardsAtTip(): ShardsAtTip {
  const waiting = new Set<string>()
  const reading = new Set<string>()
  let onAllTaken: (() => void) | undefined
  const look = () => {
    if (waiting.size + reading.size === 0) onAllTaken?.()
  }
  return {
    add: (shardId) => void waiting.add(shardId),
    take(shardId) {
      if (!waiting.delete(shardId)) return undefined
      reading.add(shardId)
      return () => {
        reading.delete(shardId)
        look()
      }
    },
    whenTaken: () =>
      new Promise((resolve) => {
        onAllTaken = resolve
        look()
      }),
  }
}

async function runShard(
  options: FollowOptions,
  progress: Progress,
  shard: ShardDescription,
  signal: AbortSignal,
): Promise<ShardOutcome> {
  const { shardId } = shard
  const checkpoint = progress.checkpoints.get(shardId)
  if (checkpoint?.kind === 'ended') return { children: [] }
  const from = positionOf(progress, shardId, checkpoint)
  try {
    return await options.runShard({
      shard,
      from,
      checkpoint: checkpoint?.kind === 'after' ? checkpoint : undefined,
      state: checkpoint?.state,
      signal,
      save: (next) => progress.save(shardId, next),
    })
  } catch (thrown) {
    // A closed shard disappears when its records have expired, which ends it. A stream that is gone
    // is an error.
    if (nameOf(thrown) !== 'ResourceNotFoundException' || signal.aborted) throw thrown
    await progress.discover()
    if (progress.graph.has(shardId)) throw thrown
    return { children: [] }
  }
}

/** Lists the shards, and retries until it succeeds or the signal aborts. */
async function discoverWithRetries(
  dependencies: FollowDependencies,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const backoff = createRetryBackoff(dependencies, {
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
      if (!isRetryable(thrown)) throw thrown
      await backoff.afterFailure(thrown, signal)
    }
  }
}

async function discoverPeriodically(
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
      // Nothing depends on this listing: the next one comes in a minute.
      if (!signal.aborted) logger.warn({ err: thrown }, 'the shards of a stream cannot be listed')
    }
  }
}
