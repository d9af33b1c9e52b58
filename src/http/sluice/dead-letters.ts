import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { shownCall } from '../../aws/call/service-call.ts'
import { SluiceError } from '../../base/errors.ts'
import type { MessageRedaction, Redaction } from '../../redaction/redaction.ts'
import type { Mqtt5Properties } from '../../message.ts'
import type { ManagedOutbox } from '../../outbox/managed-outbox.ts'
import type { DeadLetter, DeadLetterSelection, Destination } from '../../outbox/outbox.ts'
import { ruleNamePattern } from '../../rules/payload.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { shownProperties } from '../../storage/stored-properties.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer, epochMs, nextTokenSchema } from '../server/operation.ts'
import {
  actionOf,
  actionSchema,
  countSchema,
  countsSchema,
  callSchema,
  destinationMembers,
  shownBytes,
  shownDestination,
} from './record-schemas.ts'
import { mqtt5Schema } from './message-request.ts'
import { readErrors, ruleReadErrors } from './sluice-api.ts'
import type { PayloadOptions } from './sluice-api.ts'

/**
 * `/v1/dead-letters`: records that could not be delivered, and messages for which an action failed,
 * are listed, replayed or deleted.
 */
export interface DeadLetterRouteDependencies {
  readonly outbox: Pick<ManagedOutbox, 'deadLetters'>
  /** Absent: everything is shown. */
  readonly redaction?: Redaction | undefined
}

const idPattern = '^[0-9]{1,16}$'
const idsMax = 1_000
const listQuery = Type.Object({
  ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 250 })),
  nextToken: Type.Optional(Type.String({ pattern: idPattern })),
})
const idParams = Type.Object({ id: Type.String({ pattern: idPattern }) })

/** Selects the dead letters with these ids, or of this rule, or all of them. */
const replayRequestSchema = Type.Object(
  {
    ids: Type.Optional(Type.Array(Type.String({ pattern: idPattern }), { maxItems: idsMax })),
    ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
    how: Type.Optional(
      Type.Enum(['rule', 'asIs'], {
        description:
          '`rule`, the default: by the rule as it is now. ' +
          '`asIs`: the same record to the same stream; a failed action has none and is kept.',
      }),
    ),
  },
  { additionalProperties: false },
)
const replayRequest = Compile(replayRequestSchema)

const leftOutSchema = Type.Optional(
  Type.Enum(['notAllowed', 'notJson'], {
    description:
      'Why it is not shown: the policy of the caller does not allow `sluice:ReadPayloads`; or ' +
      '`SLUICE_REDACT` names members, and what is not JSON cannot be searched for them.',
  }),
)

const deadLetterSchema = Type.Object({
  id: Type.String(),
  ruleName: Type.String(),
  action: actionSchema,
  reason: Type.Object({ code: Type.String(), message: Type.String() }),
  attempts: countSchema,
  firstMs: epochMs('The first failed call, or when the action failed, in epoch milliseconds.'),
  lastMs: epochMs('The last failed call, or when the action failed, in epoch milliseconds.'),
  acceptedAtMs: epochMs('Epoch milliseconds.'),
  field: Type.Optional(
    Type.String({
      description:
        'The field of the rule that failed. Absent for a record that was given up. ' +
        'A failed action has neither destination nor partition key.',
    }),
  ),
  destination: Type.Optional(Type.Object(destinationMembers)),
  partitionKey: Type.Optional(Type.String()),
  explicitHashKey: Type.Optional(Type.String()),
  dataBase64: Type.Optional(Type.String()),
  dataLeftOut: leftOutSchema,
  call: Type.Optional(callSchema),
  origin: Type.Object({
    messageId: Type.String(),
    topic: Type.String(),
    clientId: Type.Optional(Type.String()),
    traceId: Type.Optional(Type.String()),
    principal: Type.Optional(Type.String()),
    timestampMs: epochMs('When the message arrived, in epoch milliseconds.'),
    payloadBase64: Type.Optional(Type.String()),
    payloadLeftOut: leftOutSchema,
    republishDepth: Type.Optional(countSchema),
    mqtt5: Type.Optional(mqtt5Schema),
  }),
})

const listDeadLetters = {
  querystring: listQuery,
  operation: {
    id: 'ListDeadLetters',
    summary: 'Lists records that could not be delivered, and actions that failed.',
    answer: {
      description: 'A page; a page that is not full need not be the last one.',
      schema: Type.Object({
        deadLetters: Type.Array(deadLetterSchema),
        nextToken: nextTokenSchema,
      }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

const replayDeadLetters = {
  operation: {
    id: 'ReplayDeadLetters',
    summary: 'Sends dead letters again, in order.',
    body: { schema: replayRequestSchema },
    answer: {
      description: '`kept` counts those that the rule, as it is now, makes nothing of.',
      schema: countsSchema('replayed', 'kept'),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

const deleteDeadLetter = {
  params: idParams,
  operation: {
    id: 'DeleteDeadLetter',
    summary: 'Deletes a dead letter.',
    answer: emptyAnswer,
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

export function addDeadLetterRoutes(
  app: HttpApp,
  { outbox: { deadLetters }, redaction }: DeadLetterRouteDependencies,
  { mayReadPayloads }: PayloadOptions,
): void {
  app.get('/v1/dead-letters', { schema: listDeadLetters }, async (request) => {
    const page = await deadLetters.list(request.query)
    const mayRead = mayReadPayloads(request)
    const shown = page.deadLetters.map((letter): object => {
      const redacted = redaction?.of(letter.source.payload)
      return mayRead ? shownLetter(letter, redacted) : withoutPayloads(letter, redacted)
    })
    return { ...page, deadLetters: shown }
  })

  app.post('/v1/dead-letters/replay', { schema: replayDeadLetters }, async (request) => {
    const { how, selection } = readReplay(bodyJson(request))
    const { count: replayed, kept } = await deadLetters.replay(selection, how)
    return { replayed, kept }
  })

  app.delete('/v1/dead-letters/:id', { schema: deleteDeadLetter }, async (request, reply) => {
    const { id } = request.params
    const { count } = await deadLetters.delete({ ids: [id] })
    if (count > 0) return reply.send()
    throw new SluiceError('ResourceNotFoundException', `there is no dead letter ${id}`)
  })
}

/** The form of `deadLetterSchema`. */
function shownLetter(letter: DeadLetter, redaction: MessageRedaction | undefined) {
  const { data, call, source } = letter
  const shown = withoutPayloads(letter, redaction)
  const dataBase64 = shownBytes(data, redaction)
  const payloadBase64 = shownBytes(source.payload, redaction)
  return {
    ...shown,
    dataBase64,
    dataLeftOut: dataBase64 === undefined ? 'notJson' : undefined,
    ...(call !== undefined && { call: shownCall(call, data, redaction) }),
    origin: {
      ...shown.origin,
      payloadBase64,
      payloadLeftOut: payloadBase64 === undefined ? 'notJson' : undefined,
      mqtt5: source.mqtt5 && shownMqtt5(source.mqtt5, redaction),
    },
  }
}

/** What is shown to callers who may not read payloads. */
function withoutPayloads(
  { data: _data, call: _call, source, actionIndex, destination, ...letter }: DeadLetter,
  redaction: MessageRedaction | undefined,
) {
  const { payload: _payload, mqtt5: _mqtt5, ...sender } = source
  const { partitionKey, explicitHashKey, reason } = letter
  const text = <Text extends string | undefined>(given: Text) =>
    given === undefined ? given : (redaction?.text(given) ?? given)
  return {
    ...letter,
    partitionKey: text(partitionKey),
    explicitHashKey: text(explicitHashKey),
    reason: { ...reason, message: text(reason.message) },
    ...(destination && { destination: redactedDestination(shownDestination(destination), text) }),
    action: actionOf(actionIndex),
    dataLeftOut: 'notAllowed',
    origin: { ...sender, topic: text(sender.topic), payloadLeftOut: 'notAllowed' },
  }
}

/** Templates make the names of streams and other targets. */
function redactedDestination(destination: Destination, text: (given: string) => string) {
  return destination.kind === 'kinesis'
    ? { ...destination, streamName: text(destination.streamName) }
    : { ...destination, target: text(destination.target) }
}

function shownMqtt5(mqtt5: Mqtt5Properties, redaction: MessageRedaction | undefined): unknown {
  const shown = shownProperties(mqtt5)
  return redaction === undefined ? shown : redaction.value(shown)
}

function readReplay(json: unknown): {
  readonly how: 'rule' | 'asIs'
  readonly selection: DeadLetterSelection
} {
  if (!replayRequest.Check(json)) throw schemaProblem(replayRequest.Errors(json))
  const { ids, ruleName, how = 'rule' } = json
  if (ids === undefined) {
    return { how, selection: ruleName === undefined ? {} : { ruleName } }
  }
  if (ruleName === undefined) return { how, selection: { ids } }
  throw new SluiceError('InvalidRequestException', 'ids and ruleName are given: give one of them')
}
