import { createRetryBackoff } from '../consumers/retry-backoff.ts'
import type { RetryBackoff } from '../consumers/retry-backoff.ts'
import { messageOf, shorten } from '../base/errors.ts'
import { unreachable } from '../base/unreachable.ts'
import { countTooOld, decideBatch } from './batch-decision.ts'
import type { BatchPart } from './batch-decision.ts'
import { readResponse } from './batch-response.ts'
import type { BatchResponse } from './batch-response.ts'
import type { InvokeOutcome } from './functions/lambda-function.ts'
import { createGiveUp } from './give-up.ts'
import type { GiveUp, LastInvocation } from './give-up.ts'
import { writeEvent } from './lambda-event.ts'
import type { WindowOfEvent } from './lambda-event.ts'
import type { InvocationContext, PendingRecord } from './invocation-context.ts'
import type { MappingSettings } from './mapping-settings.ts'
import type { RecentBatch } from './recent-batches.ts'
import type { RecordRange } from './record-range.ts'
import { traceInvocation } from './trace-invocation.ts'

/** Invokes the function with batches until each of their records is finished. */
export interface BatchHandler {
  /**
   * Resolves when all records are finished or given up, or when `signal` has aborted and the
   * running invocation has ended; unfinished records are then handed over again later. Never
   * rejects.
   *
   * @param records empty for the final invocation of a window
   * @returns whether everything is finished or given up
   */
  handle(
    records: readonly PendingRecord[],
    window: BatchWindow | undefined,
    signal: AbortSignal,
  ): Promise<boolean>
}

/** The window of a batch, as the handler needs it. */
export interface BatchWindow {
  /** The window as the next invocation gets it. */
  forEvent(): WindowOfEvent
  /** Called in the turn in which these records are finished, with the state that holds them. */
  takeOver(state: unknown, finished: readonly PendingRecord[]): void
  /** The records in the state. */
  records(): RecordRange | undefined
}

/** Of the reason of an invocation that did not succeed, among the recent batches. */
const reasonCharactersMax = 400
const retryDelaysMs = { firstDelayMs: 200, delayMsMax: 30_000 }

interface Part extends BatchPart {
  /** Invocations that these records were part of. */
  readonly invokeCount: number
}

/** The progress of one batch. */
interface Work {
  /** The unfinished records, in order; the parts divide them. */
  rest: readonly PendingRecord[]
  parts: readonly Part[]
  last: LastInvocation
  readonly window: BatchWindow | undefined
  /** Whether a stop came before records were given up, so that they are left to the next run. */
  isLeft: boolean
  /** By the monotonic clock: the age of a final invocation counts from here. */
  readonly sinceMs: number
  readonly backoff: RetryBackoff
}

export function createBatchHandler(context: InvocationContext): BatchHandler {
  const { settings, uuid, origin } = context
  const fields = { mapping: uuid, function: settings.FunctionName, shardId: origin.shardId }
  const giveUp = createGiveUp(context, fields)
  return {
    async handle(batch, window, signal) {
      const work: Work = {
        rest: batch,
        parts: [{ count: batch.length, failedCalls: 0, invokeCount: 0 }],
        last: { requestId: '', functionError: null },
        window,
        isLeft: false,
        sinceMs: context.clock.monotonicMs(),
        backoff: createRetryBackoff(context, {
          ...retryDelaysMs,
          text: 'an invocation of an event source mapping failed',
          fields,
        }),
      }
      const mayInvoke = () => context.isHeld?.() !== false && !signal.aborted
      for (let [part] = work.parts; part && mayInvoke(); [part] = work.parts) {
        const isOld = await giveUpOld(context, giveUp, work, part, signal)
        if (!isOld) await invokePart(context, giveUp, work, part, signal)
      }
      return work.parts.length === 0 && !work.isLeft
    },
  }
}

/** @returns whether any of the part was too old */
async function giveUpOld(
  { clock, settings, origin }: InvocationContext,
  giveUp: GiveUp,
  work: Work,
  part: Part,
  signal: AbortSignal,
): Promise<boolean> {
  const { MaximumRecordAgeInSeconds: ageSecondsMax } = settings
  const nowMs = clock.monotonicMs()
  if (part.count === 0) {
    // A final invocation is as old as the time for which it is tried: it is tried at least once.
    if (countTooOld([work], ageSecondsMax, nowMs) === 0) return false
    const payload = writeEvent([], origin, work.window?.forEvent())
    const ofWindow = work.window?.records()
    const { last } = work
    const after = { ...part, last, payload, ofWindow }
    work.isLeft = !(await giveUp([], 'RecordAgeExceeded', after, signal))
    work.parts = []
    return true
  }
  const old = countTooOld(work.rest.slice(0, part.count), ageSecondsMax, nowMs)
  if (old === 0) return false
  const records = work.rest.slice(0, old)
  const { last } = work
  const payload = writeEvent(records, origin)
  const isGivenUp = await giveUp(records, 'RecordAgeExceeded', { ...part, last, payload }, signal)
  work.isLeft ||= !isGivenUp
  work.rest = work.rest.slice(old)
  const left = part.count - old
  work.parts = [...(left > 0 ? [{ ...part, count: left }] : []), ...work.parts.slice(1)]
  return true
}

async function invokePart(
  context: InvocationContext,
  giveUp: GiveUp,
  work: Work,
  part: Part,
  signal: AbortSignal,
): Promise<void> {
  const { settings, origin } = context
  const records = work.rest.slice(0, part.count)
  const payload = writeEvent(records, origin, work.window?.forEvent())
  const ended = context.batchSpans && traceInvocation(context, records)
  const since = { wallMs: context.clock.wallMs(), monotonicMs: context.clock.monotonicMs() }
  const outcome = await invoke(context, payload)
  ended?.(outcome)
  // Whether the function ran to its end is unknown, so the records are handed over again later.
  if (context.abandon.aborted && outcome.kind !== 'returned') return
  const { result, reason, state } = readOutcome(outcome, records, settings)
  context.onResult(result.kind === 'succeeded' ? 'ok' : 'failed', reason)
  const { requestId, kind } = outcome
  if (kind !== 'notInvoked') {
    work.last = { requestId, functionError: kind === 'failed' ? 'Unhandled' : null }
  }

  const decision = decideBatch(part, result, {
    bisects: settings.BisectBatchOnFunctionError,
    retriesMax: settings.MaximumRetryAttempts,
  })
  const { finishedCount, givenUpCount } = decision
  context.onBatch?.(batchOf(context, records, since, { result, reason, givenUpCount }))
  const invokeCount = part.invokeCount + (kind === 'notInvoked' ? 0 : 1)
  const finished = records.slice(0, finishedCount)
  if (state !== undefined) work.window?.takeOver(state, finished)
  for (const record of finished) record.finish()
  const doneCount = finishedCount + givenUpCount
  const isFinalLost = part.count === 0 && result.kind !== 'succeeded' && decision.next.length === 0
  const isGivenUp = await giveUp(
    records.slice(finishedCount, doneCount),
    'RetryAttemptsExhausted',
    {
      invokeCount,
      last: work.last,
      payload,
      ofWindow: isFinalLost ? work.window?.records() : undefined,
    },
    signal,
  )
  work.isLeft ||= !isGivenUp
  work.rest = work.rest.slice(doneCount)
  work.parts = [...decision.next.map((next) => ({ ...next, invokeCount })), ...work.parts.slice(1)]
  if (decision.isDelayed) await work.backoff.afterFailure(reason ?? 'some records failed', signal)
  else if (result.kind === 'succeeded') work.backoff.reset()
}

function batchOf(
  { clock, origin }: InvocationContext,
  records: readonly PendingRecord[],
  since: { readonly wallMs: number; readonly monotonicMs: number },
  {
    result,
    reason,
    givenUpCount,
  }: {
    readonly result: BatchResponse['result']
    readonly reason: string | undefined
    readonly givenUpCount: number
  },
): RecentBatch {
  const last = records.at(-1)
  return {
    at: new Date(since.wallMs).toISOString(),
    shardId: origin.shardId,
    records: records.length,
    durationMs: Math.round(clock.monotonicMs() - since.monotonicMs),
    iteratorAgeMs: last && Math.max(0, since.wallMs - last.approximateArrivalMs),
    outcome: result.kind === 'failedFrom' ? 'partlyFailed' : result.kind,
    givenUp: givenUpCount,
    reason: reason === undefined ? undefined : shorten(reason, reasonCharactersMax),
  }
}

async function invoke(context: InvocationContext, payload: string): Promise<InvokeOutcome> {
  try {
    const found = await context.findFunction()
    return await found.invoke(payload, context.abandon)
  } catch (thrown) {
    return { kind: 'notInvoked', requestId: '', reason: messageOf(thrown) }
  }
}

function readOutcome(
  outcome: InvokeOutcome,
  records: readonly PendingRecord[],
  settings: MappingSettings,
): BatchResponse {
  switch (outcome.kind) {
    case 'returned':
      return readResponse(
        outcome.payload,
        records.map(({ sequenceNumber }) => sequenceNumber),
        {
          reportsFailures: settings.FunctionResponseTypes.includes('ReportBatchItemFailures'),
          hasWindow: settings.TumblingWindowInSeconds > 0,
        },
      )
    case 'failed':
      return { result: { kind: 'failed' }, reason: `${outcome.errorType}: ${outcome.errorMessage}` }
    case 'notInvoked':
      return { result: { kind: 'notInvoked' }, reason: outcome.reason }
    default:
      return unreachable(outcome)
  }
}
