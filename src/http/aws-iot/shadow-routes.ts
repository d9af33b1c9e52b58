import type { FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { ShadowError } from '../../device-services/shadows/shadow-error.ts'
import type { Shadows } from '../../device-services/shadows/shadows.ts'
import type { Engine } from '../../engine/engine.ts'
import type { ShadowRequestTopic } from '../../topics/reserved-request.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import { durableInTime } from './durable-in-time.ts'

/** The operations of AWS IoT's data plane on device shadows. */
export interface ShadowRouteDependencies {
  readonly shadows: Pick<Shadows, 'call' | 'names'>
  readonly engine: Pick<Engine, 'announce'>
  readonly clock: Clock
}

/** Bytes of a request: a document of 8 KiB with blanks and its members around it. */
const bodyLimit = 128 * 1_024
const pageSizeDefault = 25

const params = Type.Object({
  thingName: Type.String({ pattern: '^[a-zA-Z0-9:_-]{1,128}$' }),
})
const querystring = Type.Object({
  name: Type.Optional(
    Type.String({
      pattern: '^[$a-zA-Z0-9:_-]{1,64}$',
      description: 'The named shadow; without it the classic one.',
    }),
  ),
})

const errors: readonly ErrorCode[] = [
  'InvalidRequestException',
  'UnauthorizedException',
  'MethodNotAllowedException',
  'ThrottlingException',
  'InternalFailureException',
]
const documentSchema = Type.Object({
  state: Type.Unknown(),
  metadata: Type.Unknown(),
  version: Type.Integer(),
  timestamp: Type.Integer({ description: 'Epoch seconds.' }),
})

const getThingShadow = {
  params,
  querystring,
  operation: {
    id: 'GetThingShadow',
    summary: 'Reads a shadow.',
    answer: { description: 'The document, with `delta`.', schema: documentSchema },
    errors: [...errors, 'ResourceNotFoundException'],
  },
} satisfies FastifySchema

const updateThingShadow = {
  params,
  querystring,
  operation: {
    id: 'UpdateThingShadow',
    summary: 'Updates a shadow, and tells MQTT as if a device had done it.',
    body: {
      schema: Type.Object({
        state: Type.Unknown({ description: '`desired` and `reported`.' }),
        version: Type.Optional(Type.Integer({ description: 'That the shadow must have.' })),
        clientToken: Type.Optional(Type.String()),
      }),
    },
    answer: { description: 'What was updated.', schema: documentSchema },
    errors: [
      ...errors,
      'ConflictException',
      'RequestEntityTooLargeException',
      'ServiceUnavailableException',
      'UnsupportedDocumentEncodingException',
    ],
  },
} satisfies FastifySchema

const deleteThingShadow = {
  params,
  querystring,
  operation: {
    id: 'DeleteThingShadow',
    summary: 'Deletes a shadow.',
    answer: {
      description: 'The version that was deleted.',
      schema: Type.Object({ version: Type.Integer(), timestamp: Type.Integer() }),
    },
    errors: [...errors, 'ResourceNotFoundException'],
  },
} satisfies FastifySchema

const listNamedShadows = {
  params,
  querystring: Type.Object({
    pageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    nextToken: Type.Optional(Type.String()),
  }),
  operation: {
    id: 'ListNamedShadowsForThing',
    summary: 'Lists the named shadows of a thing.',
    answer: {
      description: 'A page of names; the classic shadow has none.',
      schema: Type.Object({
        results: Type.Array(Type.String()),
        nextToken: nextTokenSchema,
        timestamp: Type.Integer({ description: 'Epoch seconds.' }),
      }),
    },
    errors,
  },
} satisfies FastifySchema

const shadowPath = '/things/:thingName/shadow'

export function addShadowRoutes(
  app: HttpApp,
  { shadows, engine, clock }: ShadowRouteDependencies,
): void {
  /** Answers when the change is on disk, with what rules made of it. */
  async function call(
    operation: ShadowRequestTopic['operation'],
    { params: { thingName }, query: { name: shadowName } }: ShadowHttpRequest,
    payload: Buffer,
    reply: FastifyReply,
  ) {
    const done = await shadows.call(
      { service: 'shadow', thingName, shadowName, operation },
      payload,
    )
    if (done.error !== undefined) throw errorOf(done.error)
    await done.durable
    await durableInTime((from) => engine.announce(done.messages, from), clock)
    return reply.type('application/json').send(done.answer)
  }

  app.get(shadowPath, { schema: getThingShadow }, (request, reply) =>
    call('get', request, Buffer.alloc(0), reply),
  )
  app.post(shadowPath, { schema: updateThingShadow, bodyLimit }, (request, reply) =>
    call('update', request, Buffer.from(bodyBytes(request)), reply),
  )
  app.delete(shadowPath, { schema: deleteThingShadow }, (request, reply) =>
    call('delete', request, Buffer.alloc(0), reply),
  )
  app.get(
    '/api/things/shadow/ListNamedShadowsForThing/:thingName',
    { schema: listNamedShadows },
    async (request) => {
      const { pageSize = pageSizeDefault, nextToken } = request.query
      const after = nextToken === undefined ? '' : keyOfToken(nextToken)
      const names = await shadows.names(request.params.thingName, { after, max: pageSize + 1 })
      const results = names.slice(0, pageSize)
      const last = results.at(-1)
      return {
        results,
        nextToken:
          last !== undefined && names.length > results.length ? tokenOfKey(last) : undefined,
        timestamp: Math.floor(clock.wallMs() / 1_000),
      }
    },
  )
}

interface ShadowHttpRequest extends Pick<FastifyRequest, 'body'> {
  readonly params: { readonly thingName: string }
  readonly query: { readonly name?: string }
}

const codes: Readonly<Record<ShadowError['code'], ErrorCode>> = {
  400: 'InvalidRequestException',
  404: 'ResourceNotFoundException',
  409: 'ConflictException',
  413: 'RequestEntityTooLargeException',
  415: 'UnsupportedDocumentEncodingException',
  429: 'ThrottlingException',
  500: 'InternalFailureException',
}

const errorOf = ({ code, message }: ShadowError): SluiceError =>
  new SluiceError(codes[code], message)
