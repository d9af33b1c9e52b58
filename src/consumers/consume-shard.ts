import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { openAggregate } from './aggregate.ts'
import type { UserRecord } from './aggregate.ts'
import { createCheckpointSaver } from './checkpoints.ts'
import type { Checkpoint } from './checkpoints.ts'
import type { ConsumedBatch, ConsumedRecord, RecordsHandler } from './consumed-batch.ts'
import { createRetryBackoff, reasonOf } from './retry-backoff.ts'
import type { ShardOutcome, ShardTask } from './following.ts'
import { oneReadAhead } from './shard-reader.ts'
import type { KinesisRecord, ShardDescription, ShardReader } from './shard-reader.ts'
import { createSlots } from './slots.ts'

interface ConsumingOptions {
  readonly handler: RecordsHandler
  readonly opensAggregates: boolean
  readonly batchRecordsMax: number
  readonly concurrencyMax: number
  readonly attemptsMax: number
}

const retryDelaysMs = { firstDelayMs: 200, delayMsMax: 60_000 }

/** @returns a function that reads a shard, hands its records to the handler, and checkpoints */
export function createConsumingShards(
  dependencies: {
    readonly reader: ShardReader
    readonly clock: Clock
    readonly logger: WarningLog
  },
  options: ConsumingOptions,
): (task: ShardTask) => Promise<ShardOutcome> {
  const slots = createSlots(options.concurrencyMax)

  return async (task) => {
    const { shard, signal } = task
    const { shardId } = shard
    const mayBegin = () => task.isHeld?.() !== false && !signal.aborted
    const handle = createHandling(dependencies, { ...options, shardId, mayBegin })
    const unsaved = new AbortController()
    const saver = createCheckpointSaver(
      (checkpoint) => task.save(checkpoint),
      () => unsaved.abort(),
    )
    const isWanted = createSkip(task.checkpoint)
    const open = (readSignal: AbortSignal) =>
      dependencies.reader.read(shardId, task.from, readSignal)
    // A checkpoint that cannot be saved stops the work as a stop does; `flush` throws the reason.
    const until = AbortSignal.any([signal, unsaved.signal])

    try {
      for await (const read of oneReadAhead(open, until)) {
        const handed = read.records.flatMap((record) =>
          handedRecordsOf(record, shard, options.opensAggregates),
        )
        const records = handed.filter(isWanted)
        for (const { batch, checkpoint } of batchesOf(records, options.batchRecordsMax)) {
          if (until.aborted) return undefined
          const { millisBehindLatest } = read
          const next = { shardId, records: batch, millisBehindLatest, signal }
          if (await slots.run(() => handle(next))) saver.note(checkpoint)
        }
        if (until.aborted || !mayBegin()) return undefined
        const last = read.records.at(-1)
        if (last && records.length === 0) saver.note(checkpointBehind(last, handed))
        if (read.end) return read.end
      }
      return undefined
    } finally {
      await saver.flush()
    }
  }
}

type Handling = (batch: ConsumedBatch) => Promise<boolean>

/**
 * @returns a function that calls the handler until it succeeds; it resolves to false when the
 *   consumer was stopped before that
 * @throws SluiceError ConsumerFailed (rejects) after the last attempt
 */
function createHandling(
  dependencies: { readonly clock: Clock; readonly logger: WarningLog },
  options: Pick<ConsumingOptions, 'handler' | 'attemptsMax'> & {
    readonly shardId: string
    /** Whether the shard is still to be read by this process. */
    readonly mayBegin: () => boolean
  },
): Handling {
  const { handler, attemptsMax, shardId, mayBegin } = options
  const backoff = createRetryBackoff(dependencies, {
    ...retryDelaysMs,
    text: 'the handler failed; the batch is handed over again',
    fields: { shardId },
  })
  return async (batch) => {
    for (let attempt = 1; mayBegin(); attempt++) {
      try {
        await handler(batch)
        backoff.reset()
        return true
      } catch (thrown) {
        if (attempt >= attemptsMax) {
          throw new SluiceError(
            'ConsumerFailed',
            `the handler failed ${attempt} times on a batch of ${shardId}: ${reasonOf(thrown)}`,
            { cause: thrown },
          )
        }
        await backoff.afterFailure(thrown, batch.signal)
      }
    }
    return false
  }
}

/** A record for the handler, and the checkpoint once it and all records before it are processed. */
interface HandedRecord {
  readonly record: ConsumedRecord
  readonly checkpoint: Checkpoint
}

function handedRecordsOf(
  record: KinesisRecord,
  shard: ShardDescription,
  opensAggregates: boolean,
): readonly HandedRecord[] {
  const { shardId } = shard
  const opened: readonly UserRecord[] = opensAggregates ? openAggregate(record, shard) : [record]
  return opened.map((user, index) => {
    const { subSequenceNumber } = user
    const isLast = index === opened.length - 1
    const part = isLast ? { lastSubSequenceNumber: subSequenceNumber } : { subSequenceNumber }
    return {
      record: { ...user, shardId },
      checkpoint: { ...after(record), ...(subSequenceNumber !== undefined && part) },
    }
  })
}

/** Skips the records of an aggregate that were processed before. */
function createSkip(checkpoint: ShardTask['checkpoint']): (handed: HandedRecord) => boolean {
  const { sequenceNumber, subSequenceNumber = -1 } = checkpoint ?? {}
  return ({ record }) =>
    record.sequenceNumber !== sequenceNumber || (record.subSequenceNumber ?? 0) > subSequenceNumber
}

function* batchesOf(handed: readonly HandedRecord[], recordsMax: number) {
  for (let start = 0; start < handed.length; start += recordsMax) {
    const part = handed.slice(start, start + recordsMax)
    const last = part.at(-1)
    if (last) yield { batch: part.map(({ record }) => record), checkpoint: last.checkpoint }
  }
}

/** The checkpoint when nothing of a read is left to process. */
function checkpointBehind(last: KinesisRecord, handed: readonly HandedRecord[]): Checkpoint {
  const found = handed.at(-1)
  const isOfLast = found?.record.sequenceNumber === last.sequenceNumber
  return isOfLast ? found.checkpoint : after(last)
}

const after = ({ sequenceNumber }: KinesisRecord) => ({ kind: 'after', sequenceNumber }) as const
