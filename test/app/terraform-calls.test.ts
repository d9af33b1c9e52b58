/**
 * The calls that Terraform's provider for AWS makes for the resources that Sluice has, in its
 * order, with what it reads of each answer. They were taken from the log of provider 5.100.0 under
 * Terraform 1.11.4, which applies, plans without a difference, updates, imports and destroys them.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  CreateTopicRuleCommand,
  DeleteTopicRuleCommand,
  GetTopicRuleCommand,
  IoTClient,
  ListTagsForResourceCommand,
  ListTopicRulesCommand,
  ReplaceTopicRuleCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-iot'
import type { TopicRulePayload } from '@aws-sdk/client-iot'
import {
  AddTagsToStreamCommand,
  CreateStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DeleteStreamCommand,
  DeregisterStreamConsumerCommand,
  DescribeLimitsCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  DisableEnhancedMonitoringCommand,
  EnableEnhancedMonitoringCommand,
  IncreaseStreamRetentionPeriodCommand,
  KinesisClient,
  ListTagsForStreamCommand,
  RegisterStreamConsumerCommand,
  RemoveTagsFromStreamCommand,
  StartStreamEncryptionCommand,
  UpdateShardCountCommand,
  UpdateStreamModeCommand,
} from '@aws-sdk/client-kinesis'
import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListTagsCommand,
  TagResourceCommand as TagMappingCommand,
  UntagResourceCommand as UntagMappingCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import type { App } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'

let folder = ''
let app: App
let iot: IoTClient
let kinesis: KinesisClient
let lambda: LambdaClient

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-terraform-'))
  await mkdir(path.join(folder, 'functions'))
  await writeFile(path.join(folder, 'functions/f.mjs'), 'export const handler = () => undefined\n')
  const environment = {
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: path.join(folder, 'rules'),
    SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
  }
  const config = loadConfig(environment, 'lab')
  const logger = createMemoryLogger(() => undefined)
  app = await startApp({ config, logger, clock: systemClock })
  const common = { region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }
  const { http, kinesis: labPort } = app.ports
  iot = new IoTClient({ ...common, endpoint: `http://127.0.0.1:${http}` })
  lambda = new LambdaClient({ ...common, endpoint: `http://127.0.0.1:${http}` })
  kinesis = new KinesisClient({ ...common, endpoint: `http://127.0.0.1:${labPort}` })
})

afterAll(async () => {
  for (const client of [iot, lambda, kinesis]) client.destroy()
  await app.stop()
  await rm(folder, { recursive: true, force: true })
})

const roleArn = 'arn:aws:iam::000000000000:role/r'

test('aws_iot_topic_rule', async () => {
  const ruleName = 'tf_rule'
  /** The provider fills in defaults, sends an empty description, and sorts actions by kind. */
  const topicRulePayload: TopicRulePayload = {
    actions: [
      { cloudwatchLogs: { batchMode: false, logGroupName: 'g', roleArn } },
      { dynamoDB: { hashKeyField: 'id', hashKeyValue: '${topic()}', roleArn, tableName: 'table' } },
      { dynamoDBv2: { putItem: { tableName: 'table' }, roleArn } },
      { firehose: { batchMode: false, deliveryStreamName: 'f', roleArn, separator: '\n' } },
      { iotEvents: { batchMode: false, inputName: 'i', roleArn } },
      { kinesis: { partitionKey: '${topic()}', roleArn, streamName: 'of-rule' } },
      { republish: { qos: 0, roleArn, topic: 'again/${topic()}' } },
      { sns: { messageFormat: 'RAW', roleArn, targetArn: 'arn:aws:sns:us-east-1:000000000000:t' } },
    ],
    awsIotSqlVersion: '2016-03-23',
    description: '',
    errorAction: { cloudwatchLogs: { batchMode: false, logGroupName: 'g', roleArn } },
    ruleDisabled: false,
    sql: "SELECT * FROM 'tf/#'",
  }
  await iot.send(new CreateTopicRuleCommand({ ruleName, topicRulePayload, tags: 'env=one&x=y' }))

  // A rule that was deleted elsewhere is absent here: the provider then makes it again.
  const listed = await iot.send(new ListTopicRulesCommand({}))
  const ofRule = listed.rules?.find((rule) => rule.ruleName === ruleName)
  expect(ofRule).toMatchObject({ ruleArn: `arn:aws:iot:us-east-1:000000000000:rule/${ruleName}` })
  // Anything but what was sent is a difference in the next plan.
  const got = await iot.send(new GetTopicRuleCommand({ ruleName }))
  expect(got).toMatchObject({ ruleArn: ofRule?.ruleArn, rule: { ruleName, ...topicRulePayload } })
  const resourceArn = got.ruleArn ?? ''
  const tagsOf = async () => {
    const { tags = [] } = await iot.send(new ListTagsForResourceCommand({ resourceArn }))
    return Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]))
  }
  expect(await tagsOf()).toEqual({ env: 'one', x: 'y' })

  await iot.send(new UntagResourceCommand({ resourceArn, tagKeys: ['x'] }))
  await iot.send(new TagResourceCommand({ resourceArn, tags: [{ Key: 'env', Value: 'two' }] }))
  const { errorAction: _, ...changed } = { ...topicRulePayload, ruleDisabled: true }
  await iot.send(new ReplaceTopicRuleCommand({ ruleName, topicRulePayload: changed }))
  const { rule } = await iot.send(new GetTopicRuleCommand({ ruleName }))
  expect(rule).toMatchObject(changed)
  expect(rule).not.toHaveProperty('errorAction')
  expect(await tagsOf()).toEqual({ env: 'two' })

  await iot.send(new DeleteTopicRuleCommand({ ruleName }))
  const { rules = [] } = await iot.send(new ListTopicRulesCommand({}))
  expect(rules.map((each) => each.ruleName)).not.toContain(ruleName)
  // Earlier releases of the provider ask for the rule itself, and take this error as its absence.
  await expect(iot.send(new GetTopicRuleCommand({ ruleName }))).rejects.toMatchObject({
    name: 'UnauthorizedException',
  })
})

/** Asks again and again, until the answer is an error: what is deleted is gone a moment later. */
async function repeated(ask: () => Promise<unknown>): Promise<never> {
  for (;;) await ask()
}

/** Waits as the provider does: it asks until the status is ACTIVE. */
async function activeStream(StreamName: string) {
  for (;;) {
    const answer = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }))
    const { StreamDescriptionSummary: summary } = answer
    if (summary?.StreamStatus === 'ACTIVE') return summary
  }
}

test('aws_kinesis_stream and aws_kinesis_stream_consumer', async () => {
  const StreamName = 'tf-stream'
  const limits = await kinesis.send(new DescribeLimitsCommand({}))
  expect(limits).toMatchObject({ OpenShardCount: expect.any(Number) as number })
  await kinesis.send(
    new CreateStreamCommand({ StreamName, ShardCount: 2, Tags: { a: 'b', x: 'y' } }),
  )
  const created = await activeStream(StreamName)
  expect(created).toMatchObject({
    StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${StreamName}`,
    StreamModeDetails: { StreamMode: 'PROVISIONED' },
    OpenShardCount: 2,
    RetentionPeriodHours: 24,
    EncryptionType: 'NONE',
  })
  // The provider sends this one also for the retention that the stream has.
  for (const RetentionPeriodHours of [24, 48]) {
    await kinesis.send(
      new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours }),
    )
    await activeStream(StreamName)
  }
  const { StreamARN } = created
  const metrics = { StreamName, ShardLevelMetrics: ['IncomingBytes' as const] }
  await kinesis.send(new EnableEnhancedMonitoringCommand(metrics))
  await activeStream(StreamName)
  const encryption = { StreamName, EncryptionType: 'KMS' as const, KeyId: 'alias/aws/kinesis' }
  await kinesis.send(new StartStreamEncryptionCommand(encryption))
  expect(await activeStream(StreamName)).toMatchObject({
    RetentionPeriodHours: 48,
    EncryptionType: 'KMS',
    KeyId: 'alias/aws/kinesis',
    EnhancedMonitoring: [{ ShardLevelMetrics: ['IncomingBytes'] }],
  })
  const { Consumer } = await kinesis.send(
    new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'consumer' }),
  )
  const { ConsumerARN } = Consumer ?? {}
  const consumer = await kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }))
  expect(consumer.ConsumerDescription).toMatchObject({
    ConsumerName: 'consumer',
    StreamARN,
    ConsumerCreationTimestamp: expect.any(Date) as Date,
  })

  await kinesis.send(new RemoveTagsFromStreamCommand({ StreamName, TagKeys: ['x'] }))
  await kinesis.send(new AddTagsToStreamCommand({ StreamName, Tags: { a: 'c' } }))
  const scaling = { StreamName, ScalingType: 'UNIFORM_SCALING' as const, TargetShardCount: 3 }
  await kinesis.send(new UpdateShardCountCommand(scaling))
  await activeStream(StreamName)
  await kinesis.send(
    new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 24 }),
  )
  await activeStream(StreamName)
  await kinesis.send(new DisableEnhancedMonitoringCommand(metrics))
  await activeStream(StreamName)
  const StreamModeDetails = { StreamMode: 'ON_DEMAND' as const }
  await kinesis.send(new UpdateStreamModeCommand({ StreamARN, StreamModeDetails }))
  expect(await activeStream(StreamName)).toMatchObject({
    OpenShardCount: 3,
    RetentionPeriodHours: 24,
    StreamModeDetails,
    EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
  })
  const { Tags } = await kinesis.send(new ListTagsForStreamCommand({ StreamName }))
  expect(Tags).toEqual([{ Key: 'a', Value: 'c' }])

  await kinesis.send(new DeregisterStreamConsumerCommand({ ConsumerARN }))
  const described = () => kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }))
  await expect(repeated(described)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  await kinesis.send(new DeleteStreamCommand({ StreamName, EnforceConsumerDeletion: false }))
  await expect(activeStream(StreamName)).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  })
})

test('aws_lambda_event_source_mapping', async () => {
  const StreamName = 'tf-source'
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }))
  const { StreamARN: EventSourceArn } = await activeStream(StreamName)
  const sent = {
    BatchSize: 50,
    BisectBatchOnFunctionError: true,
    DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:q' } },
    EventSourceArn,
    FilterCriteria: { Filters: [{ Pattern: '{"data":{"t":[{"numeric":[">",1]}]}}' }] },
    FunctionResponseTypes: ['ReportBatchItemFailures' as const],
    MaximumBatchingWindowInSeconds: 1,
    MaximumRecordAgeInSeconds: 60,
    MaximumRetryAttempts: 3,
    ParallelizationFactor: 2,
    StartingPosition: 'AT_TIMESTAMP' as const,
    StartingPositionTimestamp: new Date('2026-01-01T00:00:00Z'),
    TumblingWindowInSeconds: 0,
  }
  const created = await lambda.send(
    new CreateEventSourceMappingCommand({
      ...sent,
      Enabled: false,
      FunctionName: 'f',
      Tags: { a: 'b', x: 'y' },
    }),
  )
  const { UUID } = created
  const FunctionArn = 'arn:aws:lambda:us-east-1:000000000000:function:f'
  const mappingArn = `arn:aws:lambda:us-east-1:000000000000:event-source-mapping:${UUID}`

  /** Waits as the provider does: for a state that does not change by itself. */
  const settled = async () => {
    for (;;) {
      const answer = await lambda.send(new GetEventSourceMappingCommand({ UUID }))
      if (['Enabled', 'Disabled'].includes(answer.State ?? '')) return answer
    }
  }
  expect(await settled()).toMatchObject({
    ...sent,
    EventSourceMappingArn: mappingArn,
    FunctionArn,
    State: 'Disabled',
    StateTransitionReason: expect.any(String) as string,
    LastModified: expect.any(Date) as Date,
  })
  const tagsOf = async () => (await lambda.send(new ListTagsCommand({ Resource: mappingArn }))).Tags
  expect(await tagsOf()).toEqual({ a: 'b', x: 'y' })

  await lambda.send(new UntagMappingCommand({ Resource: mappingArn, TagKeys: ['x'] }))
  await lambda.send(new TagMappingCommand({ Resource: mappingArn, Tags: { a: 'c' } }))
  const changed = { BatchSize: 60, MaximumRecordAgeInSeconds: -1, FunctionResponseTypes: [] }
  await lambda.send(
    new UpdateEventSourceMappingCommand({ UUID, FunctionName: 'f', Enabled: false, ...changed }),
  )
  expect(await settled()).toMatchObject({ ...changed, FunctionArn, State: 'Disabled' })
  expect(await tagsOf()).toEqual({ a: 'c' })

  await lambda.send(new DeleteEventSourceMappingCommand({ UUID }))
  const described = () => lambda.send(new GetEventSourceMappingCommand({ UUID }))
  await expect(repeated(described)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})
