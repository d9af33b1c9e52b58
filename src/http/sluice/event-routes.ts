import type { ServerResponse } from 'node:http'
import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { ruleNamePattern } from '../../rules/payload.ts'
import type { MessageWatch, WatchFilter, WatchOptions } from '../../watch/message-watch.ts'
import type { WatchEvent } from '../../watch/watch-event.ts'
import { requestIdHeader } from '../server/http-answers.ts'
import type { HttpApp } from '../server/http-app.ts'
import { openEventStream } from './event-stream.ts'
import { readErrors } from './sluice-api.ts'

/** `/v1/events` and `/v1/trace`: what becomes of messages, while somebody looks. */
export interface EventRouteDependencies {
  readonly watch: Pick<MessageWatch, 'watch' | 'path'>
  readonly clock: Clock
}

/** Streams that are open at a time: each of them costs the engine work. */
const streamsMax = 50
const leftOutEveryMs = 1_000

const actionSchema = Type.Object({
  kind: Type.String(),
  actionIndex: Type.Integer({ description: '-1 for the error action.' }),
  partitionKey: Type.Optional(Type.String()),
  state: Type.Enum(['queued', 'republished', 'failed']),
  reason: Type.Optional(Type.String()),
})
const latencySchema = Type.Number({ description: 'Milliseconds since the message arrived.' })
const messageSchema = Type.Object({
  messageId: Type.String(),
  at: Type.String({ description: 'RFC 3339, in UTC.' }),
  topic: Type.String(),
  clientId: Type.Optional(Type.String()),
  qos: Type.Integer(),
  bytes: Type.Integer(),
  rules: Type.Array(
    Type.Object({
      ruleName: Type.String(),
      matched: Type.Boolean(),
      because: Type.Optional(Type.String({ description: 'Why it did not match, or failed.' })),
      actions: Type.Array(actionSchema),
    }),
  ),
  furtherRules: Type.Optional(
    Type.Integer({ description: 'Rules that the topic concerns besides those in `rules`.' }),
  ),
})
const recordSchema = Type.Object({
  messageId: Type.String(),
  latencyMs: latencySchema,
  ruleName: Type.String(),
  actionIndex: Type.Integer(),
  kind: Type.String(),
  destination: Type.String(),
  shardId: Type.Optional(Type.String()),
  sequenceNumber: Type.Optional(Type.String()),
  callRecords: Type.Optional(Type.Integer({ description: 'Records of the call.' })),
  reason: Type.Optional(Type.String({ description: 'Why it was given up.' })),
  followedBy: Type.Optional(Type.Enum(['errorAction', 'deadLetter', 'nothing'])),
})

const watchMessages = {
  querystring: Type.Object(
    {
      topic: Type.Optional(
        Type.String({ description: 'A topic filter of MQTT.', minLength: 1, maxLength: 1_024 }),
      ),
      client: Type.Optional(Type.String({ description: 'A client id.' })),
      rule: Type.Optional(Type.String({ pattern: ruleNamePattern })),
      payloads: Type.Optional(
        Type.Boolean({
          description:
            'Whether `message` events show payloads, which takes `sluice:ReadPayloads` as well.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  operation: {
    id: 'WatchMessages',
    summary: 'Tells what becomes of messages, as server-sent events.',
    description:
      'Events: `message` when the rules have run; `durable` when its records are on disk; ' +
      '`delivered` and `failed` for each record; `leftOut` with the `count` of messages that were ' +
      'not shown, because there were more than 100 a second (1,000 with a filter) or the reader is slow. ' +
      'A comment is sent every 15 s. With `payloads=true` a `message` has `payload` when it is ' +
      'UTF-8, else `payloadBase64`, or `payloadLeftOut`: `long` for more than 128 KiB, `budget` ' +
      'after 1 MiB in a second, `notJson` while `SLUICE_REDACT` names members.',
    answer: {
      description: 'The events, until the reader goes.',
      type: 'text/event-stream',
      schema: Type.String(),
    },
    errors: ['InvalidRequestException', 'ServiceUnavailableException'],
  },
} satisfies FastifySchema

const getTrace = {
  querystring: Type.Object(
    { messageId: Type.String({ minLength: 1, maxLength: 256 }) },
    { additionalProperties: false },
  ),
  operation: {
    id: 'GetTrace',
    summary: 'Shows the path of a message that was seen while somebody watched.',
    answer: {
      description: 'The path, as far as the message has come.',
      schema: Type.Object({
        message: messageSchema,
        durable: Type.Optional(Type.Object({ messageId: Type.String(), latencyMs: latencySchema })),
        records: Type.Array(recordSchema),
      }),
    },
    errors: [...readErrors, 'ResourceNotFoundException'],
  },
} satisfies FastifySchema

interface FollowRequest {
  readonly filter: WatchFilter
  readonly options: WatchOptions
  readonly requestId: string
}

export function addEventRoutes(app: HttpApp, { watch, clock }: EventRouteDependencies): void {
  const open = new Set<ServerResponse>()
  app.addHook('preClose', async () => {
    for (const response of open) response.end()
  })

  app.get('/v1/events', { schema: watchMessages }, async (request, reply) => {
    if (open.size >= streamsMax) {
      throw new SluiceError(
        'ServiceUnavailableException',
        `${streamsMax} streams of events are open, which is the most there may be.`,
      )
    }
    const { topic, client: clientId, rule: ruleName, payloads } = request.query
    reply.hijack()
    open.add(reply.raw)
    await follow(reply.raw, {
      filter: { topic, clientId, ruleName },
      options: { withPayloads: payloads },
      requestId: request.id,
    })
    open.delete(reply.raw)
  })

  /** Resolves when the reader has gone. */
  async function follow(
    response: ServerResponse,
    { filter, options, requestId }: FollowRequest,
  ): Promise<void> {
    const stream = openEventStream(response, { [requestIdHeader]: requestId }, { clock })
    let unsent = 0
    const receive = ({ name, data }: WatchEvent) => {
      if (!stream.send(name, data) && name === 'message') unsent++
    }
    const watching = watch.watch(filter, receive, options)
    let cancel: (() => void) | undefined
    const tellLeftOut = () => {
      cancel = clock.after(leftOutEveryMs, tellLeftOut)
      const count = watching.takeLeftOut() + unsent
      unsent = count > 0 && !stream.send('leftOut', { count }) ? count : 0
    }
    cancel = clock.after(leftOutEveryMs, tellLeftOut)
    await stream.ended
    cancel?.()
    watching.end()
  }

  app.get('/v1/trace', { schema: getTrace }, (request) => {
    const { messageId } = request.query
    const path = watch.path(messageId)
    if (path) return path
    throw new SluiceError(
      'ResourceNotFoundException',
      `no message ${messageId} was seen: paths are kept while \`GET /v1/events\` is read`,
    )
  })
}
