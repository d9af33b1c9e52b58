/**
 * The requests of Lambda's API for event source mappings of Kinesis: their members and Lambda's
 * defaults (Lambda API Reference, CreateEventSourceMapping and UpdateEventSourceMapping). Members
 * that only concern Lambda itself (Tags, KMSKeyArn, MetricsConfig, LoggingConfig) are accepted and
 * ignored; members for other event sources are refused.
 */
import { Type } from 'typebox'
import type { Static, TSchema } from 'typebox'
import type { TLocalizedValidationError } from 'typebox/error'
import { Value } from 'typebox/value'
import { SluiceError } from '../base/errors.ts'
import { InvalidPattern, compileFilterPattern } from './filter-pattern.ts'
import { parseFunctionName } from './functions/function-name.ts'
import { parseEventSource } from './mapping-settings.ts'
import type { EventSource, MappingSettings } from './mapping-settings.ts'

const integer = (minimum: number, maximum: number) =>
  Type.Optional(Type.Integer({ minimum, maximum }))

/** The members of both requests. */
export const changeableMembers = {
  Enabled: Type.Optional(Type.Boolean()),
  BatchSize: integer(1, 10_000),
  MaximumBatchingWindowInSeconds: integer(0, 300),
  ParallelizationFactor: integer(1, 10),
  BisectBatchOnFunctionError: Type.Optional(Type.Boolean()),
  MaximumRetryAttempts: integer(-1, 10_000),
  MaximumRecordAgeInSeconds: integer(-1, 604_800),
  TumblingWindowInSeconds: integer(0, 900),
  FunctionResponseTypes: Type.Optional(
    Type.Array(Type.Literal('ReportBatchItemFailures'), { maxItems: 1 }),
  ),
  DestinationConfig: Type.Optional(
    Type.Object({
      OnSuccess: Type.Optional(Type.Object({ Destination: Type.Optional(Type.String()) })),
      OnFailure: Type.Optional(
        Type.Object({
          Destination: Type.Optional(
            Type.String({ maxLength: 1024, pattern: '^(?:arn:aws[a-zA-Z-]*:[a-z0-9-]+:.*)?$' }),
          ),
        }),
      ),
    }),
  ),
  FilterCriteria: Type.Optional(
    Type.Object({
      Filters: Type.Optional(
        Type.Array(Type.Object({ Pattern: Type.Optional(Type.String({ maxLength: 4_096 })) }), {
          maxItems: 10,
        }),
      ),
    }),
  ),
}

export const createRequestSchema = Type.Object({
  ...changeableMembers,
  FunctionName: Type.String({ minLength: 1, maxLength: 140 }),
  EventSourceArn: Type.Optional(Type.String()),
  StartingPosition: Type.Optional(
    Type.String({ enum: ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'] }),
  ),
  StartingPositionTimestamp: Type.Optional(Type.Number({ minimum: 0 })),
})
export const updateRequestSchema = Type.Object({
  ...changeableMembers,
  FunctionName: Type.Optional(Type.String({ minLength: 1, maxLength: 140 })),
})

type Changes = Static<typeof updateRequestSchema>

const defaults = Object.freeze({
  Enabled: true,
  BatchSize: 100,
  MaximumBatchingWindowInSeconds: 0,
  ParallelizationFactor: 1,
  BisectBatchOnFunctionError: false,
  MaximumRetryAttempts: -1,
  MaximumRecordAgeInSeconds: -1,
  TumblingWindowInSeconds: 0,
  FunctionResponseTypes: [],
})

const membersOfOtherSources = [
  'Topics',
  'Queues',
  'SourceAccessConfigurations',
  'SelfManagedEventSource',
  'SelfManagedKafkaEventSourceConfig',
  'AmazonManagedKafkaEventSourceConfig',
  'DocumentDBEventSourceConfig',
  'ScalingConfig',
  'ProvisionedPollerConfig',
]

/**
 * The settings of a new mapping.
 *
 * @param nowMs epoch milliseconds; a starting position cannot be later
 * @throws SluiceError ValidationException, InvalidParameterValueException
 */
export function settingsOfCreate(
  body: unknown,
  nowMs: number,
): { readonly settings: MappingSettings; readonly source: EventSource } {
  const { StartingPosition: position, ...request } = checked(createRequestSchema, body)
  const source = parseEventSource(request.EventSourceArn ?? '')
  if (!source) {
    throw invalidParameter(
      'Unrecognized event source, it must be a Kinesis stream or consumer: ' +
        (request.EventSourceArn ?? ''),
    )
  }
  const seconds = request.StartingPositionTimestamp
  if (position === undefined) {
    throw invalidParameter('StartingPosition is required for a Kinesis stream.')
  }
  if ((position === 'AT_TIMESTAMP') !== (seconds !== undefined)) {
    throw invalidParameter(
      'StartingPositionTimestamp is required with StartingPosition AT_TIMESTAMP, and not allowed ' +
        'with any other.',
    )
  }
  if (seconds !== undefined && seconds * 1_000 > nowMs) {
    throw invalidParameter('StartingPositionTimestamp cannot be in the future.')
  }
  const settings = {
    ...defaults,
    ...changesIn(request),
    FunctionName: request.FunctionName,
    EventSourceArn: request.EventSourceArn ?? '',
    StartingPosition: position as MappingSettings['StartingPosition'],
    StartingPositionTimestamp: seconds,
  }
  checkTogether(settings)
  return { settings, source }
}

/**
 * The settings of a mapping after an update; members that the request does not name stay.
 *
 * @throws SluiceError ValidationException, InvalidParameterValueException
 */
export function settingsOfUpdate(settings: MappingSettings, body: unknown): MappingSettings {
  const request = checked(updateRequestSchema, body)
  const { FunctionName = settings.FunctionName } = request
  const updated = { ...settings, ...changesIn(request), FunctionName }
  checkTogether(updated)
  return updated
}

/** The changeable members that the request has. */
function changesIn(request: Changes): Partial<Omit<MappingSettings, 'FunctionName'>> {
  const names = Object.keys(changeableMembers) as (keyof typeof changeableMembers)[]
  const given = names.flatMap((name) =>
    request[name] === undefined ? [] : [[name, request[name]] as const],
  )
  // The schema has checked the types.
  return Object.fromEntries(given) as Partial<Omit<MappingSettings, 'FunctionName'>>
}

/** Checks that need more than the schema of one member. */
function checkTogether(settings: MappingSettings): void {
  parseFunctionName(settings.FunctionName)
  const age = settings.MaximumRecordAgeInSeconds
  if (age !== -1 && age < 60) {
    throw invalidParameter('MaximumRecordAgeInSeconds must be -1 or between 60 and 604800.')
  }
  for (const { Pattern = '' } of settings.FilterCriteria?.Filters ?? []) {
    try {
      compileFilterPattern(Pattern)
    } catch (thrown) {
      if (!(thrown instanceof InvalidPattern)) throw thrown
      throw invalidParameter(`Invalid filter pattern definition: ${thrown.message}.`)
    }
  }
}

function checked<Schema extends TSchema>(schema: Schema, body: unknown): Static<Schema> {
  const [error] = Value.Errors(schema, body)
  if (error) throw validation(error, body)
  const given = body as Readonly<Record<string, unknown>>
  const foreign = membersOfOtherSources.find((name) => given[name] !== undefined)
  if (foreign) throw invalidParameter(`${foreign} is not allowed with a Kinesis stream.`)
  const { OnSuccess } = (given['DestinationConfig'] ?? {}) as {
    OnSuccess?: { Destination?: string }
  }
  if (OnSuccess?.Destination) {
    throw invalidParameter('OnSuccess destinations are not allowed with a Kinesis stream.')
  }
  return body as Static<Schema>
}

export const invalidParameter = (message: string) =>
  new SluiceError('InvalidParameterValueException', message)

/** The error in AWS's words, in which the names of members begin in lower case. */
function validation(error: TLocalizedValidationError, body: unknown): SluiceError {
  const missing = error.keyword === 'required' ? `/${error.params.requiredProperties[0] ?? ''}` : ''
  const segments = `${error.instancePath}${missing}`.split('/').slice(1)
  const memberPath = segments.map((name) => name.charAt(0).toLowerCase() + name.slice(1)).join('.')
  const value = segments.reduce<unknown>(
    (at, name) =>
      typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined,
    body,
  )
  const shown = value === undefined ? 'null' : `'${JSON.stringify(value).slice(0, 200)}'`
  return new SluiceError(
    'ValidationException',
    `1 validation error detected: Value ${shown} at '${memberPath}' failed to satisfy ` +
      `constraint: Member must ${constraintOf(error)}`,
  )
}

function constraintOf(error: TLocalizedValidationError): string {
  if (error.keyword === 'required') return 'not be null'
  if (error.keyword === 'minimum') {
    return `have value greater than or equal to ${String(error.params.limit)}`
  }
  if (error.keyword === 'maximum') {
    return `have value less than or equal to ${String(error.params.limit)}`
  }
  if (error.keyword === 'minLength') {
    return `have length greater than or equal to ${error.params.limit}`
  }
  if (error.keyword === 'maxLength' || error.keyword === 'maxItems') {
    return `have length less than or equal to ${error.params.limit}`
  }
  if (error.keyword === 'enum') {
    return `satisfy enum value set: [${error.params.allowedValues.map(String).join(', ')}]`
  }
  if (error.keyword === 'const') {
    return `satisfy enum value set: [${String(error.params.allowedValue)}]`
  }
  if (error.keyword === 'pattern') {
    return `satisfy regular expression pattern: ${String(error.params.pattern)}`
  }
  if (error.keyword === 'type') return `be of type ${[error.params.type].flat().join(' or ')}`
  return error.message.replace(/^must /, '')
}
