/**
 * The requests of Lambda's API for event source mappings of Kinesis: their members and Lambda's
 * defaults (Lambda API Reference, CreateEventSourceMapping and UpdateEventSourceMapping). Members
 * that only concern Lambda itself (Tags, KMSKeyArn, MetricsConfig) are kept and given back; members
 * for other event sources are refused.
 */
import { Type } from 'typebox'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { checkTags } from '../base/resource-tags.ts'
import { InvalidPattern, compileFilterPattern } from './filters/filter-pattern.ts'
import { parseFunctionName } from './functions/function-name.ts'
import { parseEventSource } from './mapping-settings.ts'
import type { EventSource, MappingSettings } from './mapping-settings.ts'
import { invalidParameter, validationError } from './validation-error.ts'

const integer = (minimum: number, maximum: number) =>
  Type.Optional(Type.Integer({ minimum, maximum }))

/** The most filters for which an account can have its quota raised. */
const filtersMax = 10
/** Lambda's quota of an account that has not asked for more. */
const filtersMaxDefault = 5
const destinationForm =
  '^(?:|kafka://[^.][a-zA-Z0-9_.-]{0,248}|arn:aws[a-zA-Z0-9-]*:[a-zA-Z0-9-]+:(?:[a-z]{2}-[a-z-]+-[0-9])?:(?:[0-9]{12})?:.*)$'

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
          Destination: Type.Optional(Type.String({ maxLength: 350, pattern: destinationForm })),
        }),
      ),
    }),
  ),
  FilterCriteria: Type.Optional(
    Type.Object({
      Filters: Type.Optional(
        Type.Array(Type.Object({ Pattern: Type.Optional(Type.String({ maxLength: 4_096 })) }), {
          maxItems: filtersMax,
        }),
      ),
    }),
  ),
  KMSKeyArn: Type.Optional(
    Type.String({ maxLength: 10_000, pattern: '^(?:arn:aws[a-zA-Z-]*:[a-z0-9-.]+:.*)?$' }),
  ),
  MetricsConfig: Type.Optional(
    Type.Object({
      Metrics: Type.Optional(
        Type.Array(Type.String({ enum: ['EventCount', 'ErrorCount', 'KafkaMetrics'] }), {
          maxItems: 3,
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
  Tags: Type.Optional(Type.Record(Type.String(), Type.String())),
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
  'LoggingConfig',
  'ScalingConfig',
  'ProvisionedPollerConfig',
]

interface NewMapping {
  readonly settings: MappingSettings
  readonly source: EventSource
  readonly tags: Readonly<Record<string, string>>
}

/**
 * The settings of a new mapping.
 *
 * @param nowMs epoch milliseconds; a starting position cannot be later
 * @throws SluiceError ValidationException, InvalidParameterValueException
 */
export function settingsOfCreate(body: unknown, nowMs: number): NewMapping {
  const request = checked(createRequestSchema, body)
  const { StartingPositionTimestamp: seconds, Tags = {} } = request
  const { settings, source } = settingsOf(request)
  if (seconds !== undefined && seconds * 1_000 > nowMs) {
    throw invalidParameter('StartingPositionTimestamp cannot be in the future.')
  }
  checkChanges(request)
  return { settings, source, tags: checkTags(Object.entries(Tags)) }
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
  checkChanges(request)
  return updated
}

/**
 * Settings as a file holds them. Quotas and the choice of destinations are for requests: a file
 * may come from a release that took more.
 *
 * @throws SluiceError ValidationException, InvalidParameterValueException: it cannot run
 */
export function settingsOfFile(stored: unknown): MappingSettings {
  return settingsOf(checked(createRequestSchema, stored)).settings
}

function settingsOf(request: Static<typeof createRequestSchema>): Omit<NewMapping, 'tags'> {
  const { EventSourceArn = '', StartingPosition: position } = request
  const seconds = request.StartingPositionTimestamp
  const source = parseEventSource(EventSourceArn)
  if (!source) {
    throw invalidParameter(
      `Unrecognized event source, it must be a Kinesis stream or consumer: ${EventSourceArn}`,
    )
  }
  if (position === undefined) {
    throw invalidParameter('StartingPosition is required for a Kinesis stream.')
  }
  if ((position === 'AT_TIMESTAMP') !== (seconds !== undefined)) {
    throw invalidParameter(
      'StartingPositionTimestamp is required with StartingPosition AT_TIMESTAMP, and not allowed ' +
        'with any other.',
    )
  }
  const settings = {
    ...defaults,
    ...changesIn(request),
    FunctionName: request.FunctionName,
    EventSourceArn,
    StartingPosition: position as MappingSettings['StartingPosition'],
    StartingPositionTimestamp: seconds,
  }
  checkTogether(settings)
  return { settings, source }
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

/** Checks of what a request gives, which what is stored already need not pass. */
function checkChanges({ FilterCriteria, DestinationConfig, MetricsConfig }: Changes): void {
  const filters = FilterCriteria?.Filters ?? []
  if (filters.length > filtersMaxDefault) {
    throw invalidParameter(
      `${filters.length} filters are given; the quota is ${filtersMaxDefault} filters for an ` +
        'event source mapping.',
    )
  }
  const { Destination = '' } = DestinationConfig?.OnFailure ?? {}
  const [, , service = ''] = Destination.split(':')
  if (Destination.startsWith('arn:') && !destinationServices.includes(service)) {
    throw invalidParameter(
      `Unsupported destination ${Destination}: it must be a queue of SQS, a topic of SNS, a bucket ` +
        'of S3 or a topic of Kafka.',
    )
  }
  if (DestinationConfig?.OnSuccess?.Destination) {
    throw invalidParameter('OnSuccess destinations are not allowed with a Kinesis stream.')
  }
  const metric = MetricsConfig?.Metrics?.find((name) => name !== 'EventCount')
  if (metric !== undefined) {
    throw invalidParameter(`${metric} is not allowed with a Kinesis stream.`)
  }
}

/** The services of on-failure destinations that are named by an ARN. */
const destinationServices: readonly string[] = ['sqs', 'sns', 's3']

function checked<Schema extends TSchema>(schema: Schema, body: unknown): Static<Schema> {
  const [error] = Value.Errors(schema, body)
  if (error) throw validationError(error, body)
  const given = body as Readonly<Record<string, unknown>>
  const foreign = membersOfOtherSources.find((name) => given[name] !== undefined)
  if (foreign) throw invalidParameter(`${foreign} is not allowed with a Kinesis stream.`)
  return body as Static<Schema>
}
