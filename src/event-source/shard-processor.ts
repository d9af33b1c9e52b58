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
import { createParallelBatch } from './parallel-batch.ts'
import type { ParallelBatch, ParallelBatchRecord } from './parallel-batch.ts'
import { eventBytesOf } from './lambda-event.ts'
import type { EventSourceMembers } from './lambda-event.ts'
import { createShardProgress } from './shard-progress.ts'
import type { ShardProgress } from './shard-progress.ts'

/** What the processing of all shards of a mapping shares. */
export interface ShardProcessorContext extends Omit<InvocationContext, 'origin'> {
  readonly reader: ShardReader
  readonly clock: Clock
  /** A record passes when one filter accepts it; without filters every record passes. */
  readonly filters: readonly FilterPattern[]
  readonly originOf: (shardId: string) => EventSourceMembers
}

/**
 * Processes one shard as Lambda does: read, filter, divide into concurrent batches, invoke. The
 * checkpoint is the last record up to which every record is finished.
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
    const checkpoint = checkpointOf(progress, hasWindow ? batches : [])
    if (checkpoint) saver.note(checkpoint)
  }
  // With windows the state is stored with the checkpoint: both change when a batch is finished.
  const progress = createShardProgress(() => {
    if (!hasWindow) note()
  })
  const origin = context.originOf(task.shard.shardId)
  const batches = openParallelBatches(context, {
    task,
    origin,
    signal,
    onBatchDone: hasWindow ? note : undefined,
  })
  const open = (readSignal: AbortSignal) =>
    context.reader.read(task.shard.shardId, task.from, readSignal)

  const arrivalsOf = createArrivals()
  let end: ShardOutcome
  try {
    for await (const read of oneReadAhead(open, signal)) {
      const ofBatches = batches.map((): ParallelBatchRecord[] => [])
      const sinceOf = arrivalsOf(read)
      for (const record of read.records) {
        const tracked = progress.begin(record.sequenceNumber)
        if (filters.length > 0 && !filters.some((accepts) => accepts(record))) tracked.finish()
        else {
          const eventBytes = eventBytesOf(record, origin)
          const sinceMs = sinceOf(record.approximateArrivalMs)
          const pending = { ...record, eventBytes, sinceMs, finish: () => tracked.finish() }
          ofBatches[parallelBatchOf(record, batches.length)]?.push(pending)
        }
      }
      batches.forEach((batch, index) => {
        batch.push(ofBatches[index] ?? [])
        if (read.millisBehindLatest === 0) batch.setReadUpTo(read.asOfMs)
      })
      end = read.end
      await Promise.all(batches.map((batch) => batch.room()))
    }
    // A read without `end` was stopped: the waiting records are left to the next run.
    if (end) for (const batch of batches) batch.end()
  } catch (thrown) {
    unsaved.abort()
    throw thrown
  } finally {
    await Promise.all(batches.map((batch) => batch.done))
    await saver.flush()
  }
  return signal.aborted ? undefined : end
}

function openParallelBatches(
  context: ShardProcessorContext,
  shard: {
    readonly task: ShardTask
    readonly origin: EventSourceMembers
    readonly signal: AbortSignal
    readonly onBatchDone: (() => void) | undefined
  },
): readonly ParallelBatch[] {
  const { settings, clock } = context
  const { task, origin, signal, onBatchDone } = shard
  const handler = createBatchHandler({ ...context, origin })
  const states = statesIn(task.checkpoint?.state)
  return Array.from({ length: settings.ParallelizationFactor }, (_, index) => {
    const windowState = states[index]
    return createParallelBatch(
      { handler, clock },
      {
        batchRecordsMax: settings.BatchSize,
        batchingWindowMs: settings.MaximumBatchingWindowInSeconds * 1_000,
        tumblingWindowMs: settings.TumblingWindowInSeconds * 1_000,
        signal,
        windowState: typeof windowState === 'string' ? windowState : undefined,
        onBatchDone,
      },
    )
  })
}

/** @returns undefined until a record is finished */
function checkpointOf(
  progress: ShardProgress,
  batches: readonly ParallelBatch[],
): Checkpoint | undefined {
  const sequenceNumber = progress.finishedUpTo()
  if (sequenceNumber === undefined) return undefined
  const states = batches.map((batch) => batch.windowState() ?? null)
  const isAny = states.some((state) => state !== null)
  return { kind: 'after', sequenceNumber, state: isAny ? JSON.stringify(states) : undefined }
}

function statesIn(text: string | undefined): readonly unknown[] {
  const states: unknown = text === undefined ? [] : JSON.parse(text)
  return Array.isArray(states) ? states : []
}

/** The index of the batch for a record: the same one for all records of a partition key. */
function parallelBatchOf({ partitionKey }: KinesisRecord, count: number): number {
  if (count === 1) return 0
  return createHash('md5').update(partitionKey).digest().readUInt32BE(0) % count
}
