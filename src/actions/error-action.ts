import { targetOf } from '../outbox/outbox.ts'
import type { NewRecord, SourceMessage } from '../outbox/outbox.ts'
import type { ActionFailure, ActionKind } from './action/action.ts'

/**
 * One failure of a rule on a message. The error action gets one document for the rule and the
 * message, with all failures (AWS IoT developer guide, "Error handling (error action)").
 *
 * An action fails when it is applied, or later, when its record cannot be delivered. A later
 * failure gets a document of its own, because the first one was sent by then.
 */
export interface Failure {
  /** AWS's name of the action: `KinesisAction`. Failures before any action have names of ours. */
  readonly failedAction: string
  readonly failedResource: string
  readonly errorMessage: string
}

/**
 * The names that AWS's documents show. AWS does not document the others, which follow from the name
 * of the kind: `KinesisAction`.
 */
const documentedNames: Readonly<Partial<Record<ActionKind, string>>> = {
  dynamoDB: 'DynamoAction',
  dynamoDBv2: 'DynamoDBv2Action',
}

/** What AWS calls an action in error documents and in its log. */
export function actionName(kind: ActionKind): string {
  return documentedNames[kind] ?? `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Action`
}

/** @returns the failure of an action that could not be applied */
export function failureOfAction(
  kind: ActionKind,
  { where, message, resource }: ActionFailure,
): Failure {
  return {
    failedAction: actionName(kind),
    failedResource: resource,
    errorMessage: `${where}: ${message}`,
  }
}

/** @returns the failure of a record that is given up: its target never took it */
export function failureOfRecord(givenUp: {
  readonly record: Pick<NewRecord, 'destination'>
  readonly reason: { readonly code: string; readonly message: string }
  /** Calls that failed for it. */
  readonly attempts: number
}): Failure {
  const { record, reason, attempts } = givenUp
  return {
    failedAction: actionName(record.destination.kind),
    failedResource: targetOf(record.destination),
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
