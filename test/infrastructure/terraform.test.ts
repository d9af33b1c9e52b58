import { expect, test } from 'vitest'
import { parsePayload } from '../../src/rules/payload.ts'
import { readText } from './stack-fixtures.ts'

const account = 'eu-west-1:000000000000'

const rule = {
  address: 'aws_iot_topic_rule.readings',
  mode: 'managed',
  type: 'aws_iot_topic_rule',
  name: 'readings',
  values: {
    name: 'readings',
    enabled: true,
    sql: "SELECT * FROM 'a/+'",
    sql_version: '2016-03-23',
    description: '',
    tags: null,
    tags_all: { team: 'iot' },
    kinesis: [{ stream_name: 'readings', partition_key: '${topic()}' }],
    dynamodbv2: [{ put_item: [{ table_name: 't' }], role_arn: 'arn:aws:iam::1:role/r' }],
    dynamodb: [],
    http: [
      { url: 'https://x.test/', confirmation_url: '', http_header: [{ key: 'K', value: 'v' }] },
    ],
    error_action: [
      { kinesis: [], sqs: [{ queue_url: 'https://sqs/q', use_base64: false, role_arn: 'r' }] },
    ],
  },
}
const stream = {
  address: 'aws_kinesis_stream.readings',
  mode: 'managed',
  type: 'aws_kinesis_stream',
  name: 'readings',
  values: { name: 'readings', shard_count: 2, stream_mode_details: [] },
}
const role = {
  address: 'aws_iam_role.rule',
  mode: 'managed',
  type: 'aws_iam_role',
  name: 'rule',
  values: { name: 'rule-role' },
}
const plan = {
  format_version: '1.2',
  planned_values: {
    root_module: {
      resources: [rule, role],
      child_modules: [
        {
          address: 'module.s',
          resources: [
            { ...stream, address: 'module.s.aws_kinesis_stream.readings' },
            {
              address: 'module.s.aws_lambda_event_source_mapping.m',
              mode: 'managed',
              type: 'aws_lambda_event_source_mapping',
              values: {
                function_name: 'f',
                starting_position: 'LATEST',
                batch_size: 5,
                queues: null,
              },
            },
          ],
        },
      ],
    },
  },
  resource_changes: [
    {
      address: 'aws_iot_topic_rule.readings',
      change: {
        after_unknown: {
          arn: true,
          id: true,
          kinesis: [{ role_arn: true }],
          http: [{ http_header: [{}] }],
          error_action: [{ sqs: [{}] }],
        },
      },
    },
    {
      address: 'module.s.aws_lambda_event_source_mapping.m',
      change: { after_unknown: { event_source_arn: true, uuid: true } },
    },
  ],
  configuration: {
    root_module: {
      resources: [
        {
          address: 'aws_iot_topic_rule.readings',
          expressions: {
            kinesis: [{ role_arn: { references: ['aws_iam_role.rule.arn', 'aws_iam_role.rule'] } }],
          },
        },
      ],
      module_calls: {
        s: {
          module: {
            resources: [
              {
                address: 'aws_lambda_event_source_mapping.m',
                expressions: {
                  event_source_arn: { references: ['aws_kinesis_stream.readings.arn'] },
                },
              },
            ],
          },
        },
      },
    },
  },
}

test('a plan gives rules, streams and mappings, with what it refers to', async () => {
  const stack = await readText(plan, {}, 'plan.json')

  expect(stack.rules).toMatchObject([{ name: 'readings', tags: { team: 'iot' } }])
  expect(stack.rules[0]?.payload).toStrictEqual({
    sql: "SELECT * FROM 'a/+'",
    awsIotSqlVersion: '2016-03-23',
    ruleDisabled: false,
    actions: [
      { dynamoDBv2: { putItem: { tableName: 't' }, roleArn: 'arn:aws:iam::1:role/r' } },
      { http: { url: 'https://x.test/', headers: [{ key: 'K', value: 'v' }] } },
      {
        kinesis: {
          streamName: 'readings',
          partitionKey: '${topic()}',
          roleArn: 'arn:aws:iam::000000000000:role/rule-role',
        },
      },
    ],
    errorAction: { sqs: { queueUrl: 'https://sqs/q', useBase64: false, roleArn: 'r' } },
  })
  expect(stack.streams).toMatchObject([{ name: 'readings', shards: 2 }])
  expect(stack.mappings.map(({ request }) => request)).toStrictEqual(
    [
      {
        EventSourceArn: `arn:aws:kinesis:${account}:stream/readings`,
        BatchSize: 5,
        FunctionName: 'f',
        StartingPosition: 'LATEST',
      },
    ].map((request) => expect.objectContaining(request)),
  )
  expect(stack.unresolved).toStrictEqual([])
})

test('what stays unknown is listed and can be given', async () => {
  const unknown = {
    ...plan,
    planned_values: { root_module: { resources: [rule] } },
  }
  const { rules, unresolved } = await readText(unknown, {}, 'plan.json')

  expect(unresolved).toMatchObject([
    {
      resource: 'aws_iot_topic_rule.readings',
      member: 'kinesis[0].role_arn',
      reason: 'aws_iam_role.rule.arn is known after apply',
      answer: 'aws_iam_role.rule.arn',
    },
  ])
  expect(JSON.stringify(rules[0]?.payload)).toContain('role/unresolved-aws-iam-role-rule-arn')

  const given = await readText(
    unknown,
    { 'aws_iam_role.rule.arn': 'arn:aws:iam::1:role/x' },
    'p.json',
  )

  expect(given.unresolved).toStrictEqual([])
  expect(JSON.stringify(given.rules[0]?.payload)).toContain('arn:aws:iam::1:role/x')
})

test('a state gives the same rules', async () => {
  const state = { format_version: '1.0', values: { root_module: { resources: [rule, stream] } } }
  const { rules, streams } = await readText(state, {}, 'state.json')

  expect(rules.map(({ name }) => name)).toStrictEqual(['readings'])
  expect(streams.map(({ name }) => name)).toStrictEqual(['readings'])
  expect(() => parsePayload(rules[0]?.payload)).toThrow(/kinesis\.roleArn is missing/)
})
