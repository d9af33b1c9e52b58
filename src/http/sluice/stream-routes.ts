import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Clock } from '../../base/clock.ts'
import type { MessageRedaction, Redaction } from '../../redaction/redaction.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Producer } from '../../delivery/producer.ts'
import { recordPositionTypes, recordTokenPattern } from '../../lab/streams/record-page.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'
import type { LabDependencies } from './lab-faults.ts'
import { countSchema, shownBytes } from './record-schemas.ts'
import { ruleReadErrors } from './sluice-api.ts'
import { createStreamViews } from './stream-views.ts'

/** `/v1/streams`: the streams of the lab, or those that rules write to in AWS. */
export interface StreamRouteDependencies extends LabDependencies {
  /** Absent: everything is shown. */
  readonly redaction?: Redaction | undefined
  readonly sentStreams: Producer['streams']
  readonly clock: Clock
}

const recordsDefault = 50
const recordsMax = 200

const params = Type.Object({
  streamName: Type.String({ pattern: '^[a-zA-Z0-9_.-]{1,128}$' }),
})
const streamArn = Type.Optional(
  Type.String({
    description: 'Where several accounts or regions have a stream of that name.',
    maxLength: 2_048,
  }),
)
const loadSchema = Type.Object(
  {
    records: countSchema,
    bytes: countSchema,
    recordsInSecondMax: Type.Optional(countSchema),
    bytesInSecondMax: Type.Optional(countSchema),
  },
  {
    description:
      'What was written in the last minute; `InSecondMax` is its fullest second, in the lab.',
  },
)
const streamMembers = {
  streamName: Type.String(),
  streamArn: Type.Optional(Type.String({ description: 'Absent where the rule has a name alone.' })),
  region: Type.String(),
  status: Type.Optional(Type.String({ description: 'In the lab, as the next members.' })),
  mode: Type.Optional(Type.String()),
  retentionHours: Type.Optional(countSchema),
  closedShards: Type.Optional(countSchema),
  records: Type.Optional(countSchema),
  openShards: Type.Optional(
    Type.Integer({ description: 'Absent while it is not known: the role may not list shards.' }),
  ),
  throttledShards: countSchema,
  load: loadSchema,
  countedSince: Type.Optional(
    Type.String({
      description:
        'Outside the lab: when counting `load` began, RFC 3339. The first request begins it.',
    }),
  ),
}
const shardSchema = Type.Object({
  shardId: Type.String(),
  isOpen: Type.Boolean(),
  parentShardIds: Type.Optional(Type.Array(Type.String())),
  startingHashKey: Type.Optional(Type.String({ description: 'Decimal, to 2^128 - 1.' })),
  endingHashKey: Type.Optional(Type.String()),
  endingSequenceNumber: Type.Optional(Type.String()),
  records: Type.Optional(countSchema),
  load: loadSchema,
  hottestKeys: Type.Optional(
    Type.Array(
      Type.Object({ partitionKey: Type.String(), records: countSchema, bytes: countSchema }),
      { description: 'In the lab: those with the most of the `countedRecords` newest records.' },
    ),
  ),
  countedRecords: Type.Optional(countSchema),
  isThrottled: Type.Boolean({ description: 'The producer waits before it sends to the shard.' }),
  throttledUntil: Type.Optional(
    Type.String({ description: 'RFC 3339; absent while the shard is being tried.' }),
  ),
})

const listStreams = {
  operation: {
    id: 'ListStreams',
    summary: 'Lists the streams of the lab, or with `sluice start` those that records are sent to.',
    answer: {
      description: 'All streams.',
      schema: Type.Object({
        isLab: Type.Boolean(),
        streams: Type.Array(Type.Object(streamMembers)),
      }),
    },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

const describeStream = {
  params,
  querystring: Type.Object({ streamArn }, { additionalProperties: false }),
  operation: {
    id: 'DescribeStream',
    summary: 'Shows the shards of a stream with their load, and which are throttled.',
    answer: {
      description: 'The stream.',
      schema: Type.Object({
        isLab: Type.Boolean(),
        ...streamMembers,
        shards: Type.Array(shardSchema),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const listStreamRecords = {
  params,
  querystring: Type.Object(
    {
      streamArn,
      shardId: Type.Optional(Type.String({ maxLength: 128, description: 'Absent: all shards.' })),
      position: Type.Optional(Type.Enum([...recordPositionTypes])),
      timestampMs: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 8.64e15, description: 'For AT_TIMESTAMP.' }),
      ),
      sequenceNumber: Type.Optional(
        Type.String({ pattern: '^[0-9]{1,129}$', description: 'For AFTER_SEQUENCE_NUMBER.' }),
      ),
      maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: recordsMax })),
      nextToken: Type.Optional(Type.String({ pattern: recordTokenPattern })),
      payloads: Type.Optional(
        Type.Boolean({
          description: 'Whether the data is shown, which takes `sluice:ReadPayloads` as well.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  operation: {
    id: 'ListStreamRecords',
    summary: 'Reads records of a stream of the lab, without fault rules and limits of reads.',
    description:
      'The records of several shards come in the order of their arrival. `LATEST`, the default, ' +
      'reads the newest records, and not those that come later, as Kinesis does. ' +
      'A page has at most 1 MiB of data.',
    answer: {
      description: 'A page of records, the oldest first.',
      schema: Type.Object({
        records: Type.Array(
          Type.Object({
            shardId: Type.String(),
            sequenceNumber: Type.String(),
            partitionKey: Type.String(),
            arrivedAt: Type.String({ description: 'RFC 3339, in UTC.' }),
            bytes: countSchema,
            dataBase64: Type.Optional(
              Type.String({ description: 'With `payloads=true`: at most the first 128 KiB.' }),
            ),
            dataLeftOut: Type.Optional(
              Type.Literal('notJson', {
                description:
                  '`SLUICE_REDACT` names members, and the data, or what is shown of it, is not JSON.',
              }),
            ),
          }),
        ),
        nextToken: nextTokenSchema,
        resumeToken: Type.String({
          description: 'Given as `nextToken`, it reads the records that come after these.',
        }),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

export function addStreamRoutes(app: HttpApp, dependencies: StreamRouteDependencies): void {
  const { inspection: lab, redaction } = dependencies
  const views = createStreamViews(dependencies)

  app.get('/v1/streams', { schema: listStreams }, async () => ({
    isLab: lab !== undefined,
    streams: await views.list(),
  }))

  app.get('/v1/streams/:streamName', { schema: describeStream }, async (request) => ({
    isLab: lab !== undefined,
    ...(await views.describe({ ...request.params, ...request.query })),
  }))

  app.get('/v1/streams/:streamName/records', { schema: listStreamRecords }, async (request) => {
    if (!lab) throw unreadable(request.params.streamName)
    const {
      streamArn: arn,
      position = 'LATEST',
      maxResults = recordsDefault,
      payloads = false,
      ...query
    } = request.query
    const reference = { ...request.params, streamArn: arn }
    const page = await lab.records(reference, { ...query, position, maxResults })
    return {
      ...page,
      records: page.records.map(({ arrivalMs, data, partitionKey, ...record }) => {
        const redacted = redaction?.of(data)
        return {
          ...record,
          partitionKey: redacted?.text(partitionKey) ?? partitionKey,
          arrivedAt: new Date(arrivalMs).toISOString(),
          ...(payloads && shownData(data, redacted)),
        }
      }),
    }
  })
}

/** Data that is cut off is no JSON either: half of a member could not be recognised. */
function shownData(data: Uint8Array, redaction: MessageRedaction | undefined) {
  const dataBase64 = shownBytes(data, redaction)
  return dataBase64 === undefined ? { dataLeftOut: 'notJson' as const } : { dataBase64 }
}

const unreadable = (streamName: string) =>
  new SluiceError(
    'ResourceNotFoundException',
    'Records are read in the lab alone. To read them from AWS with your own credentials: ' +
      `aws kinesis get-records, or consume() of Sluice's library (stream ${streamName}).`,
  )
