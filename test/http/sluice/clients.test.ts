import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { connectRaw, startIngress, until } from '../../ingress/helpers.ts'
import { startServer } from '../http-fixtures.ts'

interface Page {
  readonly clients: readonly { readonly clientId: string }[]
  readonly connectedCount: number
  readonly nextToken?: string
}

const nextOf = (client: MqttClient) =>
  new Promise<void>((resolve) => client.once('message', () => resolve()))

async function serverWithClients() {
  const { ingress, port } = await startIngress()
  const { url } = await startServer({ dependencies: { broker: ingress } })
  const connect = async (clientId: string, protocolVersion: 4 | 5, filters: readonly string[]) => {
    const options = { clientId, protocolVersion, keepalive: 30, reconnectPeriod: 0 } as const
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, options)
    onTestFinished(() => client.endAsync(true))
    for (const filter of filters) await client.subscribeAsync(filter, { qos: 1 })
    return client
  }
  const get = async <Answer>(path: string): Promise<Answer> =>
    (await (await fetch(`${url}/v1/clients${path}`)).json()) as Answer
  const idsOf = async (query: string) =>
    (await get<Page>(query)).clients.map(({ clientId }) => clientId)
  return { ingress, port, connect, get, idsOf }
}

test('a client of each version is told with its subscriptions and counters', async () => {
  const { port, connect, get } = await serverWithClients()
  const five = await connect('five', 5, ['a/+', '$share/g/b/#'])
  const four = await connect('four', 4, ['a/1', '$share/g/c'])
  const old = await connectRaw(port, { clientId: 'old', protocolId: 'MQIsdp', protocolVersion: 3 })
  await Promise.all([nextOf(five), nextOf(four), four.publishAsync('a/1', '{}')])
  await Promise.all([nextOf(four), five.publishAsync('c', 'x', { qos: 1 })])
  const base = {
    transport: 'tcp',
    sourceIp: '127.0.0.1',
    keepAliveDuration: 30,
    cleanStart: true,
    sessionExpiry: 0,
    connectedSince: expect.any(Number) as number,
    subscriptionCount: 2,
    queued: 0,
    messagesIn: 1,
  }
  await until(async () => (await get<{ inFlight: number }>('/five')).inFlight === 0)
  expect(await get('/five')).toEqual({
    ...base,
    clientId: 'five',
    protocolVersion: '5',
    inFlight: 0,
    messagesOut: 1,
    subscriptions: [
      { topicFilter: '$share/g/b/#', qos: 1, shareName: 'g' },
      { topicFilter: 'a/+', qos: 1 },
    ],
  })
  expect(await get('/four')).toMatchObject({
    ...base,
    protocolVersion: '3.1.1',
    messagesOut: 2,
    subscriptions: [{ topicFilter: '$share/g/c', shareName: 'g' }, { topicFilter: 'a/1' }],
  })
  expect(await get('/old')).toMatchObject({ protocolVersion: '3.1', subscriptions: [] })
  old.send({ cmd: 'disconnect' })
  await old.closed
  await until(async () => 'message' in (await get<object>('/old')))
})

test('messages that a client does not acknowledge are in flight, and others wait', async () => {
  const { port, connect, get } = await serverWithClients()
  const lazy = await connectRaw(port, { clientId: 'lazy', clean: false })
  lazy.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'q', qos: 1 }] })
  await lazy.next()
  const publisher = await connect('publisher', 5, [])
  for (let count = 0; count < 3; count++) await publisher.publishAsync('q', 'x', { qos: 1 })
  for (let count = 0; count < 3; count++) await lazy.next()
  expect(await get('/lazy')).toMatchObject({ inFlight: 3, queued: 0, messagesOut: 3 })
  expect(await get('/publisher')).toMatchObject({ messagesIn: 3, messagesOut: 0 })
})

test('the list has pages, and is filtered by the beginning of the id and by topic', async () => {
  const { connect, get, idsOf } = await serverWithClients()
  await connect('pump-2', 5, ['dt/+/t'])
  await connect('pump-1', 4, ['dt/7/t', '$share/g/x'])
  await connect('Valve', 5, [])
  const first = await get<Page>('?maxResults=2')
  expect(first).toMatchObject({ connectedCount: 3, clients: [{ clientId: 'Valve' }, {}] })
  expect(await idsOf(`?maxResults=2&nextToken=${first.nextToken}`)).toEqual(['pump-2'])
  expect(await get('?nextToken=*')).toMatchObject({ message: expect.stringContaining('nextToken') })
  for (const [query, ids] of [
    ['?prefix=pump', ['pump-1', 'pump-2']],
    ['?prefix=none', []],
    ['?topic=dt/7/t', ['pump-1', 'pump-2']],
    ['?topic=dt/8/t', ['pump-2']],
    ['?topic=dt/%2B/t', ['pump-2']],
    ['?topic=x', ['pump-1']],
    ['?topic=$share/g/x', ['pump-1']],
    ['?topic=', ['Valve', 'pump-1', 'pump-2']],
  ] as const) {
    expect([query, await idsOf(query)]).toEqual([query, ids])
  }
})
