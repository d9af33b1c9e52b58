import { expect, test } from 'vitest'
import type { Message } from '../../../src/message.ts'
import { parsePayload } from '../../../src/rules/payload.ts'
import { roleArn } from '../../rules/rule-fixtures.ts'
import { messageWith } from '../../helpers/messages.ts'
import {
  admin,
  arn,
  send,
  signed,
  startBroker,
  startGuarded,
  topicRulePayload,
  dataPlane,
} from '../guarded-server.ts'
import { absentClients } from '../http-fixtures.ts'
import type { Sent, TestKey } from '../guarded-server.ts'

/** What a key may do is what its policy says, read as the routes read a request. */
const reader: TestKey = {
  accessKeyId: 'READER',
  secretAccessKey: 'secret-of-the-reader',
  statement: [
    { Effect: 'Allow', Action: ['iot:Get*', 'iot:List*'], Resource: '*' },
    { Effect: 'Deny', Action: 'iot:GetTopicRule', Resource: arn('rule/hidden') },
    { Effect: 'Allow', Action: 'iot:Publish', Resource: arn('topic/mine/*') },
    { Effect: 'Allow', Action: 'sluice:Evaluate', Resource: arn('rule/r') },
    { Effect: 'Allow', Action: 'sluice:WatchMessages', Resource: '*' },
  ],
}

const user = 'User: arn:aws:iam::123456789012:user/READER is not authorized to perform: '
const allowedBy = (action: string) => `because no identity-based policy allows the ${action} action`

async function sendAsReader(request: Sent) {
  const { ingress, topics } = await startBroker()
  const { port } = await startGuarded({ keys: [reader, admin], dependencies: { broker: ingress } })
  const by = { key: reader, ...dataPlane(request.path ?? '') }
  return { topics, answer: await send(port, signed(port, request, by)) }
}

test.each([
  ['GET', '/rules'],
  ['HEAD', '/rules'],
  ['POST', '/topics/mine/a'],
  ['POST', '/topics/mine%2Fa'],
])('%s %s is allowed', async (method, path) => {
  expect((await sendAsReader({ method, path })).answer.status).toBe(200)
})

const denied: [string, string, string, Partial<Sent>?][] = [
  [
    'POST',
    '/rules/r',
    `iot:CreateTopicRule on resource: ${arn('rule/r')} ${allowedBy('iot:CreateTopicRule')}`,
  ],
  [
    'DELETE',
    '/rules/r',
    `iot:DeleteTopicRule on resource: ${arn('rule/r')} ${allowedBy('iot:DeleteTopicRule')}`,
  ],
  [
    'GET',
    '/rules/hidden',
    `iot:GetTopicRule on resource: ${arn('rule/hidden')} with an explicit deny in an identity-based policy`,
  ],
  [
    'GET',
    '/rules/h%69dden',
    `iot:GetTopicRule on resource: ${arn('rule/hidden')} with an explicit deny in an identity-based policy`,
  ],
  [
    'POST',
    '/topics/theirs',
    `iot:Publish on resource: ${arn('topic/theirs')} ${allowedBy('iot:Publish')}`,
  ],
  // Every spelling that the route takes for true.
  ...['true', 'True', 'TRUE', '1'].map((retain): [string, string, string] => [
    'POST',
    `/topics/mine/a?retain=${retain}`,
    `iot:RetainPublish on resource: ${arn('topic/mine/a')} ${allowedBy('iot:RetainPublish')}`,
  ]),
  ...['true', 'TRUE', '1'].map((payloads): [string, string, string] => [
    'GET',
    `/v1/events?payloads=${payloads}`,
    `sluice:ReadPayloads on resource: * ${allowedBy('sluice:ReadPayloads')}`,
  ]),
  [
    'GET',
    '/v1/openapi.json',
    `sluice:GetApiDocument on resource: * ${allowedBy('sluice:GetApiDocument')}`,
  ],
  ['GET', '/v1/metrics', `sluice:GetMetrics on resource: * ${allowedBy('sluice:GetMetrics')}`],
  [
    'POST',
    '/v1/evaluate',
    `sluice:Evaluate on resource: * ${allowedBy('sluice:Evaluate')}`,
    { body: JSON.stringify({ topicRulePayload, message: { topic: 'a', payload: 1 } }) },
  ],
]
test.each(denied)('%s %s is denied: %s', async (method, path, denial, given = {}) => {
  const { answer, topics } = await sendAsReader({ method, path, ...given })
  expect(topics).toEqual([])
  expect(answer).toMatchObject({
    status: 403,
    errorType: 'AccessDeniedException',
    message: `${user}${denial}`,
  })
})

test('a rule with tags takes the right to tag it', async () => {
  const maker: TestKey = {
    accessKeyId: 'MAKER',
    secretAccessKey: 'secret-of-the-maker',
    statement: { Effect: 'Allow', Action: 'iot:CreateTopicRule', Resource: '*' },
  }
  const { port, store } = await startGuarded({ keys: [maker] })
  const create = (path: string, headers: Readonly<Record<string, string>>) => {
    const body = JSON.stringify(topicRulePayload)
    return send(port, signed(port, { method: 'POST', path, body, headers }, { key: maker }))
  }
  expect(await create('/rules/tagged', { 'x-amz-tagging': 'a=b' })).toMatchObject({
    status: 403,
    errorType: 'AccessDeniedException',
    message:
      'User: arn:aws:iam::123456789012:user/MAKER is not authorized to perform: iot:TagResource ' +
      `on resource: ${arn('rule/tagged')} ${allowedBy('iot:TagResource')}`,
  })
  expect((await create('/rules/plain', { 'x-amz-tagging': '' })).status).toBe(200)
  expect(store.all().map(({ name }) => name)).toEqual(['plain'])
})

test('principal() of a message is the access key that signed it', async () => {
  const messages: Message[] = []
  const server = await startGuarded({
    dependencies: {
      broker: {
        publish: async (message) => void messages.push(message),
        retained: () => undefined,
        listRetained: () => [],
        ...absentClients,
      },
    },
  })
  const request = { method: 'POST', path: '/topics/t' }
  await send(server.port, signed(server.port, request, { service: 'iotdata' }))
  expect(messages).toMatchObject([{ principal: 'ADMIN', sourceIp: '127.0.0.1', transport: 'http' }])
})

const keyWith = (accessKeyId: string, Action: readonly string[]): TestKey => {
  const statement = { Effect: 'Allow', Action, Resource: '*' }
  return { accessKeyId, secretAccessKey: `secret-of-the-key-${accessKeyId}`, statement }
}

test('payloads are shown to those alone whose policy allows sluice:ReadPayloads', async () => {
  const list = ['sluice:ListDeadLetters', 'sluice:ListLabCalls', 'sluice:ListMappingBatches']
  const [one, other] = [keyWith('FIRST', list), keyWith('OTHER', [...list, 'sluice:ReadPayloads'])]
  const call = { at: '', ruleName: 'r', actionIndex: 0, kind: 'sqs', operation: 'SendMessage' }
  const calls = [{ ...call, parameters: { MessageBody: 'x' } }]
  const batch = {
    at: '',
    shardId: 's',
    records: 1,
    durationMs: 2,
    outcome: 'failed',
    givenUp: 0,
  } as const
  const server = await startGuarded({
    keys: [one, other],
    dependencies: {
      labCalls: { list: () => ({ calls, resumeToken: '1' }) as never },
      mappingBatches: () => [{ ...batch, reason: 'Error: no room for "x"' }],
    },
  })
  const failing = {
    kinesis: { roleArn, streamName: '${topic()}', partitionKey: 'k' },
  }
  await server.store.create(
    'r',
    parsePayload({ sql: "SELECT * FROM 'a/b'", actions: [failing] }),
    {},
  )
  await server.engine.ingest(messageWith({ payload: { n: 1 } }))
  const read = async (by: TestKey, path: string) =>
    JSON.parse(
      (await send(server.port, signed(server.port, { path }, { key: by }))).body,
    ) as unknown

  expect(await read(one, '/v1/lab/calls')).toEqual({
    calls: [{ ...call, parametersLeftOut: 'notAllowed' }],
    resumeToken: '1',
  })
  expect(await read(other, '/v1/lab/calls')).toEqual({ calls, resumeToken: '1' })
  const batches = '/v1/event-source-mappings/0a/batches'
  expect(await read(one, batches)).toEqual({
    batches: [{ ...batch, reasonLeftOut: 'notAllowed' }],
  })
  expect(await read(other, batches)).toMatchObject({
    batches: [{ reason: 'Error: no room for "x"' }],
  })
  const withheld = { dataLeftOut: 'notAllowed', origin: { payloadLeftOut: 'notAllowed' } }
  expect(await read(one, '/v1/dead-letters')).toMatchObject({ deadLetters: [withheld] })
  expect(JSON.stringify(await read(one, '/v1/dead-letters'))).not.toContain('Base64')
  const base64 = Buffer.from('{"n":1}').toString('base64')
  const shown = { dataBase64: base64, origin: { payloadBase64: base64 } }
  expect(await read(other, '/v1/dead-letters')).toMatchObject({ deadLetters: [shown] })
})
