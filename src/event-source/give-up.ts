import { createRetryBackoff } from '../consumers/retry-backoff.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import { failureDocument } from './failure-files.ts'
import type { GiveUpCondition } from './failure-files.ts'
import type { InvocationContext, PendingRecord } from './invocation-context.ts'
import { extendRange } from './record-range.ts'
import type { RecordRange } from './record-range.ts'

/** The last invocation with these records. */
export interface LastInvocation {
  /** Empty when no invocation reached the function. */
  readonly requestId: string
  /** Null when the function returned, and reported records as failed. */
  readonly functionError: string | null
}

interface GivenUpAfter {
  readonly invokeCount: number
  readonly last: LastInvocation
  /** The event that was, or would have been, sent. */
  readonly payload: string
  /**
   * For a final invocation, which has no records of its own: the records in the state of its
   * window. They are finished, but what the function made of them is given up.
   */
  readonly ofWindow?: RecordRange | undefined
}

/**
 * Gives records up: writes them to the file of failures if the mapping names a destination, sends
 * them there where destinations are reached, and finishes them. When `signal` aborts before the
 * write, they stay unfinished and are handed over again.
 *
 * @returns whether they are given up
 */
export type GiveUp = (
  records: readonly PendingRecord[],
  condition: GiveUpCondition,
  after: GivenUpAfter,
  signal: AbortSignal,
) => Promise<boolean>

const retryDelaysMs = { firstDelayMs: 200, delayMsMax: 30_000 }

export function createGiveUp(
  context: InvocationContext,
  fields: Readonly<Record<string, unknown>>,
): GiveUp {
  const { clock, logger, settings, uuid, origin } = context
  const log = createLimitedLog({ logger, clock })
  const destination = settings.DestinationConfig?.OnFailure?.Destination

  async function write(document: object, signal: AbortSignal): Promise<boolean> {
    const backoff = createRetryBackoff(context, {
      ...retryDelaysMs,
      text: 'given-up records cannot be written to the file of failures; the write is retried',
      fields,
    })
    while (!signal.aborted) {
      try {
        await context.failures.write(uuid, document)
        return true
      } catch (thrown) {
        await backoff.afterFailure(thrown, signal)
      }
    }
    return false
  }

  return async (records, condition, { invokeCount, last, payload, ofWindow }, signal) => {
    const range = extendRange(ofWindow, records)
    if (!range) return true
    log.error(
      condition,
      { ...fields, condition, records: range.count, destination },
      'an event source mapping gave records up',
    )
    if (destination !== undefined) {
      const document = failureDocument(
        {
          condition,
          ...last,
          functionArn: context.functionArnNow(),
          invokeCount,
          shardId: origin.shardId,
          streamArn: context.streamArn,
          records: range,
          // Buckets receive the records too; queues and topics only receive their positions.
          ...(destination.includes(':s3:::') && { payload }),
        },
        clock.wallMs(),
      )
      if (!(await write(document, signal))) return false
      const { shardId } = origin
      await context.sendFailure?.({ mapping: uuid, destination, shardId, document }, signal)
    }
    for (const record of records) record.finish()
    return true
  }
}
