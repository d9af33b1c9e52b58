import type { PendingRecord } from './invocation-context.ts'
import type { BatchHandler } from './batch-handler.ts'
import type { WindowOfEvent } from './lambda-event.ts'

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
  /** When the window of a record ends, in epoch milliseconds. */
  endOf(arrivalMs: number): number
  /** When the open window ends, in epoch milliseconds; undefined when none is open. */
  openEndMs(): number | undefined
  stateBytes(): number
  /** The state to store; undefined when no window is open. */
  stateText(): string | undefined
}

const stateBytesMax = 1024 * 1024

interface OpenWindow {
  readonly startMs: number
  readonly state: unknown
}

/** @param stateText the stored state of the last run */
export function createTumblingWindow(
  { handler, signal }: { readonly handler: BatchHandler; readonly signal: AbortSignal },
  lengthMs: number,
  stateText?: string,
): TumblingWindow {
  let open = stateText === undefined ? undefined : (JSON.parse(stateText) as OpenWindow)
  let stateBytes = 0

  const startOf = (arrivalMs: number) => Math.floor(arrivalMs / lengthMs) * lengthMs

  function eventWindow(
    { startMs, state }: OpenWindow,
    flags: Pick<WindowOfEvent, 'isFinal' | 'isTerminatedEarly'>,
  ): WindowOfEvent {
    return { startMs, endMs: startMs + lengthMs, state, ...flags }
  }

  async function finish(isTerminatedEarly: boolean): Promise<void> {
    if (!open) return
    await handler.handle([], eventWindow(open, { isFinal: true, isTerminatedEarly }), signal)
    // After a stop the final invocation is left to the next run.
    if (signal.aborted) return
    open = undefined
    stateBytes = 0
  }

  return {
    async handle(records) {
      const [first] = records
      if (!first) return
      const startMs = startOf(first.approximateArrivalMs)
      if (open && open.startMs !== startMs) await finish(false)
      if (signal.aborted) return
      open ??= { startMs, state: {} }
      const flags = { isFinal: false, isTerminatedEarly: false }
      const { state } = await handler.handle(records, eventWindow(open, flags), signal)
      open = { startMs, state }
      stateBytes = Buffer.byteLength(JSON.stringify(state ?? null))
      if (stateBytes > stateBytesMax) await finish(true)
    },
    close: () => finish(false),
    endOf: (arrivalMs) => startOf(arrivalMs) + lengthMs,
    openEndMs: () => open && open.startMs + lengthMs,
    stateBytes: () => stateBytes,
    stateText: () => open && JSON.stringify(open),
  }
}
