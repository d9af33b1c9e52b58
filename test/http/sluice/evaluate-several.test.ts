import { Buffer } from 'node:buffer'
import { KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis'
import { expect, onTestFinished, test } from 'vitest'
import { parsePayload } from '../../../src/rules/payload.ts'
import { startLab } from '../../app/lab-fixtures.ts'
import { roleArn } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const rule = (sql: string, actions: object[] = []) => ({
  sql,
  actions,
  awsIotSqlVersion: '2016-03-23',
})
const kinesis = { roleArn, streamName: 'telemetry', partitionKey: '${k}' }

async function evaluateAt(url: string, body: string | object) {
  const sent = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await fetch(`${url}/v1/evaluate`, { method: 'POST', body: Buffer.from(sent) })
  const text = await answer.text()
  return { status: answer.status, text, answer: JSON.parse(text) as Record<string, unknown> }
}

test('several messages are tried in their order, each payload as it was written', async () => {
  const { url } = await startServer()
  const { text, answer } = await evaluateAt(
    url,
    `{"topicRulePayload": ${JSON.stringify(rule("SELECT n FROM 'a/#' WHERE n > 1"))},
      "messages": [{"topic": "a/1", "payload": {"n": 12345678901234567890}},
                   {"topic": "a/2", "payload": {"n": 1}},
                   {"topic": "b", "payload": {"n": 2}},
                   {"topic": "a/3", "payloadBase64": "eyJuIjogM30="}]}`,
  )
  expect(answer).toMatchObject({
    evaluations: [
      { matched: true },
      { matched: false, noMatch: { reason: 'where' } },
      { matched: false, noMatch: { reason: 'topic' } },
      { matched: true, output: { n: 3 } },
    ],
  })
  expect(text).toContain('"output":{"n":12345678901234567890}')
})

test('several messages give the same at each try, and call no function', async () => {
  const { url } = await startServer()
  const topicRulePayload = rule(
    "SELECT newuuid() AS u, newuuid() AS v, rand() AS r, traceid() AS t FROM 'a'",
    [{ kinesis: { ...kinesis, partitionKey: '${newuuid()}' } }],
  )
  const message = { topic: 'a', payload: {}, traceId: 'one', timestamp: 1_700_000_000_000 }
  const body = { topicRulePayload, messages: [message, { ...message, traceId: 'two' }] }
  const first = await evaluateAt(url, body)
  expect((await evaluateAt(url, body)).text).toBe(first.text)
  const { evaluations } = first.answer as { evaluations: { output: Record<string, unknown> }[] }
  const [one, two] = evaluations.map(({ output }) => output)
  expect(one?.['u']).not.toBe(one?.['v'])
  expect(one?.['r']).toBeGreaterThan(0)
  expect(two).toEqual({ ...one, t: 'two' })
  const calls = await evaluateAt(url, {
    topicRulePayload: rule("SELECT aws_lambda('f', *) AS v FROM 'a'"),
    messages: [message],
  })
  expect(calls.answer).toMatchObject({
    evaluations: [
      {
        matched: false,
        noMatch: {
          reason: 'externalFunction',
          message: 'aws_lambda(): aws_lambda is not called when several messages are tried at once',
        },
      },
    ],
  })
})

const refused: readonly (readonly [string, object, string])[] = [
  ['a message and messages', { message: { topic: 'a', payload: 1 } }, 'give message or messages'],
  ['no message', { messages: [] }, 'messages must not have fewer than 1 items'],
  [
    'too many messages',
    { messages: Array.from({ length: 101 }, () => ({ topic: 'a', payload: 1 })) },
    'messages must have 100 entries or fewer',
  ],
  [
    'a message without payload',
    { messages: [{ topic: 'a', payload: 1 }, { topic: 'a' }] },
    'messages[1].payload is missing',
  ],
]

test('what cannot be several messages is refused, with the reason', async () => {
  const { url } = await startServer()
  const given = {
    topicRulePayload: rule("SELECT * FROM 'a'"),
    messages: [{ topic: 'a', payload: 1 }],
  }
  for (const [name, body, told] of refused) {
    const { status, answer } = await evaluateAt(url, { ...given, ...body })
    const message = expect.stringContaining(told) as string
    expect([name, status, answer['message']]).toEqual([name, 400, message])
  }
})

test('a payload for a rule of the store is tried with the delivery settings of that rule', async () => {
  const { url, store } = await startServer()
  await store.create('r', parsePayload(rule("SELECT * FROM 'a'", [{ kinesis }])), {})
  await store.setDelivery('r', { actions: { '0': { explicitHashKey: '7' } } })
  const topicRulePayload = rule("SELECT k FROM 'a'", [{ kinesis }])
  const message = { topic: 'a', payload: { k: 'key' } }
  const { answer } = await evaluateAt(url, { ruleName: 'r', topicRulePayload, message })
  expect(answer['actions']).toMatchObject([{ kinesis: { partitionKey: 'key', hashKey: '7' } }])
})

test('the properties of a message that is republished are shown', async () => {
  const { url } = await startServer()
  const headers = { contentType: 'text/plain', userProperties: [{ key: 'a', value: '${k}' }] }
  const { answer } = await evaluateAt(url, {
    topicRulePayload: rule("SELECT * FROM 'a'", [
      { republish: { roleArn, topic: 'b', headers: { ...headers, correlationData: 'Yw==' } } },
    ]),
    message: { topic: 'a', payload: { k: 'v' } },
  })
  expect(answer['actions']).toEqual([
    {
      republish: {
        topic: 'b',
        qos: 0,
        mqtt5: {
          contentType: 'text/plain',
          correlationDataBase64: 'Yw==',
          userProperties: [['a', 'v']],
        },
      },
    },
  ])
})

test('in a lab the predicted shard is the one that PutRecord answers', async () => {
  const { url, kinesisUrl, createRule } = await startLab()
  const payload = {
    sql: "SELECT * FROM 'a'",
    actions: [{ kinesis: { streamName: 'orders', partitionKey: '${k}', roleArn } }],
  }
  await createRule('orders', payload)
  const client = new KinesisClient({
    endpoint: kinesisUrl,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  })
  onTestFinished(() => client.destroy())
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'über', '\u{1f600}']
  const { answer } = await evaluateAt(url, {
    ruleName: 'orders',
    messages: keys.map((k) => ({ topic: 'a', payload: { k } })),
  })
  const { evaluations } = answer as { evaluations: { actions: { kinesis: object }[] }[] }
  const put = async (PartitionKey: string) => {
    const record = { StreamName: 'orders', PartitionKey, Data: Buffer.from('x') }
    return (await client.send(new PutRecordCommand(record))).ShardId
  }
  const answered: unknown[] = []
  for (const key of keys) answered.push(await put(key))
  expect(new Set(answered).size).toBeGreaterThan(2)
  expect(evaluations.map(({ actions: [action] }) => action?.kinesis)).toMatchObject(
    answered.map((shardId) => ({ shardId })),
  )
  const absent = await evaluateAt(url, {
    topicRulePayload: {
      ...payload,
      actions: [{ kinesis: { streamName: '${k}-x', partitionKey: 'k', roleArn } }],
    },
    message: { topic: 'a', payload: { k: 'no-such-stream' } },
  })
  const [action] = absent.answer['actions'] as { kinesis: object }[]
  expect(action?.kinesis).toMatchObject({ streamName: 'no-such-stream-x' })
  expect(action?.kinesis).not.toHaveProperty('shardId')
})
