/**
 * The lab with an emulator that others wrote: external functions read what its services hold, and
 * on-failure documents of mappings arrive there.
 */
import { CreateTableCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'
import {
  AddThingToThingGroupCommand,
  CreateThingCommand,
  CreateThingGroupCommand,
  IoTClient,
} from '@aws-sdk/client-iot'
import { IoTDataPlaneClient, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createServiceSender } from '../../src/aws/service-senders.ts'
import { createEmulatorAccess } from '../../src/lab/calls/emulator-access.ts'
import { createFailureDestinations } from '../../src/lab/calls/failure-destinations.ts'
import { createLabExternals } from '../../src/lab/calls/lab-externals.ts'
import { labActionsOf } from '../../src/config/lab-actions.ts'
import { variables } from '../../src/config/config.ts'
import { readVariables } from '../../src/config/variable.ts'
import type { ExternalRequest } from '../../src/sql/externals/external-request.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { descriptorOf, encoded, readingProto } from '../external/descriptors.ts'
import { jsonText } from '../helpers/json-text.ts'
import { startMoto } from './moto-server.ts'

const moto = await startMoto()
const why = moto.isRunning ? '' : ` cannot be had: ${moto.reason}`
const endpoint = moto.isRunning ? moto.endpoint : 'http://127.0.0.1:1'

const region = 'eu-west-1'
const options = {
  region,
  endpoint,
  credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
}
const roleArn = 'arn:aws:iam::123456789012:role/r'
const emulators = labActionsOf(readVariables(variables, { SLUICE_LAB_AWS_ENDPOINT_URL: endpoint }))
const buckets = new S3Client({ ...options, forcePathStyle: true })
const inRegion = { CreateBucketConfiguration: { LocationConstraint: region } } as const

describe.skipIf(!moto.isRunning)(`the lab with moto${why}`, { timeout: 60_000 }, () => {
  const externals = createLabExternals(
    {
      clock: systemClock,
      functions: { invoke: () => Promise.reject(new Error('no function is invoked')) },
    },
    {
      region,
      protoDir: undefined,
      stubsDir: '/nowhere',
      functionsDir: '/nowhere',
      emulators,
    },
  )
  afterAll(() => externals.close())

  beforeAll(async () => {
    const tables = new DynamoDBClient(options)
    await tables.send(
      new CreateTableCommand({
        TableName: 'devices',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'N' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    )
    const Item = { id: { N: '7' }, room: { S: 'kitchen' }, tags: { SS: ['a'] } }
    await tables.send(new PutItemCommand({ TableName: 'devices', Item }))
    const secrets = new SecretsManagerClient(options)
    await secrets.send(new CreateSecretCommand({ Name: 'prod/db', SecretString: '{"user":"u"}' }))
    const things = new IoTClient(options)
    await things.send(new CreateThingCommand({ thingName: 't1' }))
    await things.send(new CreateThingGroupCommand({ thingGroupName: 'kitchen' }))
    const inGroup = { thingName: 't1', thingGroupName: 'kitchen' }
    await things.send(new AddThingToThingGroupCommand(inGroup))
    const payload = Buffer.from('{"state":{"reported":{"on":true}}}')
    const shadows = new IoTDataPlaneClient(options)
    await shadows.send(new UpdateThingShadowCommand({ thingName: 't1', payload }))
    await buckets.send(new CreateBucketCommand({ Bucket: 'protos', ...inRegion }))
    const Body = descriptorOf(readingProto)
    await buckets.send(new PutObjectCommand({ Bucket: 'protos', Key: 'reading.desc', Body }))
  })

  test.for<[string, ExternalRequest, string]>([
    [
      'get_dynamodb',
      {
        function: 'get_dynamodb',
        tableName: 'devices',
        partitionKey: { name: 'id', type: 'N', text: '7' },
        roleArn,
      },
      '{"id":7,"room":"kitchen","tags":["a"]}',
    ],
    [
      'get_secret',
      {
        function: 'get_secret',
        secretId: 'prod/db',
        secretType: 'SecretString',
        key: 'user',
        roleArn,
      },
      '"u"',
    ],
    [
      'get_thing_shadow',
      { function: 'get_thing_shadow', thingName: 't1', roleArn },
      '{"state":{"reported":{"on":true}}',
    ],
    [
      'get_registry_data',
      { function: 'get_registry_data', operation: 'DescribeThing', thingName: 't1', roleArn },
      '"thingName":"t1"',
    ],
    [
      'get_registry_data of groups',
      {
        function: 'get_registry_data',
        operation: 'ListThingGroupsForThing',
        thingName: 't1',
        roleArn,
      },
      '"groupName":"kitchen"',
    ],
    [
      'decode',
      {
        function: 'decode',
        base64: encoded(readingProto, 'fleet.v1.Reading', { device_id: 'd' }).toString('base64'),
        bucketName: 'protos',
        objectKey: 'reading.desc',
        protoName: 'reading',
        messageType: 'Reading',
      },
      '{"device_id":"d"}',
    ],
  ])('answers %s', async ([, request, expected]) => {
    const answer = await externals.call(request, new AbortController().signal)
    const version = { version: '2016-03-23', isSecondVersion: true } as const
    expect(jsonText(answer, { ...version, wholeDecimalsAreInts: true })).toContain(expected)
  })

  test('takes the on-failure documents of mappings', async () => {
    const queues = new SQSClient(options)
    const queue = async (name: string) => {
      const { QueueUrl = '' } = await queues.send(new CreateQueueCommand({ QueueName: name }))
      const bodies = async () => {
        const { Messages = [] } = await queues.send(new ReceiveMessageCommand({ QueueUrl }))
        return Messages.map(({ Body = '' }) => JSON.parse(Body) as unknown)
      }
      return { arn: `arn:aws:sqs:${region}:123456789012:${name}`, bodies }
    }
    const failures = await queue('failures')
    const ofTopic = await queue('of-topic')
    const topics = new SNSClient(options)
    const { TopicArn = '' } = await topics.send(new CreateTopicCommand({ Name: 'failures' }))
    const subscription = { TopicArn, Protocol: 'sqs', Endpoint: ofTopic.arn }
    await topics.send(new SubscribeCommand(subscription))
    await buckets.send(new CreateBucketCommand({ Bucket: 'failures', ...inRegion }))

    const access = createEmulatorAccess(emulators.hosts)
    const lines: unknown[] = []
    const logger = createMemoryLogger((line) => lines.push(line))
    const send = createFailureDestinations(
      {
        calls: { add: (call) => lines.push(call) },
        emulators: {
          senderFor: (each) =>
            createServiceSender(each.kind, access.accessTo(endpoint, each.region)),
        },
        clock: systemClock,
        logger,
      },
      { region },
    )
    for (const destination of [failures.arn, TopicArn, 'arn:aws:s3:::failures']) {
      const shardId = 'shardId-000000000000'
      const failure = { mapping: 'uuid', destination, shardId, document: { destination } }
      await send(failure, new AbortController().signal)
    }
    access.close()

    expect(lines).toEqual([])
    expect(await failures.bodies()).toEqual([{ destination: failures.arn }])
    const [message] = await ofTopic.bodies()
    expect(message).toMatchObject({ Message: JSON.stringify({ destination: TopicArn }) })
    const { Contents: [object] = [] } = await buckets.send(
      new ListObjectsV2Command({ Bucket: 'failures', Prefix: 'aws/lambda/uuid/' }),
    )
    const got = await buckets.send(
      new GetObjectCommand({ Bucket: 'failures', Key: object?.Key ?? '' }),
    )
    expect(await got.Body?.transformToString()).toBe('{"destination":"arn:aws:s3:::failures"}')
  })
})
