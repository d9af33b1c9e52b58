import type { NewRecord, SourceMessage } from '../outbox/outbox.ts'
import type { ActionFailure, ActionKind } from './action.ts'

/**
 * What a rule's error action gets: one document for a rule and the message that triggered it, with
 * all that failed (AWS IoT developer guide, "Error handling (error action)").
 *
 * An action fails when it is applied, or later, when its record turns out not to be deliverable:
 * that is a document of its own, since the first one is on its way by then.
 */
export interface Failure {
  /** As AWS names actions: `KinesisAction`. What fails before any action has a name of ours. */
  readonly failedAction: string
  readonly failedResource: string
  readonly errorMessage: string
}

const actionNames: Readonly<Record<ActionKind, string>> = {
  kinesis: 'KinesisAction',
  republish: 'RepublishAction',
}

/** @returns the failure of an action that could not be applied */
export function failureOfAction(
  kind: ActionKind,
  { where, message, resource }: ActionFailure,
): Failure {
  return {
    failedAction: actionNames[kind],
    failedResource: resource,
    errorMessage: `${where}: ${message}`,
  }
}

/** @returns the failure of a record that the stream does not take, whatever is tried */
export function failureOfRecord(givenUp: {
  readonly record: Pick<NewRecord, 'destination'>
  readonly reason: { readonly code: string; readonly message: string }
  /** Calls that failed for it. */
  readonly attempts: number
}): Failure {
  const { record, reason, attempts } = givenUp
  return {
    failedAction: actionNames.kinesis,
    failedResource: record.destination.streamName,
    errorMessage: `given up after ${attempts} attempts: ${reason.code}: ${reason.message}`,
  }
}

/**
 * The document, as JSON with AWS's members in AWS's order. A message that no client sent over MQTT
 * has the client id that `clientid()` gives for it.
 */
export function errorDocument(
  ruleName: string,
  source: SourceMessage,
  failures: readonly Failure[],
): Buffer {
  return Buffer.from(
    JSON.stringify({
      ruleName,
      topic: source.topic,
      cloudwatchTraceId: source.messageId,
      clientId: source.clientId ?? 'n/a',
      base64OriginalPayload: source.payload.toString('base64'),
      failures,
    }),
  )
}
