import { createHash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { createCheckpointSaver } from '../consumers/checkpoints.ts'
import type { Checkpoint } from '../consumers/checkpoints.ts'
import type { ShardOutcome, ShardTask } from '../consumers/follow-stream.ts'
import { oneReadAhead } from '../consumers/shard-reader.ts'
import type { KinesisRecord, ShardReader } from '../consumers/shard-reader.ts'
import { createArrivals } from './arrivals.ts'
import type { FilterPattern } from './filter-pattern.ts'
import { createBatchHandler } from './batch-handler.ts'
import type { InvocationContext } from './invocation-context.ts'
import { createLane } from './parallel-batch.ts'
import type { Lane, LaneRecord } from './parallel-batch.ts'
import { eventBytesOf } from './lambda-event.ts'
import type { EventOrigin } from './lambda-event.ts'
import { createShardProgress } from './shard-progress.ts'
import type { ShardProgress } from './shard-progress.ts'

/** What the work on all shards of a mapping has in common. */
export interface ShardProcessorContext extends Omit<InvocationContext, 'origin'> {
  readonly reader: ShardReader
  readonly clock: Clock
  /** A record passes if any accepts it; none: all pass. */
  readonly filters: readonly FilterPattern[]
  readonly originOf: (shardId: string) => EventOrigin
}

/**
 * The work on one shard, as Lambda does it: read, filter, divide into lanes, batch, invoke. The
 * checkpoint is behind the last record of which all before it are finished too.
 */
export async function processShard(
  context: ShardProcessorContext,
  task: ShardTask,
): Promise<ShardOutcome> {
  const { settings, filters } = context
  const unsaved = new AbortController()
  const signal = AbortSignal.any([task.signal, unsaved.signal])
  const saver = createCheckpointSaver(
    (checkpoint) => task.save(checkpoint),
    () => unsaved.abort(),
  )
  const hasWindow = settings.TumblingWindowInSeconds > 0
  const note = () => {
    const checkpoint = checkpointOf(progress, hasWindow ? lanes : [])
    if (checkpoint) saver.note(checkpoint)
  }
  // With windows the state of the lane goes with the checkpoint: both move when a batch is done.
  const progress = createShardProgress(() => {
    if (!hasWindow) note()
  })
  const origin = context.originOf(task.shard.shardId)
  const lanes = openLanes(context, {
    task,
    origin,
    signal,
    ...(hasWindow && { onBatchDone: note }),
  })
  const open = (readSignal: AbortSignal) =>
    context.reader.read(task.shard.shardId, task.from, readSignal)

  const arrivalsOf = createArrivals()
  let end: ShardOutcome
  try {
    for await (const read of oneReadAhead(open, signal)) {
      const ofLanes = lanes.map((): LaneRecord[] => [])
      const sinceOf = arrivalsOf(read)
      for (const record of read.records) {
        const tracked = progress.begin(record.sequenceNumber)
        if (filters.length > 0 && !filters.some((accepts) => accepts(record))) tracked.finish()
        else {
          const eventBytes = eventBytesOf(record, origin)
          const sinceMs = sinceOf(record.approximateArrivalMs)
          const pending = { ...record, eventBytes, sinceMs, finish: () => tracked.finish() }
          ofLanes[laneOf(record, lanes.length)]?.push(pending)
        }
      }
      lanes.forEach((lane, index) => {
        lane.push(ofLanes[index] ?? [])
        if (read.millisBehindLatest === 0) lane.setReadUpTo(read.asOfMs)
      })
      end = read.end
      await Promise.all(lanes.map((lane) => lane.room()))
    }
    // Without an end it was stopped: what waits is for the next run.
    if (end) for (const lane of lanes) lane.end()
  } catch (thrown) {
    unsaved.abort()
    throw thrown
  } finally {
    await Promise.all(lanes.map((lane) => lane.done))
    await saver.flush()
  }
  return signal.aborted ? undefined : end
}

function openLanes(
  context: ShardProcessorContext,
  shard: {
    readonly task: ShardTask
    readonly origin: EventOrigin
    readonly signal: AbortSignal
    readonly onBatchDone?: () => void
  },
): readonly Lane[] {
  const { settings, clock } = context
  const { task, origin, signal, onBatchDone } = shard
  const handler = createBatchHandler({ ...context, origin })
  const states = statesIn(task.checkpoint?.state)
  return Array.from({ length: settings.ParallelizationFactor }, (_, index) => {
    const windowState = states[index]
    return createLane(
      { handler, clock },
      {
        batchRecordsMax: settings.BatchSize,
        batchingWindowMs: settings.MaximumBatchingWindowInSeconds * 1_000,
        tumblingWindowMs: settings.TumblingWindowInSeconds * 1_000,
        signal,
        ...(typeof windowState === 'string' && { windowState }),
        ...(onBatchDone && { onBatchDone }),
      },
    )
  })
}

/** Undefined until a record is finished. */
function checkpointOf(progress: ShardProgress, lanes: readonly Lane[]): Checkpoint | undefined {
  const sequenceNumber = progress.finishedUpTo()
  if (sequenceNumber === undefined) return undefined
  const states = lanes.map((lane) => lane.windowState() ?? null)
  const isAny = states.some((state) => state !== null)
  return { kind: 'after', sequenceNumber, ...(isAny && { state: JSON.stringify(states) }) }
}

function statesIn(text: string | undefined): readonly unknown[] {
  const states: unknown = text === undefined ? [] : JSON.parse(text)
  return Array.isArray(states) ? states : []
}

/** Always the same one for a key. */
function laneOf({ partitionKey }: KinesisRecord, count: number): number {
  if (count === 1) return 0
  return createHash('md5').update(partitionKey).digest().readUInt32BE(0) % count
}
