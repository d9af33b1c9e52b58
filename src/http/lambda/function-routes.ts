import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { FunctionApi } from '../../event-source/functions/function-api.ts'
import { invalidParameter } from '../../event-source/validation-error.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'

/** The operations of AWS Lambda on functions in the folder. */
export interface FunctionRouteDependencies {
  readonly lambdaFunctions: FunctionApi
}

const collectionPath = '/2015-03-31/functions'
const itemPath = `${collectionPath}/:functionName`

/** A function's own name, or its ARN, URL-encoded. */
const params = Type.Object({ functionName: Type.String({ minLength: 1, maxLength: 256 }) })
const qualifierQuery = Type.Object({
  Qualifier: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
})
const listQuery = Type.Object({
  Marker: Type.Optional(Type.String()),
  MaxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  FunctionVersion: Type.Optional(Type.String({ enum: ['ALL'] })),
  MasterRegion: Type.Optional(Type.String()),
})
/** A page has no more, whatever is asked for. */
const pageMax = 50
/** Lambda quotas: 6 MB synchronous, 1 MB asynchronous. */
const payloadBytesMax = 6 * 1024 * 1024
const eventBytesMax = 1024 * 1024
/** Of the header, in base64. */
const clientContextCharactersMax = 3_583

const configurationSchema = Type.Object(
  {
    FunctionName: Type.String(),
    FunctionArn: Type.String(),
    State: Type.String({ description: '`Failed`: the function cannot be loaded.' }),
    StateReason: Type.Optional(Type.String()),
  },
  { description: "Lambda's FunctionConfiguration." },
)

const errors: readonly ErrorCode[] = [
  'InvalidParameterValueException',
  'ServiceException',
  'TooManyRequestsException',
]
const itemErrors: readonly ErrorCode[] = [
  ...errors,
  'ResourceNotFoundException',
  'ValidationException',
]

const getFunction = {
  params,
  querystring: qualifierQuery,
  operation: {
    id: 'GetFunction',
    summary: 'Describes a local function, and names the fault of one that cannot be loaded.',
    answer: {
      description: 'The function.',
      schema: Type.Object({ Configuration: configurationSchema }),
    },
    errors: itemErrors,
  },
} satisfies FastifySchema

const getFunctionConfiguration = {
  params,
  querystring: qualifierQuery,
  operation: {
    id: 'GetFunctionConfiguration',
    summary: 'Reads the configuration of a local function.',
    answer: { description: 'The configuration.', schema: configurationSchema },
    errors: itemErrors,
  },
} satisfies FastifySchema

const listFunctions = {
  querystring: listQuery,
  operation: {
    id: 'ListFunctions',
    summary: 'Lists local functions by name, at most 50 on a page.',
    answer: {
      description: 'A page of functions.',
      schema: Type.Object({
        Functions: Type.Array(configurationSchema),
        NextMarker: Type.Optional(Type.String()),
      }),
    },
    errors,
  },
} satisfies FastifySchema

const headers = {
  type: 'x-amz-invocation-type',
  log: 'x-amz-log-type',
  clientContext: 'x-amz-client-context',
} as const

const invoke = {
  params,
  querystring: qualifierQuery,
  operation: {
    id: 'Invoke',
    summary: 'Invokes a local function.',
    description:
      'The header `X-Amz-Function-Error` says that the function failed; the body is its error then.',
    headers: Type.Object({
      [headers.type]: Type.Optional(Type.Enum(['RequestResponse', 'Event', 'DryRun'])),
      [headers.log]: Type.Optional(Type.Enum(['None', 'Tail'])),
      [headers.clientContext]: Type.Optional(Type.String({ description: 'Base64 of JSON.' })),
    }),
    body: { schema: Type.Unknown({ description: 'The event.' }), isOptional: true },
    answer: { description: 'The response of the function.', schema: Type.Unknown() },
    otherAnswers: [
      { status: 202, description: 'The event is taken; nobody waits for the function.' },
      { status: 204, description: 'The function exists, and was not invoked.' },
    ],
    errors: [
      ...itemErrors,
      'InvalidRequestContentException',
      'RequestTooLargeException',
      'ServiceUnavailableException',
    ],
  },
} satisfies FastifySchema

export function addFunctionRoutes(
  app: HttpApp,
  { lambdaFunctions: functions }: FunctionRouteDependencies,
): void {
  // Some clients end the path with a slash; the documents show one of the two.
  for (const [url, hide] of [
    [collectionPath, false],
    [`${collectionPath}/`, true],
  ] as const) {
    app.get(url, { schema: { ...listFunctions, hide } }, async (request) => {
      const { Marker: marker = '', MaxItems = pageMax } = request.query
      const page = await functions.list({ marker, maxItems: Math.min(pageMax, MaxItems) })
      return { Functions: page.functions, NextMarker: page.nextMarker }
    })
  }

  app.get(itemPath, { schema: getFunction }, async (request) => {
    const Configuration = await functions.get(request.params.functionName, request.query.Qualifier)
    return { Configuration, Code: { RepositoryType: 'File' }, Tags: {} }
  })

  app.get(`${itemPath}/configuration`, { schema: getFunctionConfiguration }, async (request) =>
    functions.get(request.params.functionName, request.query.Qualifier),
  )

  app.post(
    `${itemPath}/invocations`,
    { schema: invoke, bodyLimit: payloadBytesMax },
    async (request, reply) => {
      const { functionName } = request.params
      const type = header(request, 'type') ?? 'RequestResponse'
      const payload = payloadOf(request)
      reply.header('x-amz-executed-version', '$LATEST')
      switch (type) {
        case 'DryRun':
          await functions.checkExists(functionName)
          return reply.status(204).send()
        case 'Event':
          refuseLarge(payload, eventBytesMax)
          await functions.invokeLater(functionName, payload)
          return reply.status(202).send()
        case 'RequestResponse': {
          const invoked = await functions.invoke(functionName, payload, {
            wantsLog: wantsLog(request),
            clientContext: clientContextOf(request),
            hasLeft: () => reply.raw.destroyed,
          })
          if (invoked.hasFailed) reply.header('x-amz-function-error', 'Unhandled')
          if (invoked.log !== undefined) {
            reply.header('x-amz-log-result', Buffer.from(invoked.log).toString('base64'))
          }
          return reply.type('application/json').send(invoked.payload)
        }
        default:
          throw invalidParameter(`Invocation type ${type} is not RequestResponse, Event or DryRun.`)
      }
    },
  )
}

const header = (request: FastifyRequest, name: keyof typeof headers) =>
  request.headers[headers[name]]?.toString()

/** Without a body, the event is an empty object. */
function payloadOf(request: FastifyRequest): string {
  const bytes = bodyBytes(request)
  if (bytes.length === 0) return '{}'
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    JSON.parse(text)
    return text
  } catch (thrown) {
    throw new SluiceError(
      'InvalidRequestContentException',
      `Could not parse request body into json: ${messageOf(thrown)}`,
    )
  }
}

function refuseLarge(payload: string, bytesMax: number): void {
  const bytes = Buffer.byteLength(payload)
  if (bytes <= bytesMax) return
  throw new SluiceError(
    'RequestTooLargeException',
    `${bytes} byte payload is too large for the Event invocation type (limit ${bytesMax} bytes)`,
  )
}

function wantsLog(request: FastifyRequest): boolean {
  const type = header(request, 'log') ?? 'None'
  if (type !== 'None' && type !== 'Tail') {
    throw invalidParameter(`Log type ${type} is neither None nor Tail.`)
  }
  return type === 'Tail'
}

/** @returns JSON text */
function clientContextOf(request: FastifyRequest): string | undefined {
  const given = header(request, 'clientContext')
  if (given === undefined) return undefined
  try {
    if (given.length > clientContextCharactersMax) throw new Error('it is too long')
    const text = Buffer.from(given, 'base64').toString('utf8')
    JSON.parse(text)
    return text
  } catch (thrown) {
    throw new SluiceError(
      'InvalidRequestContentException',
      `The client context is not base64 of JSON: ${messageOf(thrown)}`,
    )
  }
}
