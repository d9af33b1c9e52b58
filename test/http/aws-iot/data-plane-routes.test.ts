import {
  DeleteConnectionCommand,
  GetRetainedMessageCommand,
  ListRetainedMessagesCommand,
  PublishCommand,
  paginateListRetainedMessages,
} from '@aws-sdk/client-iot-data-plane'
import { connectAsync } from 'mqtt'
import { describe, expect, test, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createTrustedProxies } from '../../../src/base/trusted-proxies.ts'
import { SluiceError } from '../../../src/base/errors.ts'
import { createIngress } from '../../../src/ingress/ingress.ts'
import type { Message, MessageSender } from '../../../src/message.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { startServer } from '../http-fixtures.ts'

/** The HTTP server on a real broker; what rules would see is collected. */
async function serverWithBroker(
  ingest: (message: Message, sender?: MessageSender) => Promise<void> = async () => {},
  proxies = createTrustedProxies([]),
) {
  const ingested: Message[] = []
  const ingress = await createIngress({
    ingest(message, sender) {
      ingested.push(message)
      return ingest(message, sender)
    },
    logger: createMemoryLogger(() => undefined),
    metrics: createMetrics(),
    clock: systemClock,
  })
  const { port: mqttPort } = await ingress.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => ingress.close())
  const clock = { ...createManualClock(), wallMs: () => 1_700_000_000_123 }
  const server = await startServer({ dependencies: { broker: ingress, clock, proxies } })
  return { ...server, clock, ingested, mqttPort }
}

const encode = (text: string) => Buffer.from(text)
const retain = (topic: string, text = 'x') =>
  new PublishCommand({ topic, retain: true, qos: 1, payload: encode(text) })

const propertiesOf = (properties: object) =>
  Buffer.from(JSON.stringify([properties])).toString('base64')

describe('Publish', () => {
  test.each([
    ['a trusted proxy', ['127.0.0.1'], '192.0.2.1'],
    ['anybody else', [], '127.0.0.1'],
  ])('X-Forwarded-For of %s', async (_, trusted, sourceIp) => {
    const { url, ingested } = await serverWithBroker(undefined, createTrustedProxies(trusted))
    const headers = { 'x-forwarded-for': '192.0.2.1' }
    const { status } = await fetch(`${url}/topics/a`, { method: 'POST', headers, body: 'x' })
    expect([status, ingested]).toEqual([200, [expect.objectContaining({ sourceIp })]])
  })

  test('goes through rules and to subscribers', async () => {
    const { iotData, ingested, mqttPort } = await serverWithBroker()
    const subscriber = await connectAsync({ port: mqttPort, protocolVersion: 4 })
    onTestFinished(() => subscriber.endAsync())
    await subscriber.subscribeAsync('a/+', { qos: 1 })
    const received = new Promise((resolve) => {
      subscriber.once('message', (topic, payload) => resolve([topic, payload]))
    })
    await iotData.send(new PublishCommand({ topic: 'a/b c', qos: 1, payload: encode('x') }))
    expect(ingested).toMatchObject([
      {
        topic: 'a/b c',
        payload: encode('x'),
        qos: 1,
        retain: false,
        transport: 'http',
        sourceIp: '127.0.0.1',
        timestampMs: 1_700_000_000_123,
      },
    ])
    expect(ingested[0]).not.toHaveProperty('clientId')
    expect(await received).toEqual(['a/b c', encode('x')])
  })

  test('carries the properties of MQTT 5', async () => {
    const { iotData, ingested } = await serverWithBroker()
    await iotData.send(
      new PublishCommand({
        topic: 't',
        contentType: 'text/plain',
        responseTopic: 'answers/1',
        messageExpiry: 60,
        payloadFormatIndicator: 'UTF8_DATA',
        correlationData: 'aWQ=',
        userProperties: JSON.stringify([{ a: '1' }, { a: '2' }, { b: '3' }]),
      }),
    )
    expect(ingested[0]?.mqtt5).toEqual({
      contentType: 'text/plain',
      responseTopic: 'answers/1',
      messageExpirySeconds: 60,
      payloadFormatIndicator: 1,
      correlationData: encode('id'),
      userProperties: [
        ['a', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
    })
  })

  test.each([
    ['a%2Fb', 'a/b'],
    ['a/b', 'a/b'],
    ['/a//b/', '/a//b/'],
    ['%2Fa', '/a'],
    ['100%25', '100%'],
    ['a?qos=1', 'a'],
  ])('/topics/%s publishes to %s', async (path, topic) => {
    const { url, ingested } = await serverWithBroker()
    const answer = await fetch(`${url}/topics/${path}`, { method: 'POST', body: 'x' })
    expect([answer.status, ingested.map((message) => message.topic)]).toEqual([200, [topic]])
    expect(await answer.json()).toEqual({
      message: 'OK',
      traceId: answer.headers.get('x-amzn-requestid'),
    })
  })

  test('without a body has an empty payload', async () => {
    const { iotData, ingested } = await serverWithBroker()
    await iotData.send(new PublishCommand({ topic: 't' }))
    expect(ingested).toMatchObject([{ payload: Buffer.alloc(0), qos: 0 }])
  })

  test('is Basic Ingest on its topics', async () => {
    const { iotData, ingested } = await serverWithBroker()
    await iotData.send(new PublishCommand({ topic: '$aws/rules/r/x/y' }))
    expect(ingested).toMatchObject([{ topic: 'x/y', basicIngestRule: 'r' }])
  })

  test.each<[string, string, RequestInit, number, RegExp]>([
    ['a wildcard', 'a/%23', {}, 400, /no wildcards/],
    ['no topic', '', {}, 400, /the topic is empty/],
    ['a topic of the broker', '$SYS/x', {}, 400, /begin with \$/],
    ['bad URL encoding', '%E0%A4%A', {}, 400, /./],
    ['QoS 2', 't?qos=2', {}, 400, /qos must be 1 or less/],
    ['a flag that is none', 't?retain=maybe', {}, 400, /retain must be a boolean/],
    ['an expiry that is none', 't?messageExpiry=-1', {}, 400, /messageExpiry must be 0 or more/],
    ['128 KiB and a byte', 't', { body: Buffer.alloc(131_073) }, 400, /131072 bytes/],
    [
      'an unknown format indicator',
      't',
      { headers: { 'x-amz-mqtt5-payload-format-indicator': 'BYTES' } },
      400,
      /payloadFormatIndicator: "BYTES" is neither/,
    ],
    [
      'correlation data that is no base64',
      't',
      { headers: { 'x-amz-mqtt5-correlation-data': '*' } },
      400,
      /correlationData: not base64/,
    ],
    [
      'user properties that are no list',
      't',
      { headers: { 'x-amz-mqtt5-user-properties': Buffer.from('{}').toString('base64') } },
      400,
      /x-amz-mqtt5-user-properties is not base64 of a JSON array/,
    ],
    ['a line break in a property', 't?contentType=a%0D%0Ab', {}, 400, /^contentType holds U\+000D/],
    ['NUL in a property', 't?contentType=a%00b', {}, 400, /^contentType holds U\+0000/],
    ['ESC in a property', 't?responseTopic=a%1Bb', {}, 400, /^responseTopic holds U\+001B/],
    ['a control of C1', 't?contentType=a%C2%85', {}, 400, /^contentType holds U\+0085/],
    [
      'a line break in a user property',
      't',
      { headers: { 'x-amz-mqtt5-user-properties': propertiesOf({ a: 'x\ny' }) } },
      400,
      /^x-amz-mqtt5-user-properties: a property holds U\+000A/,
    ],
    [
      'a lone surrogate in the name of a user property',
      't',
      { headers: { 'x-amz-mqtt5-user-properties': propertiesOf({ '\ud800': 'x' }) } },
      400,
      /^x-amz-mqtt5-user-properties: a property holds U\+D800/,
    ],
    [
      'user properties that are not UTF-8',
      't',
      {
        headers: {
          'x-amz-mqtt5-user-properties': Buffer.from('[{"a":"\xff"}]', 'latin1').toString('base64'),
        },
      },
      400,
      /x-amz-mqtt5-user-properties is not base64 of a JSON array/,
    ],
    [
      '8 KiB and a byte of user properties',
      't',
      {
        headers: {
          'x-amz-mqtt5-user-properties': propertiesOf({
            a: 'x'.repeat(4_095),
            b: 'x'.repeat(4_096),
          }),
        },
      },
      400,
      /^userProperties: 8193 bytes of user properties are too many/,
    ],
    ['a long content type', `t?contentType=${'x'.repeat(257)}`, {}, 400, /^contentType: over 256/],
    ['a response topic with a wildcard', 't?responseTopic=a/%2B', {}, 400, /^responseTopic: "a/],
    ['another method', 't', { method: 'PUT' }, 405, /PUT is not a method of this path/],
  ])('with %s is refused', async (_what, path, init, status, message) => {
    const { url, ingested } = await serverWithBroker()
    const answer = await fetch(`${url}/topics/${path}`, { method: 'POST', ...init })
    const body = (await answer.json()) as { message: string }
    expect([answer.status, body.message]).toEqual([status, expect.stringMatching(message)])
    expect(ingested).toEqual([])
  })

  test('is answered 503 after waiting 5 s for the outbox', async () => {
    const writing = new AbortController()
    const written = new Promise<void>((resolve) => {
      writing.signal.addEventListener('abort', () => resolve())
    })
    let sender: MessageSender | undefined
    const { iotData, clock, ingested } = await serverWithBroker((_, from) => {
      sender = from
      return written
    })
    const sending = iotData.send(new PublishCommand({ topic: 't' }))
    sending.catch(() => undefined)
    await expect.poll(() => ingested).toHaveLength(1)
    expect(sender?.signal?.aborted).toBe(false)
    clock.advance(5_000)
    await expect(sending).rejects.toMatchObject({
      name: 'ServiceUnavailableException',
      $metadata: { httpStatusCode: 503 },
    })
    // What waits for room is dropped with the refusal.
    expect([sender?.closed, sender?.signal?.aborted]).toEqual([true, true])
    writing.abort()
  })

  test.each(['OutboxWriteFailed', 'OutboxFull'] as const)('is answered 503 at %s', async (code) => {
    const { iotData } = await serverWithBroker(() => Promise.reject(new SluiceError(code, 'no')))
    await expect(iotData.send(new PublishCommand({ topic: 't' }))).rejects.toMatchObject({
      name: 'ServiceUnavailableException',
    })
  })
})

describe('a fault of the engine', () => {
  test('has the name that the data plane gives it, and its cause is only in the log', async () => {
    const { iotData, serverLog } = await serverWithBroker(() =>
      Promise.reject(new Error('what went wrong')),
    )
    await expect(iotData.send(new PublishCommand({ topic: 't' }))).rejects.toMatchObject({
      name: 'InternalFailureException',
      message: expect.stringMatching(/^an internal error; the log has its cause/) as string,
      $metadata: { httpStatusCode: 500 },
    })
    expect(JSON.stringify(serverLog)).toContain('what went wrong')
  })
})

describe('retained messages', () => {
  test('are read by topic', async () => {
    const { iotData } = await serverWithBroker()
    await iotData.send(retain('a/b', 'last words'))
    const { $metadata: _, ...message } = await iotData.send(
      new GetRetainedMessageCommand({ topic: 'a/b' }),
    )
    expect(message).toEqual({
      topic: 'a/b',
      payload: new Uint8Array(encode('last words')),
      qos: 1,
      lastModifiedTime: expect.closeTo(systemClock.wallMs(), -5) as number,
    })
    await expect(iotData.send(new GetRetainedMessageCommand({ topic: 'a' }))).rejects.toMatchObject(
      { name: 'ResourceNotFoundException' },
    )
  })

  test('are read with their user properties, in their order', async () => {
    const { iotData } = await serverWithBroker()
    const pairs = [{ b: '1' }, { a: '2' }, { b: '3' }]
    await iotData.send(
      new PublishCommand({
        topic: 'a/b',
        retain: true,
        payload: encode('x'),
        userProperties: JSON.stringify(pairs),
      }),
    )
    const { userProperties } = await iotData.send(new GetRetainedMessageCommand({ topic: 'a/b' }))
    expect(JSON.parse(Buffer.from(userProperties ?? []).toString())).toEqual(pairs)
  })

  test('are listed page by page', async () => {
    const { iotData } = await serverWithBroker()
    for (const topic of ['c', 'a/b', 'b']) await iotData.send(retain(topic, topic))
    const pages: (string | undefined)[][] = []
    for await (const page of paginateListRetainedMessages({ client: iotData, pageSize: 2 }, {})) {
      pages.push(page.retainedTopics?.map(({ topic }) => topic) ?? [])
    }
    expect(pages).toEqual([['a/b', 'b'], ['c']])
    const { retainedTopics } = await iotData.send(new ListRetainedMessagesCommand({}))
    expect(retainedTopics?.[0]).toMatchObject({ topic: 'a/b', payloadSize: 3, qos: 1 })
    await expect(
      iotData.send(new ListRetainedMessagesCommand({ nextToken: '*' })),
    ).rejects.toMatchObject({ name: 'InvalidRequestException' })
  })
})

describe('DeleteConnection', () => {
  test('ends the connection of a client, and knows when there is none', async () => {
    const { iotData, mqttPort } = await serverWithBroker()
    const client = await connectAsync({
      port: mqttPort,
      protocolVersion: 4,
      clientId: 'a/b',
      reconnectPeriod: 0,
    })
    const closed = new Promise<void>((resolve) => client.once('close', resolve))
    await iotData.send(new DeleteConnectionCommand({ clientId: 'a/b' }))
    await closed
    await expect(
      iotData.send(new DeleteConnectionCommand({ clientId: 'a/b' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})
