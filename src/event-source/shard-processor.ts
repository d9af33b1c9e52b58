import { createHash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { createCheckpointSaver } from '../consumers/checkpoints.ts'
import type { Checkpoint } from '../consumers/checkpoints.ts'
import type { ShardOutcome, ShardTask } from '../consumers/following.ts'
import { oneReadAhead } from '../consumers/shard-reader.ts'
import type {
  KinesisRecord,
  ShardPosition,
  ShardReader,
  StartPosition,
} from '../consumers/shard-reader.ts'
import { createArrivals } from './arrivals.ts'
import { createBatchHandler } from './batch-handler.ts'
import type { BatchHandler } from './batch-handler.ts'
import type { InvocationContext } from './invocation-context.ts'
import { createParallelBatch } from './parallel-batch.ts'
import type { ParallelBatch, ParallelBatchRecord } from './parallel-batch.ts'
import { eventBytesOf } from './lambda-event.ts'
import type { EventSourceMembers } from './lambda-event.ts'
import type { RecordFilter } from './filters/record-filter.ts'
import { createWantedRecords } from './filters/wanted-records.ts'
import { createShardProgress } from './shard-progress.ts'
import { createStoredRecords, storedWindowsIn, textOfWindows } from './stored-windows.ts'
import type { StoredWindows } from './stored-windows.ts'
import { closeWindow } from './tumbling-window.ts'

/** What the processing of all shards of a mapping shares. */
export interface ShardProcessorContext extends Omit<InvocationContext, 'origin' | 'isHeld'> {
  readonly reader: ShardReader
  readonly clock: Clock
  readonly filters: readonly RecordFilter[]
  /** Whether aggregates are opened before they are filtered. */
  readonly opensAggregates: boolean
  readonly originOf: (shardId: string) => EventSourceMembers
}

/**
 * Processes one shard as Lambda does: read, filter, divide into concurrent batches, invoke. The
 * checkpoint is the last record up to which every record is finished, with the windows beside it.
 */
export async function processShard(
  context: ShardProcessorContext,
  task: ShardTask,
): Promise<ShardOutcome> {
  const unsaved = new AbortController()
  const signal = AbortSignal.any([task.signal, unsaved.signal])
  const origin = context.originOf(task.shard.shardId)
  const handler = createBatchHandler({ ...context, origin, isHeld: task.isHeld })
  const state = openShardState(context, { task, handler, signal, onUnsaved: () => unsaved.abort() })
  const { batches, progress } = state
  const wantedIn = createWantedRecords(context, task.shard)
  const open = (readSignal: AbortSignal) =>
    context.reader.read(task.shard.shardId, task.from, readSignal)

  const arrivalsOf = createArrivals()
  let end: ShardOutcome
  try {
    await state.closeLeftOver()
    for await (const read of oneReadAhead(open, signal)) {
      const ofBatches = batches.map((): ParallelBatchRecord[] => [])
      const sinceOf = arrivalsOf(read)
      for (const record of read.records) {
        const tracked = progress.begin(record.sequenceNumber)
        const parts = wantedIn(record).filter((part) => !state.isStored(part))
        const sinceMs = sinceOf(record.approximateArrivalMs)
        const countDown = createCountDown(parts.length, {
          onBatchDone: (index) => state.finished(index, record.sequenceNumber),
          onDone: () => tracked.finish(),
        })
        for (const part of parts) {
          const index = parallelBatchOf(part.partitionKey, batches.length)
          const finish = countDown.add(index)
          ofBatches[index]?.push({
            ...part,
            eventBytes: eventBytesOf(part, origin),
            sinceMs,
            finish,
          })
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
    await state.flush()
  }
  return signal.aborted ? undefined : end
}

/**
 * Counts the parts of a record, which are one unless it is an aggregate: the record is finished
 * when all of them are, and in a parallel batch when all are that belong there.
 */
function createCountDown(
  count: number,
  {
    onBatchDone,
    onDone,
  }: { readonly onBatchDone: (index: number) => void; readonly onDone: () => void },
) {
  const ofBatches = new Map<number, number>()
  let left = count
  if (left === 0) onDone()
  return {
    /** Adds a part of a batch. All parts are added before one is finished. */
    add(index: number): () => void {
      ofBatches.set(index, (ofBatches.get(index) ?? 0) + 1)
      let isFinished = false
      return () => {
        if (isFinished) return
        isFinished = true
        const leftOfBatch = (ofBatches.get(index) ?? 0) - 1
        ofBatches.set(index, leftOfBatch)
        if (leftOfBatch === 0) onBatchDone(index)
        if (--left === 0) onDone()
      }
    },
  }
}

/** How far a shard is processed: the checkpoint, the parallel batches and their windows. */
function openShardState(
  context: ShardProcessorContext,
  shard: {
    readonly task: ShardTask
    readonly handler: BatchHandler
    readonly signal: AbortSignal
    readonly onUnsaved: () => void
  },
) {
  const { settings } = context
  const { task, handler, signal } = shard
  const lengthMs = settings.TumblingWindowInSeconds * 1_000
  const hasWindow = lengthMs > 0
  const batchCount = hasWindow ? settings.ParallelizationFactor : 0
  const stored = storedWindowsIn(task.state, { batchCount, lengthMs })
  const leftOver = [...stored.leftOver]
  const positions = stored.batches.map(({ after }) => after)
  const saver = createCheckpointSaver((next) => task.save(next), shard.onUnsaved)
  const progress = createShardProgress(note, task.checkpoint?.sequenceNumber)
  const batches = openParallelBatches(context, {
    handler,
    signal,
    stored,
    onWindowChange: note,
  })

  function note(): void {
    saver.note(checkpoint)
  }

  /** Made when it is saved, so that states and positions are those of one moment. */
  function checkpoint(): Checkpoint {
    const sequenceNumber = progress.finishedUpTo()
    const windows = {
      batches: positions.map((after, index) => ({ after, window: batches[index]?.openWindow() })),
      earlier: stored.earlier,
      leftOver,
    }
    const state = textOfWindows(windows, sequenceNumber)
    if (sequenceNumber !== undefined) return { kind: 'after', sequenceNumber, state }
    return { kind: 'start', position: startOf(task.from), state }
  }

  return {
    batches,
    progress,
    isStored: createStoredRecords(stored, parallelBatchOf),
    finished(index: number, sequenceNumber: string) {
      if (!hasWindow) return
      positions[index] = sequenceNumber
      note()
    },
    /** Makes the final invocations of windows that get no more records. */
    async closeLeftOver(): Promise<void> {
      for (let [window] = leftOver; window && !signal.aborted; [window] = leftOver) {
        if (!(await closeWindow(handler, window, { isTerminatedEarly: true, signal }))) return
        leftOver.shift()
        note()
      }
    },
    flush: () => saver.flush(),
  }
}

function openParallelBatches(
  { settings, clock }: ShardProcessorContext,
  shard: {
    readonly handler: BatchHandler
    readonly signal: AbortSignal
    readonly stored: StoredWindows
    readonly onWindowChange: () => void
  },
): readonly ParallelBatch[] {
  const { handler, signal, stored, onWindowChange } = shard
  return Array.from({ length: settings.ParallelizationFactor }, (_, index) =>
    createParallelBatch(
      { handler, clock },
      {
        batchRecordsMax: settings.BatchSize,
        batchingWindowMs: settings.MaximumBatchingWindowInSeconds * 1_000,
        tumblingWindowMs: settings.TumblingWindowInSeconds * 1_000,
        signal,
        openWindow: stored.batches[index]?.window,
        onWindowChange,
      },
    ),
  )
}

/** Where a shard without a finished record begins again. */
function startOf(from: ShardPosition): Exclude<StartPosition, { type: 'LATEST' }> {
  if (from.type === 'LATEST') return { type: 'AT_TIMESTAMP', timestampMs: from.retryFromMs }
  if (from.type === 'AT_TIMESTAMP') return from
  return { type: 'TRIM_HORIZON' }
}

/** The index of the batch for a partition key: the same one for all of its records. */
function parallelBatchOf(partitionKey: KinesisRecord['partitionKey'], count: number): number {
  if (count <= 1) return 0
  return createHash('md5').update(partitionKey).digest().readUInt32BE(0) % count
}
