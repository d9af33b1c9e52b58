import type { BatchHandler, BatchWindow } from './batch-handler.ts'
import type { PendingRecord } from './invocation-context.ts'
import { extendRange } from './record-range.ts'
import type { RecordRange } from './record-range.ts'

/**
 * The tumbling windows of one parallel batch (Lambda Developer Guide, "Implementing stateful
 * Kinesis Data Streams processing"): records belong to windows by the time of their arrival, and
 * the windows are aligned to the epoch. The function receives the state that it returned with the
 * next batch of the window. When the window is over, or its state is longer than 1 MB, it is
 * invoked once more without records.
 */
export interface TumblingWindow {
  /** Hands over records of one window; a window that was open before is closed first. */
  handle(records: readonly PendingRecord[]): Promise<void>
  /** Makes the final invocation of the open window, if there is one. */
  close(): Promise<void>
  /** When the window of a record begins, in epoch milliseconds. */
  startOf(arrivalMs: number): number
  /** What to store; undefined when no window is open. */
  open(): OpenWindow | undefined
  stateBytes(): number
}

const stateBytesMax = 1024 * 1024

/** A window that has not had its final invocation. Times are epoch milliseconds. */
export interface OpenWindow {
  readonly startMs: number
  readonly endMs: number
  readonly state: unknown
  /** The records in the state. */
  readonly records?: RecordRange | undefined
}

interface TumblingWindowDependencies {
  readonly handler: BatchHandler
  readonly signal: AbortSignal
  /** Called when `open` has changed, in the same turn. */
  readonly onChange?: (() => void) | undefined
}

/** @param stored the window that was open at the end of the last run */
export function createTumblingWindow(
  { handler, signal, onChange }: TumblingWindowDependencies,
  lengthMs: number,
  stored?: OpenWindow,
): TumblingWindow {
  let open = stored
  let stateBytes = stored ? bytesOf(stored.state) : 0

  const startOf = (arrivalMs: number) => Math.floor(arrivalMs / lengthMs) * lengthMs

  function change(window: OpenWindow | undefined): void {
    open = window
    stateBytes = window ? bytesOf(window.state) : 0
    onChange?.()
  }

  async function finish(isTerminatedEarly: boolean): Promise<void> {
    // A stop may leave the final invocation to the next run.
    if (open && (await closeWindow(handler, open, { isTerminatedEarly, signal }))) change(undefined)
  }

  /** The window as the handler sees it; the state of each finished part is taken over at once. */
  function batchWindow(first: OpenWindow): BatchWindow {
    let current = first
    return {
      forEvent: () => ({ ...current, isFinal: false, isTerminatedEarly: false }),
      takeOver(state, finished) {
        current = { ...current, state, records: extendRange(current.records, finished) }
        change(current)
      },
      records: () => current.records,
    }
  }

  return {
    async handle(records) {
      const [first] = records
      if (!first) return
      const startMs = startOf(first.approximateArrivalMs)
      if (open && open.startMs !== startMs) await finish(false)
      if (signal.aborted) return
      const window = batchWindow(open ?? { startMs, endMs: startMs + lengthMs, state: {} })
      await handler.handle(records, window, signal)
      if (stateBytes > stateBytesMax) await finish(true)
    },
    close: () => finish(false),
    startOf,
    open: () => open,
    stateBytes: () => stateBytes,
  }
}

/**
 * Makes the final invocation of a window.
 *
 * @returns whether the window is closed; false when `signal` aborted first
 */
export function closeWindow(
  handler: BatchHandler,
  window: OpenWindow,
  options: { readonly isTerminatedEarly: boolean; readonly signal: AbortSignal },
): Promise<boolean> {
  const { isTerminatedEarly, signal } = options
  const finalWindow: BatchWindow = {
    forEvent: () => ({ ...window, isFinal: true, isTerminatedEarly }),
    takeOver: () => undefined,
    records: () => window.records,
  }
  return handler.handle([], finalWindow, signal)
}

const bytesOf = (state: unknown) => Buffer.byteLength(JSON.stringify(state ?? null))
