import type { Clock } from '../base/clock.ts'
import type { BatchHandler } from './batch-handler.ts'
import type { PendingRecord } from './invocation-context.ts'
import { payloadBytesMax } from './lambda-event.ts'
import { createTumblingWindow } from './tumbling-window.ts'
import type { OpenWindow, TumblingWindow } from './tumbling-window.ts'

/**
 * One of the concurrent batches of a shard (Lambda: "concurrent batches per shard"): it invokes the
 * function with one batch of records after the other. ParallelizationFactor says how many a shard
 * has. All records of a partition key are in the same one, which preserves their order.
 */
export interface ParallelBatch {
  /** Adds records, in order. */
  push(records: readonly ParallelBatchRecord[]): void
  /** Resolves when there is room for more records. */
  room(): Promise<void>
  /** Every record that arrived before `timeMs` (epoch milliseconds) was pushed: windows may end. */
  setReadUpTo(timeMs: number): void
  /** No more records will come; the waiting ones are handed over at once. */
  end(): void
  /** Resolves when all records are done, or the signal has aborted and the invocation has ended. */
  readonly done: Promise<void>
  /** The open window, which is stored with the checkpoint. */
  openWindow(): OpenWindow | undefined
}

export interface ParallelBatchRecord extends PendingRecord {
  /** The size of the record in an event. */
  readonly eventBytes: number
}

interface ParallelBatchOptions {
  readonly batchRecordsMax: number
  readonly batchingWindowMs: number
  /** 0 turns windows off. */
  readonly tumblingWindowMs: number
  /** The window that was open at the end of the last run. */
  readonly openWindow?: OpenWindow | undefined
  readonly signal: AbortSignal
  /** Called when `openWindow` has changed, in the same turn. */
  readonly onWindowChange?: (() => void) | undefined
}

/** The bytes of an event around its records. */
const envelopeBytes = 1_024
/** Reading pauses when more than a batch and so many records wait, or so many bytes. */
const recordsWaitingMin = 1_000
const bytesWaitingMax = 2 * payloadBytesMax

export function createParallelBatch(
  dependencies: { readonly handler: BatchHandler; readonly clock: Clock },
  options: ParallelBatchOptions,
): ParallelBatch {
  const { clock, handler } = dependencies
  const { signal, batchRecordsMax, batchingWindowMs, tumblingWindowMs } = options
  const waiting: ParallelBatchRecord[] = []
  const changes = createChanges(clock, signal)
  const waitingMax = Math.max(recordsWaitingMin, batchRecordsMax)
  let firstSinceMs = 0
  let waitingBytes = 0
  let isEnding = false
  let readUpToMs = 0
  const window: TumblingWindow | undefined =
    tumblingWindowMs > 0
      ? createTumblingWindow(
          { handler, signal, onChange: options.onWindowChange },
          tumblingWindowMs,
          options.openWindow,
        )
      : undefined

  const isCrowded = () => waiting.length > waitingMax || waitingBytes > bytesWaitingMax

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const { count, isFull } = nextBatch(waiting, batchRecordsMax, window)
      const waitedMs = clock.monotonicMs() - firstSinceMs
      if (count > 0 && (isFull || isEnding || waitedMs >= batchingWindowMs)) {
        const batch = waiting.splice(0, count)
        waitingBytes -= bytesOf(batch)
        await handle(batch)
        firstSinceMs = clock.monotonicMs()
        changes.wake()
        continue
      }
      const windowEndMs = window?.open()?.endMs ?? Number.POSITIVE_INFINITY
      if (count === 0 && readUpToMs > windowEndMs) {
        await window?.close()
        continue
      }
      if (count === 0 && isEnding) return window?.close()
      await changes.next(count > 0 ? batchingWindowMs - waitedMs : undefined)
    }
  }

  async function handle(batch: readonly ParallelBatchRecord[]): Promise<void> {
    if (window) await window.handle(batch)
    else await handler.handle(batch, undefined, signal)
  }

  return {
    push(records) {
      if (records.length === 0) return
      if (waiting.length === 0) firstSinceMs = clock.monotonicMs()
      for (const record of records) waiting.push(record)
      waitingBytes += bytesOf(records)
      changes.wake()
    },
    async room() {
      while (isCrowded() && !signal.aborted) await changes.next()
    },
    setReadUpTo(timeMs) {
      readUpToMs = timeMs
      changes.wake()
    },
    end() {
      isEnding = true
      changes.wake()
    },
    done: run(),
    openWindow: () => window?.open(),
  }
}

const bytesOf = (records: readonly ParallelBatchRecord[]) =>
  records.reduce((sum, { eventBytes }) => sum + eventBytes, 0)

/** How many of the waiting records the next batch takes, and whether it is full. */
function nextBatch(
  waiting: readonly ParallelBatchRecord[],
  recordsMax: number,
  window: TumblingWindow | undefined,
): { readonly count: number; readonly isFull: boolean } {
  let sizeBytes = envelopeBytes + (window?.stateBytes() ?? 0)
  const startMs = waiting[0] && window?.startOf(waiting[0].approximateArrivalMs)
  for (const [count, record] of waiting.entries()) {
    sizeBytes += record.eventBytes
    const isOver = count > 0 && sizeBytes > payloadBytesMax
    const isOtherWindow = window?.startOf(record.approximateArrivalMs) !== startMs
    if (count === recordsMax || isOver || isOtherWindow) return { count, isFull: true }
  }
  return { count: waiting.length, isFull: waiting.length >= recordsMax }
}

/** Wakes all callers that wait for a change. */
function createChanges(clock: Clock, signal: AbortSignal) {
  let change = new AbortController()
  const wake = () => {
    const before = change
    change = new AbortController()
    before.abort()
  }
  signal.addEventListener('abort', wake, { once: true })
  return {
    wake,
    /** Resolves at the next change, after `timeoutMs`, or when the signal aborts. */
    async next(timeoutMs = timeoutMsMax): Promise<void> {
      if (signal.aborted) return
      await clock.sleep(Math.min(timeoutMs, timeoutMsMax), change.signal)
    },
  }
}

const timeoutMsMax = 3_600_000
