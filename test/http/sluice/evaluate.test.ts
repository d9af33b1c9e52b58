import { describe, expect, test } from 'vitest'
import { hashKeyOf } from '../../../src/base/hash-key.ts'
import { parsePayload } from '../../../src/rules/payload.ts'
import { roleArn } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

interface Asked {
  readonly status: number
  readonly errorType: string | null
  readonly text: string
  /** Parsed: fine for all but long numbers. */
  readonly answer: unknown
}

async function startEvaluating(): Promise<(body: string | object) => Promise<Asked>> {
  const { url } = await startServer()
  return (body) => evaluateAt(url, body)
}

async function evaluateAt(url: string, body: string | object): Promise<Asked> {
  const sent = typeof body === 'string' ? body : JSON.stringify(body)
  const { status, headers, ...answered } = await post(`${url}/v1/evaluate`, sent)
  return { status, errorType: headers.get('x-amzn-errortype'), ...answered }
}

async function post(url: string, body: string) {
  const answer = await fetch(url, { method: 'POST', body: Buffer.from(body) })
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    answer: JSON.parse(text) as unknown,
  }
}

const kinesis = { roleArn, streamName: 'telemetry', partitionKey: '${device}' }
const rule = (sql: string, actions: object[] = []) => ({
  sql,
  actions,
  awsIotSqlVersion: '2016-03-23',
})
const message = { topic: 'dt/7', payload: { temp: 61.5, device: 'd7' } }

describe('POST /v1/evaluate', () => {
  test('says which external function failed', async () => {
    const evaluate = await startEvaluating()
    const { status, answer } = await evaluate({
      topicRulePayload: rule("SELECT aws_lambda('f', *) AS v FROM 'dt/+'", [{ kinesis }]),
      message,
    })
    expect(status).toBe(200)
    expect(answer).toEqual({
      matched: false,
      noMatch: {
        reason: 'externalFunction',
        message: 'aws_lambda(): this engine has no way to call it',
      },
      actions: [],
      templates: [],
      errors: [
        {
          code: 'ExternalFunctionFailed',
          message: 'this engine has no way to call it',
          where: 'aws_lambda()',
        },
      ],
    })
  })

  test('shows the message of a republish action and the effect of delivery settings', async () => {
    const { url, store } = await startServer()
    const actions = [
      { kinesis },
      { republish: { roleArn, topic: '$$aws/rules/x/${device}', qos: 1 } },
    ]
    await store.create('r', parsePayload(rule("SELECT * FROM 'dt/+'", actions)), {})
    await store.setDelivery('r', { actions: { '0': { explicitHashKey: '${4 * 5}' } } })
    const { answer } = await evaluateAt(url, { ruleName: 'r', message })
    expect(answer).toMatchObject({
      actions: [
        {
          kinesis: {
            streamName: 'telemetry',
            partitionKey: 'd7',
            explicitHashKey: '20',
            hashKey: '20',
          },
        },
        { republish: { topic: '$aws/rules/x/d7', qos: 1 } },
      ],
      errors: [],
    })
  })

  test('says what a rule would send and where', async () => {
    const evaluate = await startEvaluating()
    const { status, answer } = await evaluate({
      topicRulePayload: rule("SELECT temp FROM 'dt/+' WHERE temp > 50", [{ kinesis }]),
      templates: ['${topic(2)}-${device}', 'constant', '${absent}'],
      message,
    })
    expect(status).toBe(200)
    expect(answer).toEqual({
      matched: true,
      where: expect.objectContaining({ text: 'temp > 50' }) as unknown,
      output: { temp: 61.5 },
      outputBase64: Buffer.from('{"temp":61.5}').toString('base64'),
      actions: [
        {
          kinesis: {
            streamName: 'telemetry',
            partitionKey: 'd7',
            hashKey: hashKeyOf('d7').toString(),
          },
        },
      ],
      templates: ['7-d7', 'constant', ''],
      errors: [],
    })
  })

  test.each([
    [
      'WHERE is not true',
      "SELECT * FROM 'dt/+' WHERE temp > 70",
      {
        reason: 'where',
        message: 'WHERE is false, not true',
        where: {
          text: 'temp > 70',
          line: 1,
          column: 28,
          value: { type: 'Boolean', json: 'false' },
          parts: [
            {
              text: 'temp',
              line: 1,
              column: 28,
              value: { type: 'Number', json: '61.5' },
              parts: [],
            },
          ],
        },
      },
    ],
    [
      'FROM does not match',
      "SELECT * FROM 'other/#'",
      { reason: 'topic', message: "the topic dt/7 does not match the filter 'other/#'" },
    ],
    [
      'there is no FROM',
      'SELECT *',
      {
        reason: 'topic',
        message: 'the statement has no FROM: messages reach it by Basic Ingest alone',
      },
    ],
  ])('does not match when %s, and says why', async (_name, sql, noMatch) => {
    const evaluate = await startEvaluating()
    const request = { topicRulePayload: rule(sql, [{ kinesis }]), message, templates: ['${temp}'] }
    const { answer } = await evaluate(request)
    const nothing = { matched: false, actions: [], templates: ['61.5'], errors: [] }
    expect(answer).toEqual({ ...nothing, noMatch })
  })

  test('gives a message a trace id, as one that arrives has', async () => {
    const evaluate = await startEvaluating()
    const given = rule("SELECT traceid() AS id FROM 'dt/+'", [])
    const { answer } = await evaluate({ topicRulePayload: given, message })
    expect(answer).toMatchObject({
      output: { id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string },
    })
  })

  test('keeps every digit of a number, in and out', async () => {
    const evaluate = await startEvaluating()
    const { text } = await evaluate(
      `{"topicRulePayload": {"sql": "SELECT n, m.k FROM 'a'", "actions": []},
        "message": {"topic": "a", "payload": {"n": 12345678901234567890, "m": {"k": 0.1234567890123456789}}}}`,
    )
    expect(text).toMatch(/"output":\{"n":12345678901234567890,"k":0\.1234567890123456789\}/)
  })

  test('keeps the exact text of a JSON payload under SELECT *', async () => {
    const evaluate = await startEvaluating()
    const payload = '{ "b" : 1.50, "a" : [ 1 ] }'
    const { text } = await evaluate(
      `{"topicRulePayload":{"sql":"SELECT * FROM 'a'","actions":[]},"message":{"payload": ${payload} ,"topic":"a"}}`,
    )
    expect(text).toContain(`"output":${payload},`)
    expect(text).toContain(`"outputBase64":"${Buffer.from(payload).toString('base64')}"`)
  })

  test('keeps bytes that are no JSON, and shows no output', async () => {
    const evaluate = await startEvaluating()
    const payloadBase64 = Buffer.from([0, 255, 128]).toString('base64')
    const { answer } = await evaluate({
      topicRulePayload: rule("SELECT * FROM 'a'"),
      message: { topic: 'a', payloadBase64 },
    })
    expect(answer).toEqual({
      matched: true,
      outputBase64: payloadBase64,
      actions: [],
      templates: [],
      errors: [],
    })
  })

  test('names the action that fails, and leaves the others', async () => {
    const evaluate = await startEvaluating()
    const actions = [{ kinesis: { ...kinesis, streamName: '${topic()}' } }, { kinesis }]
    const { answer } = await evaluate({
      topicRulePayload: rule("SELECT * FROM 'dt/+'", actions),
      message,
    })
    expect(answer).toMatchObject({
      matched: true,
      actions: [{ kinesis: { streamName: 'telemetry' } }],
      errors: [{ code: 'TemplateFailed', where: 'actions[0].kinesis.streamName' }],
    })
  })

  test('sets the time of the message and its sender', async () => {
    const evaluate = await startEvaluating()
    const topicRulePayload = rule("SELECT timestamp() AS at, clientid() AS by FROM 'dt/+'")
    const given = { ...message, timestamp: 1_600_000_000_000, clientId: 'c1' }
    expect((await evaluate({ topicRulePayload, message: given })).answer).toMatchObject({
      output: { at: 1_600_000_000_000, by: 'c1' },
    })
    expect((await evaluate({ topicRulePayload, message })).answer).toMatchObject({
      output: { at: 1_700_000_000_123 },
    })
  })

  test('tries a rule of the store, also one that is disabled', async () => {
    const { url } = await startServer()
    const off = { ...rule("SELECT temp FROM 'dt/+'"), ruleDisabled: true }
    await fetch(`${url}/rules/off`, { method: 'POST', body: JSON.stringify(off) })
    const { answer } = await evaluateAt(url, { ruleName: 'off', message })
    expect(answer).toMatchObject({ matched: true, output: { temp: 61.5 } })
  })

  test('reads a Basic Ingest topic as for the rule that is named', async () => {
    const evaluate = await startEvaluating()
    const topicRulePayload = rule('SELECT topic() AS topic')
    const given = { ...message, topic: '$aws/rules/mine/dt/7' }
    const named = await evaluate({ ruleName: 'mine', topicRulePayload, message: given })
    expect(named.answer).toMatchObject({ matched: true, output: { topic: 'dt/7' } })
    const other = await evaluate({ ruleName: 'other', topicRulePayload, message: given })
    expect(other.answer).toMatchObject({ matched: false })
    const unnamed = await evaluate({ topicRulePayload, message: given })
    expect(unnamed.answer).toMatchObject({ matched: false })
  })

  test('accepts topics that AWS itself publishes to', async () => {
    const evaluate = await startEvaluating()
    const topic = '$aws/things/t/shadow/update/accepted'
    const { answer } = await evaluate({
      topicRulePayload: rule("SELECT * FROM '$aws/things/+/shadow/update/accepted'"),
      message: { ...message, topic },
    })
    expect(answer).toMatchObject({ matched: true })
  })
})

describe('POST /v1/evaluate refuses', () => {
  const topicRulePayload = rule("SELECT * FROM 'dt/+'")
  const topic = 'dt/7'
  test.each<[string, string | object, string]>([
    ['no JSON', '{', 'not a JSON document'],
    ['an empty body', '', 'not a JSON document'],
    ['no message', { topicRulePayload }, 'message is missing'],
    ['no rule', { message }, 'topicRulePayload is missing; ruleName may stand in its place'],
    ['an unknown member', { topicRulePayload, message, sql: '' }, 'sql is not a known member'],
    ['a bad rule name', { ruleName: 'a-b', message }, 'ruleName must match'],
    ['a bad payload', { topicRulePayload: { sql: 'SELECT *' }, message }, 'actions is missing'],
    ['no payload', { topicRulePayload, message: { topic } }, 'message.payload is missing'],
    [
      'two payloads',
      { topicRulePayload, message: { ...message, payloadBase64: '' } },
      'message has both payload and payloadBase64',
    ],
    [
      'bad base64',
      { topicRulePayload, message: { topic, payloadBase64: 'a' } },
      'message.payloadBase64 is not base64',
    ],
    [
      'a large payload',
      { topicRulePayload, message: { topic, payload: 'x'.repeat(131_072) } },
      'the payload of message has 131074 bytes; at most 131072',
    ],
    ['a large body', 'x'.repeat(600_000), 'the body is larger than the 524288 bytes'],
    ['no topic', { topicRulePayload, message: { payload: 1 } }, 'message.topic is missing'],
    [
      'an empty topic',
      { topicRulePayload, message: { ...message, topic: '' } },
      'message.topic: the topic is empty',
    ],
    [
      'a wildcard',
      { topicRulePayload, message: { ...message, topic: 'a/#' } },
      'message.topic: a topic to publish to has no wildcards',
    ],
    [
      'a wildcard after $',
      { topicRulePayload, message: { ...message, topic: '$aws/+' } },
      'message.topic: a topic to publish to has no wildcards',
    ],
    [
      'an unknown qos',
      { topicRulePayload, message: { ...message, qos: 3 } },
      'message.qos must be one of 0, 1, 2',
    ],
    [
      'an unknown transport',
      { topicRulePayload, message: { ...message, transport: 'coap' } },
      'message.transport must be one of mqtt, http',
    ],
    [
      'a bad time',
      { topicRulePayload, message: { ...message, timestamp: 1.5 } },
      'message.timestamp must be an integer',
    ],
    [
      'a bad account',
      { topicRulePayload, message: { ...message, accountId: '1' } },
      'message.accountId must match',
    ],
    [
      'bad properties',
      { topicRulePayload, message: { ...message, mqtt5: { userProperties: [['a']] } } },
      'message.mqtt5.userProperties[0]',
    ],
    [
      'a line break in a property',
      { topicRulePayload, message: { ...message, mqtt5: { contentType: 'a\r\nb' } } },
      'message.mqtt5.contentType holds U+000D',
    ],
    [
      'NUL in a user property',
      { topicRulePayload, message: { ...message, mqtt5: { userProperties: [['a', '\0']] } } },
      'message.mqtt5.userProperties holds U+0000',
    ],
    [
      'bad correlation data',
      { topicRulePayload, message: { ...message, mqtt5: { correlationDataBase64: '*' } } },
      'message.mqtt5.correlationDataBase64 is not base64',
    ],
    [
      'a template of another type',
      { topicRulePayload, message, templates: [1] },
      'templates[0] must be a string',
    ],
    [
      'too many templates',
      { topicRulePayload, message, templates: Array.from({ length: 101 }, () => '') },
      'templates must have 100 entries or fewer',
    ],
  ])('%s, naming it', async (_name, body, told) => {
    const evaluate = await startEvaluating()
    const { status, errorType, answer } = await evaluate(body)
    expect([status, errorType]).toEqual([400, 'InvalidRequestException'])
    expect((answer as { message: string }).message.slice(0, told.length)).toBe(told)
  })

  test('a statement with line, column and caret', async () => {
    const evaluate = await startEvaluating()
    const { status, errorType, answer } = await evaluate({
      topicRulePayload: rule("SELECT *\nFRM 'a'"),
      message,
    })
    expect([status, errorType]).toEqual([400, 'SqlParseException'])
    expect(answer).toMatchObject({
      line: 2,
      message: expect.stringMatching(/\n {2}FRM 'a'\n {2}\^$/) as string,
    })
  })

  test('a template, by its place', async () => {
    const evaluate = await startEvaluating()
    const { errorType, answer } = await evaluate({
      topicRulePayload,
      message,
      templates: ['', '${'],
    })
    expect(errorType).toBe('SqlParseException')
    expect(answer).toMatchObject({ message: expect.stringMatching(/^templates\[1\]: /) as string })
  })

  test('a rule that is not there', async () => {
    const evaluate = await startEvaluating()
    const { status, errorType } = await evaluate({ ruleName: 'absent', message })
    expect([status, errorType]).toEqual([404, 'ResourceNotFoundException'])
  })
})
