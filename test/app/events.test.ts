import type { Action } from '@aws-sdk/client-iot'
import { expect, test } from 'vitest'
import { readEvents, startLab } from './lab-fixtures.ts'
import type { EventData } from './lab-fixtures.ts'

const role = 'arn:aws:iam::000000000000:role/any'
const text = expect.any(String) as string
const latency = expect.any(Number) as number

/** A lab, a way to create rules in it, and readers of its events. */
async function watchedLab() {
  const lab = await startLab()
  const create = (ruleName: string, sql: string, actions: Action[]) =>
    lab.createRule(ruleName, { sql, actions, awsIotSqlVersion: '2016-03-23' })
  const { client } = await lab.connect('pump')
  const publish = (topic: string, payload: string) =>
    client.publishAsync(topic, payload, { qos: 1 })
  const read = async (query = '') => readEvents(await fetch(`${lab.url}/v1/events${query}`))
  return { ...lab, create, publish, read }
}

const kinesis = (members: object = {}): Action => ({
  kinesis: { streamName: 'hot', partitionKey: '${clientid()}', roleArn: role, ...members },
})

test('the path of a message, from its rules to the sequence number', async () => {
  const { url, create, publish, read } = await watchedLab()
  await create('cold', "SELECT * FROM 'dt/+/t' WHERE temp < 10 AND room = 'x'", [kinesis()])
  await create('hot', "SELECT * FROM 'dt/+/t' WHERE temp > 50", [kinesis()])
  const { next } = await read()
  await publish('dt/1/t', '{"temp": 61.5}')
  const message = await next()
  expect(message).toEqual([
    'message',
    {
      messageId: text,
      at: text,
      topic: 'dt/1/t',
      clientId: 'pump',
      qos: 1,
      bytes: 14,
      rules: [
        {
          ruleName: 'hot',
          matched: true,
          actions: [{ kind: 'kinesis', actionIndex: 0, partitionKey: 'pump', state: 'queued' }],
        },
        {
          ruleName: 'cold',
          matched: false,
          because:
            'temp < 10 is false (temp is 61.5); ' +
            "room = 'x' is Undefined (the payload has no member room)",
          actions: [],
        },
      ],
    },
  ])
  const { messageId } = message?.[1] ?? {}
  expect(await next()).toEqual(['durable', { messageId, latencyMs: latency }])
  const delivered = {
    messageId,
    latencyMs: latency,
    ruleName: 'hot',
    actionIndex: 0,
    kind: 'kinesis',
    destination: 'hot',
    shardId: expect.stringMatching(/^shardId-\d{12}$/) as string,
    sequenceNumber: expect.stringMatching(/^\d{56}$/) as string,
    callRecords: 1,
  }
  expect(await next()).toEqual(['delivered', delivered])
  const trace = (await (
    await fetch(`${url}/v1/trace?messageId=${String(messageId)}`)
  ).json()) as EventData
  expect(trace).toEqual({
    message: message?.[1],
    durable: { messageId, latencyMs: latency },
    records: [delivered],
  })
})

test('a failed action, a message that no rule wants, and what is left out by a filter', async () => {
  const { create, publish, read } = await watchedLab()
  await create('broken', "SELECT * FROM 'a/#'", [kinesis({ streamName: '${topic()}' })])
  const all = await read()
  const filtered = await read('?topic=b&client=pump&payloads=true')
  await publish('a/x', '{}')
  await publish('b', 'x')
  expect(await all.next()).toMatchObject([
    'message',
    {
      topic: 'a/x',
      rules: [
        {
          ruleName: 'broken',
          matched: true,
          actions: [
            {
              state: 'failed',
              reason: expect.stringContaining('"a/x" is not a stream name') as string,
            },
          ],
        },
      ],
    },
  ])
  const ofB = ['message', expect.objectContaining({ topic: 'b', rules: [], payload: 'x' })]
  expect(await filtered.next()).toEqual(ofB)
})

test('a republished message follows the one that it comes from', async () => {
  const { create, publish, read } = await watchedLab()
  await create('again', "SELECT * FROM 'a'", [{ republish: { topic: 'b', roleArn: role } }])
  await create('hot', "SELECT * FROM 'b'", [kinesis()])
  const { next } = await read()
  await publish('a', '{}')
  expect(await next()).toMatchObject([
    'message',
    { topic: 'a', rules: [{ actions: [{ kind: 'republish', state: 'republished' }] }] },
  ])
  expect(await next()).toMatchObject(['message', { topic: 'b', rules: [{ ruleName: 'hot' }] }])
})

test('streams end when the lab stops; a trace of an unseen message says when paths are kept', async () => {
  const { url, restart, read } = await watchedLab()
  const answer = await fetch(`${url}/v1/trace?messageId=unseen`)
  expect([answer.status, await answer.json()]).toEqual([
    404,
    { message: expect.stringContaining('GET /v1/events') as string },
  ])
  const { next } = await read()
  const ended = (async () => {
    while ((await next()) !== undefined);
  })()
  await restart()
  await ended
})
