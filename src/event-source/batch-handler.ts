import { createRetryBackoff } from '../consumers/retry-backoff.ts'
import type { RetryBackoff } from '../consumers/retry-backoff.ts'
import { messageOf } from '../base/errors.ts'
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

/** Invokes the function with batches until each of their records is finished. */
export interface BatchHandler {
  /**
   * Resolves when all records are finished or given up, or when `signal` has aborted and the
   * running invocation has ended; unfinished records are then handed over again later. Never
   * rejects.
   *
   * @param records empty for the final invocation of a window
   * @returns the state for the next invocation, where there is a window
   */
  handle(
    records: readonly PendingRecord[],
    window: WindowOfEvent | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly state?: unknown }>
}

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
  window: WindowOfEvent | undefined
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
        last: { requestId: '' },
        window,
        backoff: createRetryBackoff(context, {
          ...retryDelaysMs,
          text: 'an invocation of an event source mapping failed',
          fields,
        }),
      }
      for (let [part] = work.parts; part && !signal.aborted; [part] = work.parts) {
        const isOld = await giveUpOld(context, giveUp, work, part, signal)
        if (!isOld) await invokePart(context, giveUp, work, part, signal)
      }
      return work.window ? { state: work.window.state } : {}
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
  const old = countTooOld(work.rest.slice(0, part.count), ageSecondsMax, clock.monotonicMs())
  if (old === 0) return false
  const records = work.rest.slice(0, old)
  const { last } = work
  const payload = writeEvent(records, origin)
  await giveUp(records, 'RecordAgeExceeded', { ...part, last, payload }, signal)
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
  const payload = writeEvent(records, origin, work.window)
  const outcome = await invoke(context, payload)
  // Whether the function ran to its end is unknown, so the records are handed over again later.
  if (context.abandon.aborted && outcome.kind !== 'returned') return
  const { result, reason, state } = readOutcome(outcome, records, settings)
  context.onResult(result.kind === 'succeeded' ? 'ok' : 'failed')
  const { requestId, kind } = outcome
  work.last = { requestId, ...(kind !== 'notInvoked' && { functionError: 'Unhandled' }) }
  if (state !== undefined && work.window) work.window = { ...work.window, state }

  const decision = decideBatch(part, result, {
    bisects: settings.BisectBatchOnFunctionError,
    retriesMax: settings.MaximumRetryAttempts,
  })
  const { finishedCount, givenUpCount } = decision
  const invokeCount = part.invokeCount + (kind === 'notInvoked' ? 0 : 1)
  for (const record of records.slice(0, finishedCount)) record.finish()
  const doneCount = finishedCount + givenUpCount
  await giveUp(
    records.slice(finishedCount, doneCount),
    'RetryAttemptsExhausted',
    { invokeCount, last: work.last, payload },
    signal,
  )
  work.rest = work.rest.slice(doneCount)
  work.parts = [...decision.next.map((next) => ({ ...next, invokeCount })), ...work.parts.slice(1)]
  if (decision.isDelayed) await work.backoff.afterFailure(reason ?? 'some records failed', signal)
  else if (result.kind === 'succeeded') work.backoff.reset()
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
