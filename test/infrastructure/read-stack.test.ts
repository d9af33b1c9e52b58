import path from 'node:path'
import { expect, test } from 'vitest'
import { stackNotes } from '../../src/infrastructure/stack-notes.ts'
import { parsePayload } from '../../src/rules/payload.ts'
import { folderOf, read, readText } from './stack-fixtures.ts'

const samples = path.resolve(import.meta.dirname, '../../samples')
const account = 'eu-west-1:000000000000'

const stackArtifact = (templateFile: string) => ({
  type: 'aws:cloudformation:stack',
  properties: { templateFile },
})
const ruleOf = (sql: unknown) => ({
  Type: 'AWS::IoT::TopicRule',
  Properties: { TopicRulePayload: { Sql: sql, Actions: [] } },
})

test('SAM: rules, events, streams, mappings and functions', async () => {
  const stack = await read(path.join(samples, 'sam'))

  expect(stack.rules.map(({ name, tags }) => ({ name, tags }))).toStrictEqual([
    { name: 'dev_readings', tags: { stage: 'dev' } },
    { name: 'ArchiveHot', tags: {} },
  ])
  expect(stack.rules[0]?.payload).toMatchObject({
    awsIotSqlVersion: '2016-03-23',
    sql: "SELECT *, topic(2) AS device FROM 'sensors/+/data'",
    ruleDisabled: false,
    actions: [
      { kinesis: { streamName: 'dev-readings', partitionKey: 'dev-${topic(2)}' } },
      { dynamoDB: { tableName: 'dev-latest', hashKeyValue: '${topic(2)}' } },
    ],
    errorAction: { sqs: { useBase64: false } },
  })
  expect(stack.streams).toMatchObject([{ name: 'dev-readings', shards: 2 }])
  expect(stack.mappings.map(({ request }) => request)).toStrictEqual([
    {
      BatchSize: 50,
      EventSourceArn: `arn:aws:kinesis:${account}:stream/dev-readings`,
      FunctionName: `arn:aws:lambda:${account}:function:Archive`,
      StartingPosition: 'TRIM_HORIZON',
    },
  ])
  expect(stack.functions).toMatchObject([
    { name: 'Archive', handler: 'index.handler', environment: { STAGE: 'dev' } },
  ])
  expect(stack.skipped).toMatchObject([
    { resource: 'AuditRule', reason: 'its condition IsProduction is false' },
  ])
  for (const { payload } of stack.rules) expect(parsePayload(payload).sql).not.toBe('')
})

test('SAM: a parameter changes names and conditions', async () => {
  const stack = await read(path.join(samples, 'sam'), { Stage: 'prod' })

  expect(stack.rules.map(({ name }) => name)).toStrictEqual([
    'prod_readings',
    'AuditRule',
    'ArchiveHot',
  ])
})

test('SAM: Globals give what a function lacks', async () => {
  const folder = await folderOf({
    'src/a.mjs': '',
    'template.yaml': `Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: nodejs20.x, CodeUri: src, AutoPublishAlias: live, Environment: {Variables: {A: '1', B: '2'}}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: a.handler
      Environment: {Variables: {B: '3'}}
      Events: {E: {Type: IoTRule, Properties: {Sql: s}}}
  G: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12}}
`,
  })
  const stack = await read(folder)

  expect(stack.functions).toMatchObject([
    { folder: path.join(folder, 'src'), environment: { A: '1', B: '3' } },
  ])
  expect(stack.rules[0]?.payload['actions']).toStrictEqual([
    { lambda: { functionArn: `arn:aws:lambda:${account}:function:F:live` } },
  ])
  expect(stack.skipped).toMatchObject([
    { resource: 'G', reason: 'its runtime python3.12 is not Node' },
  ])
})

test('CDK: the manifest leads to templates', async () => {
  const stack = await read(path.join(samples, 'cdk.out'))

  expect(stack.rules).toMatchObject([
    {
      resource: 'Rule5E6F7A8B',
      payload: {
        actions: [
          { kinesis: { streamName: 'StreamAB12CD34', partitionKey: '${topic()}' } },
          { lambda: { functionArn: `arn:aws:lambda:${account}:function:Readings2E8F1A6B` } },
          { dynamoDBv2: { putItem: { tableName: 'Latest7B3A90D1' } } },
        ],
        errorAction: { sqs: { useBase64: false } },
      },
    },
  ])
  expect(stack.streams).toMatchObject([{ shards: 3 }])
  // The application was run without `cdk synth`, which writes the paths of assets into templates.
  expect(stack.functions).toMatchObject([
    {
      folder: expect.stringContaining('cdk.out/asset.'),
      environment: { TABLE_NAME: 'Latest7B3A90D1' },
    },
  ])
  expect(stack.mappings).toMatchObject([{ request: { BatchSize: 100 } }])
  expect(stack.unresolved).toStrictEqual([])
})

test('CDK: stages, nested stacks, exports and assets', async () => {
  const folder = await folderOf({
    'manifest.json': {
      artifacts: {
        'assembly-Prod': {
          type: 'cdk:cloud-assembly',
          properties: { directoryName: 'assembly-Prod' },
        },
        Reader: stackArtifact('Reader.template.json'),
      },
    },
    'Reader.template.json': { Resources: { Own: ruleOf({ 'Fn::ImportValue': 'Prod:Name' }) } },
    'assembly-Prod/manifest.json': { artifacts: { Prod: stackArtifact('Prod.template.json') } },
    'assembly-Prod/Prod.template.json': {
      Resources: {
        Nested: {
          Type: 'AWS::CloudFormation::Stack',
          Metadata: { 'aws:asset:path': 'N.nested.template.json' },
          Properties: { TemplateURL: { 'Fn::Sub': 'https://s3' }, Parameters: { P: 'given' } },
        },
        Outer: ruleOf({ 'Fn::GetAtt': ['Nested', 'Outputs.O'] }),
        Fn: {
          Type: 'AWS::Lambda::Function',
          Metadata: { 'aws:asset:path': 'asset.1' },
          Properties: { Runtime: 'nodejs20.x', Handler: 'index.handler', Code: { S3Bucket: 'b' } },
        },
      },
      Outputs: {
        X: { Value: { 'Fn::Sub': 'n-${AWS::StackName}' }, Export: { Name: 'Prod:Name' } },
      },
    },
    'assembly-Prod/N.nested.template.json': {
      Parameters: { P: { Type: 'String' } },
      Resources: { Inner: ruleOf({ Ref: 'P' }) },
      Outputs: { O: { Value: { 'Fn::Sub': 'out-${P}' } } },
    },
    'assembly-Prod/asset.1/index.js': '',
  })
  const stack = await read(folder)

  expect(stack.rules.map(({ resource, payload }) => [resource, payload['sql']])).toStrictEqual([
    ['Inner', 'given'],
    ['Outer', 'out-given'],
    ['Own', 'n-Prod'],
  ])
  expect(stack.functions).toMatchObject([{ folder: path.join(folder, 'assembly-Prod/asset.1') }])
  expect(stack.unresolved).toStrictEqual([])
})

test('Serverless: the template of a package', async () => {
  const folder = await folderOf({
    'handler.mjs': '',
    '.serverless/cloudformation-template-update-stack.json': {
      Resources: {
        HotLambdaFunction: {
          Type: 'AWS::Lambda::Function',
          Properties: {
            Code: { S3Bucket: { Ref: 'Bucket' }, S3Key: 'x.zip' },
            FunctionName: 'app-dev-hot',
            Handler: 'handler.hot',
            Runtime: 'nodejs20.x',
          },
        },
        HotIotTopicRule1: {
          Type: 'AWS::IoT::TopicRule',
          Properties: {
            TopicRulePayload: {
              RuleDisabled: 'false',
              Sql: "SELECT * FROM 'a'",
              Actions: [
                { Lambda: { FunctionArn: { 'Fn::GetAtt': ['HotLambdaFunction', 'Arn'] } } },
              ],
            },
          },
        },
      },
    },
  })
  const stack = await read(folder)

  expect(stack.rules[0]?.payload['actions']).toStrictEqual([
    { lambda: { functionArn: `arn:aws:lambda:${account}:function:app-dev-hot` } },
  ])
  expect(stack.functions).toMatchObject([{ name: 'app-dev-hot', folder, handler: 'handler.hot' }])
})

test('Serverless: events of serverless.yml', async () => {
  const stack = await readText(
    `service: app
provider: {name: aws, runtime: nodejs20.x, stage: "\${opt:stage, 'dev'}"}
custom: {topic: "\${self:provider.stage}/data"}
functions:
  my-hot_one:
    handler: handler.hot
    environment: {SECRET: "\${ssm:/secret}"}
    events:
      - http: GET /
      - iot: {name: hot, sqlVersion: 2016-03-23, sql: "SELECT *, '\${topic()}'\\n FROM '\${self:custom.topic}'"}
      - iot: {enabled: false, sql: SELECT * FROM 'x'}
      - stream: {type: kinesis, arn: !GetAtt Readings.Arn, batchSize: 10}
resources:
  Resources:
    Readings: {Type: AWS::Kinesis::Stream, Properties: {Name: "app-\${self:provider.stage}", ShardCount: 2}}
`,
    { stage: 'qa' },
    'serverless.yml',
  )

  expect(stack.rules).toMatchObject([
    {
      name: 'hot',
      resource: 'MyDashhotUnderscoreoneIotTopicRule1',
      payload: {
        sql: "SELECT *, '${topic()}' FROM 'qa/data'",
        awsIotSqlVersion: '2016-03-23',
        actions: [
          { lambda: { functionArn: `arn:aws:lambda:${account}:function:app-qa-my-hot_one` } },
        ],
      },
    },
    { name: 'MyDashhotUnderscoreoneIotTopicRule2', payload: { ruleDisabled: true } },
  ])
  expect(stack.streams).toMatchObject([{ name: 'app-qa', shards: 2 }])
  expect(stack.mappings[0]?.request).toMatchObject({
    BatchSize: 10,
    StartingPosition: 'TRIM_HORIZON',
  })
  expect(stack.functions).toMatchObject([{ handler: 'handler.hot', timeoutSeconds: 6 }])
  expect(stack.unresolved).toMatchObject([
    { member: 'functions.my-hot_one.environment.SECRET', answer: 'ssm:/secret' },
  ])
})

test('members of free maps keep their names, and scalars get the types of the API', async () => {
  const { rules } = await readText(`
Resources:
  R:
    Type: AWS::IoT::TopicRule
    Properties:
      TopicRulePayload:
        Sql: s
        RuleDisabled: true
        Actions:
          - Kafka: {DestinationArn: d, Topic: t, ClientProperties: {Bootstrap.Servers: b}}
          - Republish: {Topic: t, Qos: 1, RoleArn: r, Headers: {UserProperties: [{Key: K, Value: 5}]}}
          - CloudwatchMetric: {MetricValue: 1, MetricName: m, MetricNamespace: n, MetricUnit: None, RoleArn: r}
`)

  expect(rules[0]?.payload).toStrictEqual({
    sql: 's',
    ruleDisabled: true,
    actions: [
      {
        kafka: { destinationArn: 'd', topic: 't', clientProperties: { 'Bootstrap.Servers': 'b' } },
      },
      {
        republish: {
          topic: 't',
          qos: 1,
          roleArn: 'r',
          headers: { userProperties: [{ key: 'K', value: '5' }] },
        },
      },
      {
        cloudwatchMetric: {
          metricValue: '1',
          metricName: 'm',
          metricNamespace: 'n',
          metricUnit: 'None',
          roleArn: 'r',
        },
      },
    ],
  })
})

test('of two rules with one name the second is left out and named', async () => {
  const rule = `{Type: AWS::IoT::TopicRule, Properties: {RuleName: r, TopicRulePayload: {Sql: s}}}`
  const { rules, skipped } = await readText(`Resources: {A: ${rule}, B: ${rule}}`)

  expect(rules.map(({ resource }) => resource)).toStrictEqual(['A'])
  expect(skipped).toMatchObject([
    { resource: 'B', reason: expect.stringMatching(/^A of .*name r/) },
  ])
})

const actionTo = (streamName: unknown) => ({
  Kinesis: { RoleArn: 'arn:aws:iam::123456789012:role/r', StreamName: streamName },
})
const ruleTo = (...actions: unknown[]) => ({
  Type: 'AWS::IoT::TopicRule',
  Properties: { TopicRulePayload: { Sql: "SELECT * FROM 'a'", Actions: actions } },
})

test('what has no value is listed with the members of rules in which its placeholder stands', async () => {
  const nested = {
    Parameters: { To: { Type: 'String' } },
    Resources: { Inner: ruleTo(actionTo({ Ref: 'To' })) },
  }
  const folder = await folderOf({
    'nested.json': nested,
    'template.json': {
      Parameters: { Stage: { Type: 'String' }, Other: { Type: 'String' } },
      Resources: {
        Readings: {
          Type: 'AWS::Kinesis::Stream',
          Properties: { Name: { 'Fn::Sub': 'readings-${Stage}-x' } },
        },
        First: ruleTo(actionTo('s'), actionTo({ Ref: 'Readings' })),
        Second: ruleTo(actionTo({ Ref: 'Readings' })),
        Direct: ruleTo(actionTo({ Ref: 'Other' })),
        Unused: { Type: 'AWS::Kinesis::Stream', Properties: { Name: { Ref: 'Other' } } },
        Below: {
          Type: 'AWS::CloudFormation::Stack',
          Properties: {
            TemplateURL: 'nested.json',
            Parameters: { To: { 'Fn::ImportValue': 'far' } },
          },
        },
      },
    },
  })
  const { unresolved } = await read(path.join(folder, 'template.json'))

  const member = 'actions[0].kinesis.streamName'
  expect(unresolved.map(({ resource, usedIn }) => [resource, usedIn])).toEqual([
    ['Readings', ['First, actions[1].kinesis.streamName', `Second, ${member}`]],
    ['Direct', undefined],
    ['Unused', [`Direct, ${member}`]],
    ['Below', [`Inner, ${member}`]],
  ])
  expect(stackNotes({ unresolved: unresolved.slice(3), skipped: [] })).toEqual([
    `not resolved: ${path.join(folder, 'template.json')}, Below, Parameters.To: Fn::ImportValue ` +
      `far; it stands in Inner, ${member}; give --parameter 'far=...'`,
  ])
})
