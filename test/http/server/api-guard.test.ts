import { createHash } from 'node:crypto'
import {
  CreateTopicRuleCommand,
  GetTopicRuleCommand,
  ListTagsForResourceCommand,
  ListTopicRulesCommand,
  TagResourceCommand,
} from '@aws-sdk/client-iot'
import {
  DeleteConnectionCommand,
  GetRetainedMessageCommand,
  ListRetainedMessagesCommand,
  PublishCommand,
} from '@aws-sdk/client-iot-data-plane'
import { describe, expect, test } from 'vitest'
import {
  admin,
  arn,
  bygone,
  clientsOf,
  dataPlane,
  send,
  session,
  signed,
  startBroker,
  startGuarded,
  topicRulePayload,
} from '../guarded-server.ts'
import { absentClients } from '../http-fixtures.ts'
import type { Sent, Signer } from '../guarded-server.ts'

describe("AWS's own clients are let in", () => {
  test.each([admin, session])('to the control plane: $accessKeyId', async (key) => {
    const { iot } = clientsOf(await startGuarded(), key)
    const tags = 'team=plant&site=north%2F2'
    await iot.send(new CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload, tags }))
    expect((await iot.send(new GetTopicRuleCommand({ ruleName: 'r' }))).ruleArn).toBe(arn('rule/r'))
    const page = { topic: 'a', maxResults: 5 }
    expect((await iot.send(new ListTopicRulesCommand(page))).rules).toHaveLength(1)
    const resourceArn = arn('rule/r')
    const added = [{ Key: 'ü +', Value: '=' }]
    await iot.send(new TagResourceCommand({ resourceArn, tags: added }))
    const listed = await iot.send(new ListTagsForResourceCommand({ resourceArn }))
    expect(listed.tags).toHaveLength(3)
  })

  test.each(['a/b', 'a b', 'a%2Fb', 'ä/温度', '/a//b/', "a!'()*~&=?c", 'a/../b'])(
    'to the data plane, topic %s',
    async (topic) => {
      const { ingress, topics } = await startBroker()
      const server = await startGuarded({ dependencies: { broker: ingress } })
      const { iotData } = clientsOf(server, admin)
      const payload = Buffer.from([0, 255, 1])
      await iotData.send(
        new PublishCommand({
          topic,
          qos: 1,
          retain: true,
          payload,
          contentType: 'a/b; c',
          userProperties: '[{"a": "1"}]',
        }),
      )
      expect(topics).toEqual([topic])
      const retained = await iotData.send(new GetRetainedMessageCommand({ topic }))
      expect(Buffer.from(retained.payload ?? [])).toEqual(payload)
      const listed = await iotData.send(new ListRetainedMessagesCommand({ maxResults: 1 }))
      expect(listed.retainedTopics?.[0]?.topic).toBe(topic)
      await expect(
        iotData.send(new DeleteConnectionCommand({ clientId: 'c/1 ä' })),
      ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
    },
  )
})

test('a topic that the broker refuses has come through the guard', async () => {
  const { ingress } = await startBroker()
  const { iotData } = clientsOf(await startGuarded({ dependencies: { broker: ingress } }), admin)
  await expect(iotData.send(new PublishCommand({ topic: 'a/+/#' }))).rejects.toMatchObject({
    name: 'InvalidRequestException',
  })
})

describe('a request with a wrong signature is refused', () => {
  const body = JSON.stringify(topicRulePayload)
  const create: Sent = { method: 'POST', path: '/rules/r', body }
  const hash = createHash('sha256').update(body).digest('hex')
  const signature = 'InvalidSignatureException'
  const cases: [string, Sent, Signer, string | undefined, ((sent: Sent) => Sent)?][] = [
    ['nothing wrong', create, {}, undefined],
    ['hash of the body', { ...create, headers: { 'x-amz-content-sha256': hash } }, {}, undefined],
    ['an unused header that is not signed', create, {}, undefined, withHeader('x-other', '1')],
    [
      'another secret',
      create,
      { key: { ...admin, secretAccessKey: 'secret-of-another' } },
      signature,
    ],
    [
      'an unknown key',
      create,
      { key: { ...admin, accessKeyId: 'NOBODY' } },
      'UnrecognizedClientException',
    ],
    ['an expired key', create, { key: bygone }, 'ExpiredTokenException'],
    ['no session token', create, { key: session }, 'UnrecognizedClientException'],
    [
      'another session token',
      { ...create, headers: { 'x-amz-security-token': 'another-token-of-it' } },
      { key: session },
      'UnrecognizedClientException',
    ],
    ['six minutes ago', create, { ageMs: 360_000 }, signature],
    ['six minutes ahead', create, { ageMs: -360_000 }, signature],
    ['four minutes ago', create, { ageMs: 240_000 }, undefined],
    ['another service', create, { service: 'iotdata' }, signature],
    ['another region', create, { region: 'us-east-1' }, signature],
    [
      'another body',
      create,
      {},
      signature,
      (sent) => ({ ...sent, body: body.replace('"k"', '"l"') }),
    ],
    ['another path', create, {}, signature, (sent) => ({ ...sent, path: '/rules/s' })],
    ...['/rules//r', '//rules/r', '/rules/./r', '/rules/x/../r', '/x/%2E%2E/rules/r'].map(
      (path): [string, Sent, Signer, string, (sent: Sent) => Sent] => [
        `sent to ${path}`,
        create,
        {},
        signature,
        (sent) => ({ ...sent, path }),
      ],
    ),
    ['another method', create, {}, signature, (sent) => ({ ...sent, method: 'PATCH' })],
    ['a query beside', create, {}, signature, (sent) => ({ ...sent, path: '/rules/r?x=1' })],
    ['tags beside', create, {}, signature, withHeader('x-amz-tagging', 'a=b')],
    ['another host', create, {}, signature, withHeader('host', 'elsewhere.example')],
    ['a host that is not signed', create, { signedHeaders: ['x-amz-date'] }, signature],
    [
      'UNSIGNED-PAYLOAD',
      { ...create, headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
      {},
      signature,
    ],
    [
      'no signature',
      create,
      {},
      'MissingAuthenticationTokenException',
      (sent) => ({ ...sent, headers: {} }),
    ],
    [
      'Basic',
      create,
      {},
      'IncompleteSignatureException',
      withHeader('authorization', 'Basic YTpi'),
    ],
    [
      'a part missing',
      create,
      {},
      'IncompleteSignatureException',
      withHeader('authorization', 'AWS4-HMAC-SHA256 Credential=ADMIN/20260101/r/iot/aws4_request'),
    ],
  ]
  test.each(cases)('%s', async (_name, request, by, code, change = (sent) => sent) => {
    const { port, store } = await startGuarded()
    const answer = await send(port, change(signed(port, request, by)))
    expect([answer.status, answer.errorType]).toEqual([code === undefined ? 200 : 403, code])
    expect(store.all()).toHaveLength(code === undefined ? 1 : 0)
  })

  test('/v1 is signed as `iot`, the data plane as `iotdata`', async () => {
    const { port } = await startGuarded()
    for (const [path, service, status] of [
      ['/v1/outbox', 'iot', 200],
      ['/v1/outbox', 'iotdata', 403],
      ['/retainedMessage', 'iotdata', 200],
      ['/retainedMessage', 'iot', 403],
      ['/connections/c', 'iot', 403],
    ] as const) {
      const method = path === '/connections/c' ? 'DELETE' : 'GET'
      const answer = await send(port, signed(port, { path, method }, { service }))
      expect([path, service, answer.status]).toEqual([path, service, status])
    }
  })
})

describe('a client that is not authenticated learns nothing', () => {
  const paths: [string, string][] = [
    ['GET', '/rules'],
    ['GET', '/rules/there'],
    ['GET', '/rules/absent'],
    ['PUT', '/rules/there'],
    ['DELETE', '/v1/health'],
    ['GET', '/nowhere'],
    ['POST', '/nowhere'],
    ['POST', '/v1/evaluate'],
    ['GET', '/rules?maxResults=none'],
    ['GET', '/v1/metrics'],
    ['OPTIONS', '/rules'],
    ['PROPFIND', '/rules'],
    ['GET', '/v1/docs'],
    ['GET', '/v1/openapi.json'],
  ]
  test.each(paths)('%s %s', async (method, path) => {
    const { port } = await startGuarded()
    const unsigned = await send(port, { method, path })
    expect(unsigned).toMatchObject({
      status: 403,
      errorType: 'MissingAuthenticationTokenException',
      message: 'Request is missing Authentication Token',
    })
    const wrong = { ...admin, secretAccessKey: 'secret-of-another' }
    const forged = await send(
      port,
      signed(port, { method, path }, { key: wrong, ...dataPlane(path) }),
    )
    expect(forged).toMatchObject({ status: 403, errorType: 'InvalidSignatureException' })
  })

  test.each([
    ['GET', '/nowhere', 'iot', 404],
    ['GET', '/jobs', 'iot', 400],
    ['GET', '/things/t/nothing', 'iotdata', 404],
    ['PUT', '/rules/r', 'iot', 405],
    ['DELETE', '/v1/health', 'iot', 405],
    ['GET', '/rules?maxResults=none', 'iot', 400],
  ])('an authenticated client does: %s %s as %s: %i', async (method, path, service, status) => {
    const { port } = await startGuarded({
      keys: [{ ...admin, statement: { Effect: 'Allow', Action: 'iot:Nothing', Resource: '*' } }],
    })
    const answer = await send(port, signed(port, { method, path }, { service }))
    expect(answer.status).toBe(status)
  })

  test('the body of a request with an unknown key is not read', async () => {
    const { port } = await startGuarded()
    const key = { ...admin, accessKeyId: 'NOBODY' }
    const path = '/rules/r'
    const body = 'x'.repeat(1_000_000)
    const answer = await send(port, signed(port, { method: 'POST', path, body }, { key }))
    expect(answer.errorType).toBe('UnrecognizedClientException')
  })

  test('health is open to all', async () => {
    const { port } = await startGuarded()
    expect(await send(port, { path: '/v1/health' })).toMatchObject({ status: 200 })
    expect(await send(port, { path: '/v1/health', method: 'HEAD' })).toMatchObject({ status: 200 })
    const headers = { host: 'any.example', origin: 'http://other.example' }
    expect(await send(port, { path: '/v1/health', headers })).toMatchObject({ status: 200 })
  })
})

describe('GET /v1/metrics', () => {
  const metricsToken = 'token-of-prometheus'

  test('is all that the bearer of the token may read', async () => {
    const { port } = await startGuarded({ metricsToken, keys: [] })
    expect(await send(port, bearer(metricsToken))).toMatchObject({ status: 200 })
    expect(await send(port, bearer('token-of-another'))).toMatchObject({
      status: 403,
      errorType: 'AccessDeniedException',
    })
    expect(await send(port, bearer(metricsToken, '/rules'))).toMatchObject({ status: 403 })
    expect(await send(port, { path: '/v1/metrics' })).toMatchObject({ status: 403 })
  })

  test('is answered to a key whose policy allows it, also without a token', async () => {
    const { port } = await startGuarded()
    expect(await send(port, signed(port, { path: '/v1/metrics' }))).toMatchObject({ status: 200 })
    expect(await send(port, bearer(metricsToken))).toMatchObject({ status: 403 })
  })
})

describe('without any key', () => {
  test.each(['/rules', '/nowhere', '/v1/outbox'])('%s says how to make a key', async (path) => {
    const { port } = await startGuarded({ keys: [] })
    for (const request of [{ path }, signed(port, { path })]) {
      expect(await send(port, request)).toMatchObject({
        status: 403,
        errorType: 'AccessDeniedException',
        message: expect.stringContaining('sluice keys create') as string,
      })
    }
    expect(await send(port, { path: '/v1/health' })).toMatchObject({ status: 200 })
  })
})

describe('secrets', () => {
  test('reach no log line, whatever fails', async () => {
    const server = await startGuarded({
      metricsToken: 'token-of-prometheus',
      dependencies: {
        health: () => {
          throw new Error('failing')
        },
        broker: {
          publish: () => Promise.reject(new Error('failing')),
          retained: () => undefined,
          listRetained: () => [],
          ...absentClients,
          disconnect: () => Promise.reject(new Error('failing')),
        },
      },
    })
    const { port, serverLog } = server
    const { iotData } = clientsOf(server, session)
    const failed = { $metadata: { httpStatusCode: 500 } }
    await expect(iotData.send(new PublishCommand({ topic: 'a' }))).rejects.toMatchObject(failed)
    await expect(
      iotData.send(new DeleteConnectionCommand({ clientId: 'c' })),
    ).rejects.toMatchObject(failed)
    const headers = {
      authorization: 'Bearer token-of-prometheus',
      'x-amz-security-token': 'token-of-the-session',
      cookie: 'secret-of-the-cookie',
    }
    const path = '/v1/health?X-Amz-Security-Token=token-of-the-session&X-Amz-Signature=secret-of'
    await send(port, { path, headers })
    await send(port, { path: '/v1/metrics', headers })
    await send(
      port,
      signed(port, { path }, { key: { ...admin, secretAccessKey: 'secret-of-no-one' } }),
    )
    expect(serverLog.filter(({ level }) => level === 'error').length).toBeGreaterThanOrEqual(3)
    const log = JSON.stringify(serverLog)
    expect(log).not.toMatch(/secret-of|token-of|Signature=|Bearer/)
  })
})

function withHeader(name: string, value: string) {
  return (sent: Sent): Sent => ({ ...sent, headers: { ...sent.headers, [name]: value } })
}

const bearer = (token: string, path = '/v1/metrics'): Sent => ({
  path,
  headers: { authorization: `Bearer ${token}` },
})
