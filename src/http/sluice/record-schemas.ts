import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { errorActionIndex } from '../../outbox/outbox.ts'
import type { Destination } from '../../outbox/outbox.ts'
import type { MessageRedaction } from '../../redaction/redaction.ts'

/** How `/v1` shows records: their counts, their destinations and the actions they come from. */
export const countSchema = Type.Integer({ minimum: 0 })

export const countsSchema = (...names: readonly string[]) =>
  Type.Object(Object.fromEntries(names.map((name): [string, TSchema] => [name, countSchema])))

/** What became of records; the ledger of the outbox explains the names. */
export const ledgerSchema = countsSchema(
  'accepted',
  'delivered',
  'queued',
  'deadLettered',
  'dropped',
  'handedOver',
)

export const destinationMembers = {
  kind: Type.String({ description: 'The kind of the action: `kinesis`, `sqs`.' }),
  region: Type.String(),
  streamName: Type.Optional(Type.String({ description: 'Of a stream.' })),
  streamArn: Type.Optional(Type.String()),
  target: Type.Optional(Type.String({ description: 'Of another service: a queue, a table.' })),
  endpoint: Type.Optional(Type.String()),
  credentials: Type.Unknown(),
  settings: Type.Unknown(),
}

/** The form of `destinationMembers`. Client properties may hold passwords, so nobody sees them. */
export function shownDestination(destination: Destination): Destination {
  return destination.kind === 'kinesis'
    ? destination
    : { ...destination, clientProperties: undefined }
}

/** @returns bytes in base64; undefined when they are not JSON, in which members are redacted */
export function shownBytes(
  data: Uint8Array,
  redaction: MessageRedaction | undefined,
): string | undefined {
  const shown = redaction === undefined ? Buffer.from(data) : redaction.bytes(data)
  return shown?.toString('base64')
}

/** The call that AWS IoT would make for a record. */
export const callSchema = Type.Object({
  operation: Type.String(),
  parameters: Type.Unknown(),
})

export const actionSchema = Type.Union([Type.Integer(), Type.Literal('errorAction')], {
  description: 'The index of the action, or `errorAction`.',
})

/** @returns the action as `actionSchema` describes it */
export function actionOf(actionIndex: number): number | 'errorAction' {
  return actionIndex === errorActionIndex ? 'errorAction' : actionIndex
}
