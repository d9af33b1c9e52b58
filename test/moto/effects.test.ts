/**
 * What the actions bring about in services that others wrote: records are sent as Sluice sends
 * them, and read back with the client of the service.
 */
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutMetricAlarmCommand,
} from '@aws-sdk/client-cloudwatch'
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb'
import { CreateDeliveryStreamCommand, FirehoseClient } from '@aws-sdk/client-firehose'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  SFNClient,
} from '@aws-sdk/client-sfn'
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import {
  CreateDatabaseCommand,
  CreateTableCommand as CreateTimestreamTableCommand,
  TimestreamWriteClient,
} from '@aws-sdk/client-timestream-write'
import { afterAll, describe, expect, test } from 'vitest'
import { createAwsCalls } from '../../src/aws/aws-calls.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { definitionOf, dynamo, roleArn } from '../actions/kinds/service-action-fixtures.ts'
import { destinationAt, outcomesOf, queuedRecordsOf } from '../aws/senders/recording-service.ts'
import type { RuleMessage } from '../aws/senders/recording-service.ts'
import { startMoto } from './moto-server.ts'

const moto = await startMoto()
const why = moto.isRunning ? '' : ` cannot be had: ${moto.reason}`
const endpoint = moto.isRunning ? moto.endpoint : ''

const baseCredentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' }
const options = { region: 'eu-west-1', endpoint, credentials: baseCredentials }

const aws = createAwsCalls(
  { clock: systemClock, logger: createMemoryLogger(() => undefined) },
  { stsEndpoint: endpoint, baseCredentials },
)
afterAll(() => aws.close())

/** Sends the records that an action makes of messages: the first alone, the others together. */
async function send(definition: object, messages: readonly RuleMessage[]): Promise<void> {
  const { records, made } = queuedRecordsOf(definition, messages)
  const [record] = made
  if (record === undefined) throw new Error('the action made no record')
  const sender = aws.senderFor(destinationAt(endpoint, record))
  const { signal } = new AbortController()
  const calls =
    sender.recordsMax === 1
      ? records.map((one) => [one])
      : [records.slice(0, 1), records.slice(1)].filter((call) => call.length > 0)
  for (const call of calls) {
    const outcome = await sender.send(call, signal)
    expect({ outcomes: outcomesOf(outcome), outcome }).toEqual({
      outcomes: call.map(() => 'ok'),
      outcome,
    })
  }
}

const texts = ['{"t":0}', '{"t":1}', '{"t":2}']
const messages: readonly RuleMessage[] = texts.map((output, index) => ({
  output,
  payload: { id: `d${index}`, v: index },
}))

describe.skipIf(!moto.isRunning)(`moto${why}`, { timeout: 60_000 }, () => {
  const queues = new SQSClient(options)

  async function createQueue(name: string): Promise<string> {
    const { QueueUrl = '' } = await queues.send(new CreateQueueCommand({ QueueName: name }))
    return QueueUrl
  }

  async function bodiesOf(QueueUrl: string): Promise<string[]> {
    const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 })
    const { Messages = [] } = await queues.send(command)
    return Messages.map(({ Body = '' }) => Body).toSorted()
  }

  test('sqs: the queue holds each message', async () => {
    const queueUrl = await createQueue('texts')
    await send(definitionOf('sqs', { queueUrl }), messages)
    expect(await bodiesOf(queueUrl)).toEqual(texts)
  })

  test('sqs with base64: the queue holds bytes', async () => {
    const queueUrl = await createQueue('bytes')
    await send(definitionOf('sqs', { queueUrl, useBase64: true }), [
      { output: Buffer.from([0, 255]) },
    ])
    expect(await bodiesOf(queueUrl)).toEqual(['AP8='])
  })

  test('sns: a queue that subscribes gets each message', async () => {
    const client = new SNSClient(options)
    const { TopicArn = '' } = await client.send(new CreateTopicCommand({ Name: 'topic' }))
    const queueUrl = await createQueue('of-topic')
    const { Attributes } = await queues.send(
      new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['QueueArn'] }),
    )
    await client.send(
      new SubscribeCommand({
        TopicArn,
        Protocol: 'sqs',
        Endpoint: Attributes?.QueueArn,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    )
    await send(definitionOf('sns', { targetArn: TopicArn }), messages)
    expect(await bodiesOf(queueUrl)).toEqual(texts)
  })

  describe('dynamoDB', () => {
    const client = new DynamoDBClient(options)

    async function createTable(TableName: string): Promise<void> {
      await client.send(
        new CreateTableCommand({
          TableName,
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
          BillingMode: 'PAY_PER_REQUEST',
        }),
      )
    }

    async function itemOf(TableName: string, id: string) {
      const Key = { id: { S: id } }
      return (await client.send(new GetItemCommand({ TableName, Key }))).Item
    }

    test('the item holds the output, is updated and deleted', async () => {
      await createTable('table')
      await send(definitionOf('dynamoDB', dynamo), messages)
      const payload = { M: { t: { N: '1' } } }
      expect(await itemOf('table', 'd1')).toEqual({ id: { S: 'd1' }, payload })
      const [, message = {}] = messages
      const update = { ...dynamo, operation: 'UPDATE', payloadField: 'B' }
      const bytes = { ...message, output: Buffer.from([255]) }
      await send(definitionOf('dynamoDB', update), [bytes])
      expect(await itemOf('table', 'd1')).toEqual({
        id: { S: 'd1' },
        payload,
        B: { B: new Uint8Array([255]) },
      })
      await send(definitionOf('dynamoDB', { ...dynamo, operation: 'DELETE' }), [message])
      expect(await itemOf('table', 'd1')).toBeUndefined()
      const { Count } = await client.send(new ScanCommand({ TableName: 'table' }))
      expect(Count).toBe(2)
    })

    test('dynamoDBv2: each member of the output is an attribute', async () => {
      await createTable('members')
      const definition = definitionOf('dynamoDBv2', { putItem: { tableName: 'members' } })
      await send(definition, [{ output: '{"id":"a","n":1.50,"on":true}' }])
      expect(await itemOf('members', 'a')).toMatchObject({ id: { S: 'a' }, on: { BOOL: true } })
    })
  })

  describe('objects', () => {
    const client = new S3Client({ ...options, forcePathStyle: true })

    async function createBucket(Bucket: string): Promise<void> {
      const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const
      await client.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration }))
    }

    async function objectOf(Bucket: string, Key: string): Promise<Buffer> {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    }

    test('s3: the object holds the bytes of the output', async () => {
      await createBucket('objects')
      const definition = definitionOf('s3', {
        bucketName: 'objects',
        key: 'ä b/${id}',
        cannedAcl: 'private',
      })
      const bytes = Buffer.from([0, 1, 255])
      await send(definition, [{ output: bytes, payload: { id: '1' } }])
      expect(await objectOf('objects', 'ä b/1')).toEqual(bytes)
    })

    test('firehose: the bucket of the stream gets each record with its separator', async () => {
      await createBucket('records')
      await new FirehoseClient(options).send(
        new CreateDeliveryStreamCommand({
          DeliveryStreamName: 'f',
          ExtendedS3DestinationConfiguration: {
            BucketARN: 'arn:aws:s3:::records',
            RoleARN: roleArn,
          },
        }),
      )
      await send(definitionOf('firehose', { deliveryStreamName: 'f', separator: '\n' }), messages)
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'records' }))
      const objects = await Promise.all(Contents.map(({ Key = '' }) => objectOf('records', Key)))
      const lines = Buffer.concat(objects).toString().split('\n')
      expect(lines.toSorted()).toEqual(['', ...texts])
    })
  })

  test('cloudwatchLogs: the log stream is created and holds each event', async () => {
    const client = new CloudWatchLogsClient(options)
    await client.send(new CreateLogGroupCommand({ logGroupName: 'group' }))
    const nowMs = Date.now()
    const outputs = texts.map((message) => ({
      output: JSON.stringify([{ timestamp: nowMs, message }]),
    }))
    await send(definitionOf('cloudwatchLogs', { logGroupName: 'group', batchMode: true }), outputs)
    const { events = [] } = await client.send(
      new GetLogEventsCommand({ logGroupName: 'group', logStreamName: 'sluice/r' }),
    )
    expect(events.map(({ message = '' }) => message).toSorted()).toEqual(texts)
    expect(events.map(({ timestamp }) => timestamp)).toEqual([nowMs, nowMs, nowMs])
  })

  describe('CloudWatch', () => {
    const client = new CloudWatchClient(options)

    test('cloudwatchMetric: the metric has each value', async () => {
      const nowSeconds = Math.floor(Date.now() / 1_000)
      const definition = definitionOf('cloudwatchMetric', {
        metricNamespace: 'plant',
        metricName: 'temperature',
        metricValue: '${v + 0.5}',
        metricUnit: 'Count',
        metricTimestamp: String(nowSeconds),
      })
      await send(definition, messages)
      const { Datapoints = [] } = await client.send(
        new GetMetricStatisticsCommand({
          Namespace: 'plant',
          MetricName: 'temperature',
          StartTime: new Date((nowSeconds - 600) * 1_000),
          EndTime: new Date((nowSeconds + 600) * 1_000),
          Period: 3_600,
          Statistics: ['Sum', 'SampleCount'],
        }),
      )
      expect(Datapoints).toMatchObject([{ Sum: 4.5, SampleCount: 3 }])
    })

    test('cloudwatchAlarm: the alarm has the state and its reason', async () => {
      await client.send(
        new PutMetricAlarmCommand({
          AlarmName: 'alarm',
          ComparisonOperator: 'GreaterThanThreshold',
          EvaluationPeriods: 1,
          Threshold: 1,
          MetricName: 'temperature',
          Namespace: 'plant',
          Period: 60,
          Statistic: 'Sum',
        }),
      )
      const fields = { alarmName: 'alarm', stateReason: 'too hot', stateValue: 'ALARM' }
      await send(definitionOf('cloudwatchAlarm', fields), [{}])
      const { MetricAlarms } = await client.send(
        new DescribeAlarmsCommand({ AlarmNames: ['alarm'] }),
      )
      expect(MetricAlarms).toMatchObject([{ StateValue: 'ALARM', StateReason: 'too hot' }])
    })
  })

  test('stepFunctions: one execution starts, however often the record is sent', async () => {
    const client = new SFNClient(options)
    const States = { Done: { Type: 'Pass', End: true } }
    const { stateMachineArn } = await client.send(
      new CreateStateMachineCommand({
        name: 'machine',
        definition: JSON.stringify({ StartAt: 'Done', States }),
        roleArn,
      }),
    )
    const fields = { stateMachineName: 'machine', executionNamePrefix: 'of-device-' }
    const [first = {}] = messages
    // Each makes the same name, because the UUIDs of the test begin anew.
    await send(definitionOf('stepFunctions', fields), [first])
    await send(definitionOf('stepFunctions', fields), [first])
    const { executions = [] } = await client.send(new ListExecutionsCommand({ stateMachineArn }))
    expect(executions.map(({ name }) => name)).toEqual(['of-device-uuid-1'])
    const [{ executionArn } = {}] = executions
    const { input } = await client.send(new DescribeExecutionCommand({ executionArn }))
    expect(input).toBe(texts[0])
  })

  test('timestream: the table has a record for each measure', async () => {
    const client = new TimestreamWriteClient(options)
    await client.send(new CreateDatabaseCommand({ DatabaseName: 'database' }))
    await client.send(
      new CreateTimestreamTableCommand({ DatabaseName: 'database', TableName: 'table' }),
    )
    const definition = definitionOf('timestream', {
      databaseName: 'database',
      tableName: 'table',
      dimensions: [{ name: 'device', value: '${id}' }],
    })
    await send(definition, messages)
    // Timestream is read by queries, which moto does not run: its own API shows the records.
    const response = await fetch(`${endpoint}/moto-api/data.json`)
    const data = (await response.json()) as {
      readonly timestreamwrite: { readonly TimestreamTable: readonly { records: unknown[] }[] }
    }
    expect(data.timestreamwrite.TimestreamTable[0]?.records).toMatchObject(
      messages.map((_, index) => ({
        Dimensions: [{ Name: 'device', Value: `d${index}` }],
        MeasureName: 't',
        MeasureValue: String(index),
        MeasureValueType: 'BIGINT',
      })),
    )
  })
})
