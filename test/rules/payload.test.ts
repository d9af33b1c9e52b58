import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { parsePayload } from '../../src/rules/payload.ts'
import { parsePayloadFile, parsePayloadText } from './payload-fixtures.ts'
import { roleArn } from './rule-fixtures.ts'

const kinesis = { roleArn, streamName: 's' }
const republish = { roleArn, topic: 't' }
const minimal = { sql: "SELECT * FROM 'a'", actions: [] }

function refusalOf(json: unknown): string {
  try {
    parsePayload(json)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return thrown.code === 'InvalidRequestException' ? thrown.message : thrown.code
  }
  return 'accepted'
}

describe('parsePayload', () => {
  test('completes what is left out with the defaults of AWS', () => {
    expect(parsePayload(minimal)).toEqual({
      ...minimal,
      ruleDisabled: false,
      awsIotSqlVersion: '2015-10-08',
    })
  })

  test('keeps every member and freezes them all', () => {
    const full = {
      sql: "SELECT * FROM 'a'",
      description: 'what it is for',
      actions: [{ kinesis: { ...kinesis, partitionKey: '${topic()}' } }, { kinesis }],
      ruleDisabled: true,
      awsIotSqlVersion: '2016-03-23',
      errorAction: {
        republish: {
          roleArn,
          topic: '$$aws/rules/other/${topic()}',
          qos: 1,
          headers: {
            payloadFormatIndicator: 'UTF8_DATA',
            contentType: 'application/json',
            responseTopic: 'answers',
            correlationData: 'AA==',
            messageExpiry: '60',
            userProperties: [{ key: 'k', value: '${v}' }],
          },
        },
      },
    }
    const payload = parsePayload(full)
    expect(payload).toEqual(full)
    const frozen = [payload, ...payload.actions, ...payload.actions.flatMap(Object.values)]
    expect(frozen.every((value) => Object.isFrozen(value))).toBe(true)
  })

  test('takes the wrapped form of the AWS guide', () => {
    expect(parsePayload({ topicRulePayload: minimal })).toEqual(parsePayload(minimal))
  })

  test('reads a null member as an absent one', () => {
    const withNulls = {
      ...minimal,
      description: null,
      errorAction: null,
      actions: [{ kinesis: { ...kinesis, partitionKey: null }, s3: null }],
    }
    expect(parsePayload(withNulls)).toEqual(parsePayload({ ...minimal, actions: [{ kinesis }] }))
  })

  test.each([
    ['a list', [], 'the document must be an object'],
    ['no sql', { actions: [] }, 'sql is missing'],
    ['no actions', { sql: '' }, 'actions is missing'],
    ['sql of another type', { ...minimal, sql: 1 }, 'sql must be a string'],
    ['an unknown member', { ...minimal, colour: 1 }, 'colour is not a known member'],
    [
      'a wrapper with company',
      { topicRulePayload: minimal, ruleName: 'x' },
      expect.stringContaining('\ntopicRulePayload is not a known member\n'),
    ],
    [
      'an unknown version',
      { ...minimal, awsIotSqlVersion: '2020-01-01' },
      'awsIotSqlVersion must be one of 2015-10-08, 2016-03-23, beta',
    ],
    ['a text for a flag', { ...minimal, ruleDisabled: 'true' }, 'ruleDisabled must be a boolean'],
    [
      'an error action without its fields',
      { ...minimal, errorAction: { sqs: {} } },
      '2 problems:\nerrorAction.sqs.roleArn is missing\nerrorAction.sqs.queueUrl is missing',
    ],
    [
      'an empty error action',
      { ...minimal, errorAction: {} },
      expect.stringMatching(/^errorAction names no action: give one of cloudwatchAlarm, /),
    ],
    [
      'two error actions',
      { ...minimal, errorAction: { kinesis, republish } },
      'errorAction names 2 actions (kinesis, republish): give one each',
    ],
    ['a list of error actions', { ...minimal, errorAction: [] }, 'errorAction must be an object'],
    [
      'QoS 2',
      { ...minimal, actions: [{ republish: { ...republish, qos: 2 } }] },
      'actions[0].republish.qos must be one of 0, 1',
    ],
    [
      'a header that AWS does not know',
      { ...minimal, actions: [{ republish: { ...republish, headers: { colour: '' } } }] },
      'actions[0].republish.headers.colour is not a known member',
    ],
    [
      'a user property without a value',
      {
        ...minimal,
        actions: [{ republish: { ...republish, headers: { userProperties: [{ key: 'k' }] } } }],
      },
      'actions[0].republish.headers.userProperties[0].value is missing',
    ],
    ['actions of another type', { ...minimal, actions: {} }, 'actions must be an array'],
    [
      'eleven actions',
      { ...minimal, actions: Array.from({ length: 11 }, () => ({ kinesis })) },
      'actions must have 10 entries or fewer',
    ],
    [
      'an action that is a text',
      { ...minimal, actions: ['kinesis'] },
      'actions[0] must be an object',
    ],
    [
      'an empty action',
      { ...minimal, actions: [{}] },
      expect.stringMatching(
        /^actions\[0\] names no action: give one of cloudwatchAlarm, .*timestream$/,
      ),
    ],
    [
      'two actions in one',
      { ...minimal, actions: [{ kinesis, s3: {} }] },
      [
        '4 problems:',
        'actions[0].s3.roleArn is missing',
        'actions[0].s3.bucketName is missing',
        'actions[0].s3.key is missing',
        'actions[0] names 2 actions (kinesis, s3): give one each',
      ].join('\n'),
    ],
    [
      'an unknown action',
      { ...minimal, actions: [{ kinesis }, { teleport: {} }] },
      expect.stringMatching(
        /^actions\[1\]\.teleport is not an action of AWS IoT: it has cloudwatch/,
      ),
    ],
    [
      'no role',
      { ...minimal, actions: [{ kinesis: { streamName: 's' } }] },
      'actions[0].kinesis.roleArn is missing',
    ],
    [
      'no stream',
      { ...minimal, actions: [{ kinesis: { roleArn } }] },
      'actions[0].kinesis.streamName is missing',
    ],
    [
      'an unknown member of an action',
      { ...minimal, actions: [{ kinesis: { ...kinesis, stream: 's' } }] },
      'actions[0].kinesis.stream is not a known member: the API calls it streamName',
    ],
    [
      'a key of another type',
      { ...minimal, actions: [{ kinesis: { ...kinesis, partitionKey: 7 } }] },
      'actions[0].kinesis.partitionKey must be a string',
    ],
  ])('refuses %s', (_name, json, message) => {
    expect(refusalOf(json)).toEqual(message)
  })

  test('names every fault of a payload at once', () => {
    const faulty = {
      sql: 7,
      actions: [
        { s3: { bucket: 'b', key: 'k' } },
        { firehose: { roleArn, deliveryStreamName: 'f', separator: ';' } },
      ],
      errorAction: { sns: { roleArn: 'me', targetArn: 't' } },
    }
    const [first, ...problems] = refusalOf(faulty).split('\n')
    expect(first).toBe('5 problems:')
    expect(problems.toSorted()).toEqual([
      expect.stringMatching(/^actions\[0\]\.s3\.bucket is not a known member: .*bucketName$/),
      'actions[0].s3.roleArn is missing',
      expect.stringMatching(/^actions\[1\]\.firehose\.separator must be one of /),
      expect.stringMatching(/^errorAction\.sns\.roleArn must match /),
      'sql must be a string',
    ])
  })

  const withRole = (arn: string) => ({
    ...minimal,
    actions: [{ kinesis: { ...kinesis, roleArn: arn } }],
  })
  test.each([
    'arn:aws:iam::123456789012:role/r',
    'arn:aws-cn:iam::123456789012:role/path/r@x',
    'arn:aws-us-gov:iam::123456789012:role/r',
  ])('takes the role %s', (arn) => {
    expect(refusalOf(withRole(arn))).toBe('accepted')
  })

  test.each([
    'arn:aws:iam::12345678901:role/r',
    'arn:aws:iam::123456789012:user/r',
    'arn:aws:iam::123456789012:role/',
    'arn:aws:iam::123456789012:role/${topic()}',
    'r',
  ])('refuses the role %s', (arn) => {
    expect(refusalOf(withRole(arn))).toMatch(/^actions\[0\]\.kinesis\.roleArn must match \^arn:aws/)
  })

  test('counts the payload as UTF-8 JSON', () => {
    const overhead = JSON.stringify(parsePayload({ ...minimal, description: '' })).length
    const room = 131_072 - overhead
    const fits = { ...minimal, description: 'é'.repeat(room / 2) }
    expect(parsePayload(fits).description).toBe(fits.description)
    const over = { ...minimal, description: `${fits.description}xx` }
    expect(refusalOf(over)).toMatch(/^the payload has 1310\d\d bytes as JSON; at most 131072/)
  })

  test('refuses a deeply nested document without a stack overflow', () => {
    const depth = 50_000
    const text = `{"sql":"","actions":[{"kinesis":${'['.repeat(depth)}${']'.repeat(depth)}}]}`
    expect(() => parsePayloadText(Buffer.from(text))).toThrow(
      'actions[0].kinesis must be an object',
    )
  })
})

describe('parsePayloadText', () => {
  test.each([
    ['', /^not a JSON document/],
    ['{"sql":', /^not a JSON document/],
    [Buffer.from([0x22, 0xff, 0x22]), /^not a JSON document/],
  ])('refuses %j', (text, message) => {
    expect(() => parsePayloadText(Buffer.from(text))).toThrow(message)
  })

  test('ignores a byte order mark', () => {
    expect(parsePayloadText(Buffer.from(`\uFEFF${JSON.stringify(minimal)}`)).actions).toEqual([])
  })
})

test('a rule file may name its JSON Schema, and a request may not', () => {
  for (const given of [minimal, { topicRulePayload: minimal }]) {
    const bytes = Buffer.from(JSON.stringify({ $schema: './rule.schema.json', ...given }))
    expect(parsePayloadFile(bytes)).toEqual(parsePayload(minimal))
    expect(() => parsePayloadText(bytes)).toThrow(/\$schema|sql is missing/)
  }
  const noLink = Buffer.from(JSON.stringify({ $schema: 1, ...minimal }))
  expect(() => parsePayloadFile(noLink)).toThrow('$schema is not a known member')
})
