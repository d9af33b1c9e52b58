import { expect, test } from 'vitest'
import { readText, ruleWith } from './stack-fixtures.ts'

const more = {
  Parameters: {
    Stage: { Type: 'String', Default: 'dev' },
    Names: { Type: 'CommaDelimitedList', Default: 'a, b' },
    Asked: { Type: 'String' },
    FromSsm: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/name' },
  },
  Mappings: { Stages: { dev: { Prefix: 'd', List: ['x', 'y'] } } },
  Conditions: {
    IsDev: { 'Fn::Equals': [{ Ref: 'Stage' }, 'dev'] },
    IsNot: { 'Fn::Not': [{ Condition: 'IsDev' }] },
    Either: { 'Fn::Or': [{ Condition: 'IsNot' }, { 'Fn::And': [{ Condition: 'IsDev' }] }] },
  },
  Resources: {
    Stream: { Type: 'AWS::Kinesis::Stream', Properties: { Name: 's', ShardCount: '3' } },
    Queue: { Type: 'AWS::SQS::Queue' },
    Topic: { Type: 'AWS::SNS::Topic', Properties: { TopicName: { 'Fn::Sub': '${Stage}-t' } } },
    Bucket: { Type: 'AWS::S3::Bucket' },
    Machine: { Type: 'AWS::StepFunctions::StateMachine' },
    Role: { Type: 'AWS::IAM::Role' },
    Fn: { Type: 'AWS::Lambda::Function', Properties: { FunctionName: 'f', Runtime: 'java21' } },
    Alias: {
      Type: 'AWS::Lambda::Alias',
      Properties: { FunctionName: { Ref: 'Fn' }, Name: 'live' },
    },
    Table: {
      Type: 'AWS::Timestream::Table',
      Properties: { DatabaseName: 'db', TableName: 'tb' },
    },
    Thing: { Type: 'AWS::IoT::Thing' },
  },
}

const place = 'eu-west-1:000000000000'
const values: readonly (readonly [string, unknown, unknown])[] = [
  ['a parameter', { Ref: 'Stage' }, 'dev'],
  ['a list', { 'Fn::Join': ['-', { Ref: 'Names' }] }, 'a-b'],
  ['a name', { Ref: 'Stream' }, 's'],
  ['a made-up name', { Ref: 'Bucket' }, 'bucket'],
  [
    'the URL of a queue',
    { Ref: 'Queue' },
    'https://sqs.eu-west-1.amazonaws.com/000000000000/Queue',
  ],
  ['the ARN of a topic', { Ref: 'Topic' }, `arn:aws:sns:${place}:dev-t`],
  ['its name', { 'Fn::GetAtt': ['Topic', 'TopicName'] }, 'dev-t'],
  ['the ARN of a stream', { 'Fn::GetAtt': 'Stream.Arn' }, `arn:aws:kinesis:${place}:stream/s`],
  ['the ARN of a bucket', { 'Fn::GetAtt': ['Bucket', 'Arn'] }, 'arn:aws:s3:::bucket'],
  ['the ARN of a role', { 'Fn::GetAtt': ['Role', 'Arn'] }, 'arn:aws:iam::000000000000:role/Role'],
  ['a state machine', { Ref: 'Machine' }, `arn:aws:states:${place}:stateMachine:Machine`],
  [
    'a part of an ARN',
    { 'Fn::Select': ['6', { 'Fn::Split': [':', { Ref: 'Machine' }] }] },
    'Machine',
  ],
  ['an alias', { Ref: 'Alias' }, `arn:aws:lambda:${place}:function:f:live`],
  ['a table of Timestream', { Ref: 'Table' }, 'db|tb'],
  ['a map', { 'Fn::FindInMap': ['Stages', { Ref: 'Stage' }, 'Prefix'] }, 'd'],
  ['the default of a map', { 'Fn::FindInMap': ['Stages', 'x', 'y', { DefaultValue: 'z' }] }, 'z'],
  ['base64', { 'Fn::Base64': 'a' }, 'YQ=='],
  ['a condition', { 'Fn::If': ['IsDev', 'yes', 'no'] }, 'yes'],
  ['conditions of conditions', { 'Fn::If': ['Either', 'yes', 'no'] }, 'yes'],
  ['no condition', { 'Fn::If': ['IsNot', 'yes', { Ref: 'AWS::Region' }] }, 'eu-west-1'],
  ['Sub', { 'Fn::Sub': '${Stage}/${Stream.Arn}' }, `dev/arn:aws:kinesis:${place}:stream/s`],
  ['Sub with own values', { 'Fn::Sub': ['${A}-${Stage}', { A: { Ref: 'Stage' } }] }, 'dev-dev'],
  [
    'a template in Sub',
    { 'Fn::Sub': '${!topic(2)}/${!get(a, "${Stage}")}' },
    '${topic(2)}/${get(a, "dev")}',
  ],
  ['a template outside', '${topic(2)}', '${topic(2)}'],
  [
    'pseudo parameters',
    { 'Fn::Sub': '${AWS::Partition} ${AWS::AccountId} ${AWS::URLSuffix}' },
    'aws 000000000000 amazonaws.com',
  ],
]

test.each(values)('%s is computed', async (_, sql, expected) => {
  const { rules, unresolved } = await readText(ruleWith(sql, more))

  expect(rules[0]?.payload['sql']).toBe(expected)
  expect(unresolved).toStrictEqual([])
})

test('a member that is AWS::NoValue is removed', async () => {
  const { rules } = await readText(
    ruleWith({ 'Fn::If': ['IsNot', 'x', { Ref: 'AWS::NoValue' }] }, more),
  )

  expect(rules[0]?.payload).toStrictEqual({ actions: [] })
})

const asked: readonly (readonly [string, unknown, string, string])[] = [
  ['a parameter without a value', { Ref: 'Asked' }, 'Asked', 'parameter Asked has no value'],
  ['a parameter in SSM', { Ref: 'FromSsm' }, 'FromSsm', 'parameter FromSsm is kept in SSM'],
  ['an import', { 'Fn::ImportValue': 'other-x' }, 'other-x', 'Fn::ImportValue other-x'],
  ['a secret', '{{resolve:ssm:/a/b}}', 'ssm:/a/b', 'a dynamic reference to ssm:/a/b'],
  ['an unknown type', { Ref: 'Thing' }, 'Thing', 'Ref Thing of AWS::IoT::Thing'],
  [
    'an unknown attribute',
    { 'Fn::GetAtt': 'Thing.Id' },
    'Thing.Id',
    'Fn::GetAtt Thing.Id of AWS::IoT::Thing',
  ],
  ['nothing', { Ref: 'Nothing' }, 'Nothing', 'Ref Nothing names nothing'],
  [
    'a macro',
    { 'Fn::Transform': { Name: 'X' } },
    'Rule.TopicRulePayload.Sql',
    'Fn::Transform is expanded at deployment: give the processed template',
  ],
]

test.each(asked)('%s is asked for', async (_, sql, answer, reason) => {
  const { rules, unresolved } = await readText(ruleWith(sql, more))

  expect(rules[0]?.payload['sql']).toMatch(/^unresolved-/)
  expect(unresolved).toMatchObject([
    { resource: 'Rule', member: 'TopicRulePayload.Sql', reason, answer },
  ])

  const answered = await readText(ruleWith(sql, more), { [answer]: 'given' })

  expect(answered.rules[0]?.payload['sql']).toBe('given')
  expect(answered.unresolved).toStrictEqual([])
})

test('a template of the rule that Sub would take is named and kept', async () => {
  const { rules, unresolved } = await readText(ruleWith({ 'Fn::Sub': 'a/${topic(2)}' }, more))

  expect(rules[0]?.payload['sql']).toBe('a/${topic(2)}')
  expect(unresolved[0]?.reason).toBe(
    'Fn::Sub knows no ${topic(2)}: a template of the rule stands there as ${!topic(2)}',
  )
})

test('a placeholder fits where an ARN is wanted', async () => {
  const stack = await readText({
    Resources: {
      Rule: {
        Type: 'AWS::IoT::TopicRule',
        Properties: {
          TopicRulePayload: {
            Sql: 's',
            Actions: [{ Lambda: { FunctionArn: { 'Fn::ImportValue': 'Fn' } } }],
          },
        },
      },
    },
  })

  expect(stack.rules[0]?.payload['actions']).toStrictEqual([
    { lambda: { functionArn: `arn:aws:lambda:${place}:function:unresolved-Fn` } },
  ])
})
