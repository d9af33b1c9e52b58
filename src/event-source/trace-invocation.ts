import type { InvocationContext, PendingRecord } from './invocation-context.ts'
import type { InvokeOutcome } from './functions/lambda-function.ts'

/**
 * Begins the spans of an invocation.
 *
 * @returns to be called with its outcome; undefined when no record is traced
 */
export function traceInvocation(
  { batchSpans, streamArn, origin, settings, uuid }: InvocationContext,
  records: readonly PendingRecord[],
): ((outcome: InvokeOutcome) => void) | undefined {
  const ended = batchSpans?.invocation({
    streamName: streamArn.slice(streamArn.indexOf('/') + 1),
    shardId: origin.shardId,
    functionName: settings.FunctionName,
    mapping: uuid,
    sequenceNumbers: records.map(({ sequenceNumber }) => sequenceNumber),
  })
  return ended && ((outcome) => ended(failureOf(outcome)))
}

function failureOf(outcome: InvokeOutcome): string | undefined {
  switch (outcome.kind) {
    case 'returned':
      return undefined
    case 'failed':
      return outcome.errorType
    case 'notInvoked':
      return outcome.kind
    default:
      return outcome satisfies never
  }
}
