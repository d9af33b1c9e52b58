import { createPatience } from '../consumers/retry-backoff.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import { failureDocument } from './failure-files.ts'
import type { GiveUpCondition } from './failure-files.ts'
import type { InvocationContext, PendingRecord } from './invocation-context.ts'

/** The last invocation that records were part of. */
export interface LastInvocation {
  readonly requestId: string
  /** Absent: none reached the function. */
  readonly functionError?: string
}

interface GivenUpAfter {
  readonly invokeCount: number
  readonly last: LastInvocation
  /** The event, as it was or would have been sent. */
  readonly payload: string
}

/**
 * Lets go of records: into the file of failures if the mapping names a destination. They are not
 * finished before they are there; when `signal` aborts first they come again.
 */
export type GiveUp = (
  records: readonly PendingRecord[],
  condition: GiveUpCondition,
  after: GivenUpAfter,
  signal: AbortSignal,
) => Promise<void>

const retryDelaysMs = { firstDelayMs: 200, delayMsMax: 30_000 }

export function createGiveUp(
  context: InvocationContext,
  fields: Readonly<Record<string, unknown>>,
): GiveUp {
  const { clock, logger, settings, uuid, origin } = context
  const log = createLimitedLog({ logger, clock })
  const destination = settings.DestinationConfig?.OnFailure?.Destination

  async function write(document: object, signal: AbortSignal): Promise<boolean> {
    const patience = createPatience(context, {
      ...retryDelaysMs,
      text: 'records that are given up cannot be written; it is tried again',
      fields,
    })
    while (!signal.aborted) {
      try {
        await context.failures.write(uuid, document)
        return true
      } catch (thrown) {
        await patience.afterFailure(thrown, signal)
      }
    }
    return false
  }

  return async (records, condition, { invokeCount, last, payload }, signal) => {
    if (records.length === 0) return
    log.error(
      condition,
      { ...fields, condition, records: records.length, destination },
      'an event source mapping gives records up',
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
          records,
          // Buckets get the records as well, queues and topics only where they were.
          ...(destination.includes(':s3:::') && { payload }),
        },
        clock.wallMs(),
      )
      if (!(await write(document, signal))) return
    }
    for (const record of records) record.finish()
  }
}
