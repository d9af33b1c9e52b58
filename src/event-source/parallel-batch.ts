import type { Clock } from '../base/clock.ts'
import type { BatchHandler } from './batch-handler.ts'
import type { PendingRecord } from './invocation-context.ts'
import { payloadBytesMax } from './lambda-event.ts'
import { createTumblingWindow } from './tumbling-window.ts'
import type { TumblingWindow } from './tumbling-window.ts'

/**
 * The records of a shard that are handed over one batch after the other. A shard has as many lanes as
 * ParallelizationFactor says; the records of a key are all in one, so that their order is kept.
 */
export interface Lane {
  /** Adds records, in order. */
  push(records: readonly LaneRecord[]): void
  /** Resolves when there is room for more. */
  room(): Promise<void>
  /** All that arrived before this time (epoch milliseconds) was pushed: windows until then may end. */
  setReadUpTo(timeMs: number): void
  /** No more will come; what is there is handed over without waiting. */
  end(): void
  /** Resolves when all is done, or when the signal has aborted and what was under way has ended. */
  readonly done: Promise<void>
  /** The state of its window, to be kept with the checkpoint. */
  windowState(): string | undefined
}

export interface LaneRecord extends PendingRecord {
  /** In an event. */
  readonly eventBytes: number
}

interface LaneOptions {
  readonly batchRecordsMax: number
  readonly batchingWindowMs: number
  /** 0: no windows. */
  readonly tumblingWindowMs: number
  /** Of the last run. */
  readonly windowState?: string
  readonly signal: AbortSignal
  /** Told when a batch, and its window, are done with. */
  readonly onBatchDone?: () => void
}

/** Room for an event around the records. */
const envelopeBytes = 1_024
/** A lane holds the reading back when it has a batch, and this many records, or these bytes. */
const recordsWaitingMin = 1_000
const bytesWaitingMax = 2 * payloadBytesMax

export function createLane(
  dependencies: { readonly handler: BatchHandler; readonly clock: Clock },
  options: LaneOptions,
): Lane {
  const { clock, handler } = dependencies
  const { signal, batchRecordsMax, batchingWindowMs, tumblingWindowMs } = options
  const waiting: LaneRecord[] = []
  const changes = createChanges(clock, signal)
  const waitingMax = Math.max(recordsWaitingMin, batchRecordsMax)
  let firstSinceMs = 0
  let waitingBytes = 0
  let isEnding = false
  let readUpToMs = 0
  const window: TumblingWindow | undefined =
    tumblingWindowMs > 0
      ? createTumblingWindow({ handler, signal }, tumblingWindowMs, options.windowState)
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
      const windowEndMs = window?.openEndMs() ?? Number.POSITIVE_INFINITY
      if (count === 0 && readUpToMs > windowEndMs) {
        await window?.close()
        options.onBatchDone?.()
        continue
      }
      if (count === 0 && isEnding) return window?.close()
      await changes.next(count > 0 ? batchingWindowMs - waitedMs : undefined)
    }
  }

  async function handle(batch: readonly LaneRecord[]): Promise<void> {
    if (window) await window.handle(batch)
    else await handler.handle(batch, undefined, signal)
    options.onBatchDone?.()
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
    windowState: () => window?.stateText(),
  }
}

const bytesOf = (records: readonly LaneRecord[]) =>
  records.reduce((sum, { eventBytes }) => sum + eventBytes, 0)

/** Of those that wait, how many the next batch takes; whether it is as large as it may be. */
function nextBatch(
  waiting: readonly LaneRecord[],
  recordsMax: number,
  window: TumblingWindow | undefined,
): { readonly count: number; readonly isFull: boolean } {
  let sizeBytes = envelopeBytes + (window?.stateBytes() ?? 0)
  const endMs = waiting[0] && window?.endOf(waiting[0].approximateArrivalMs)
  for (const [count, record] of waiting.entries()) {
    sizeBytes += record.eventBytes
    const isOver = count > 0 && sizeBytes > payloadBytesMax
    const isNextWindow = endMs !== undefined && record.approximateArrivalMs >= endMs
    if (count === recordsMax || isOver || isNextWindow) return { count, isFull: true }
  }
  return { count: waiting.length, isFull: waiting.length >= recordsMax }
}

/** Wakes all who wait for something to change. */
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
    /** Resolves at the next change, when the time is over, or when the signal aborts. */
    async next(timeoutMs = timeoutMsMax): Promise<void> {
      if (signal.aborted) return
      await clock.sleep(Math.min(timeoutMs, timeoutMsMax), change.signal)
    },
  }
}

const timeoutMsMax = 3_600_000
