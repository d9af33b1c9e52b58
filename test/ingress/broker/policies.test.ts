import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import { allow, deny, returnCodeOf, startGuarded } from '../guarded-ingress.ts'
import type { Policies } from '../guarded-ingress.ts'
import {
  atTheEnd,
  connectPacket,
  connectRaw,
  openRaw,
  publishPacket,
  settle,
  until,
} from '../helpers.ts'
import type { RawClient } from '../helpers.ts'

/** The policies of everyone. */
const allOf = (...statements: readonly unknown[]): Policies => ({ everyone: { statements } })
const connects = allow('Connect', '*')

async function subscribe(client: RawClient, ...topics: readonly string[]) {
  const subscriptions = topics.map((topic) => ({ topic, qos: 1 as const }))
  client.send({ cmd: 'subscribe', messageId: 9, subscriptions })
  const suback = await client.next()
  return suback.cmd === 'suback' ? suback.granted : []
}

describe('iot:Connect', () => {
  const will = { topic: 'will/x', payload: Buffer.from('gone'), qos: 0 as const, retain: false }
  const cases: [string, unknown[], Parameters<typeof returnCodeOf>[1], number][] = [
    ['an allowed client id', [allow('Connect', 'client/c-*')], { clientId: 'c-1' }, 0],
    ['another', [allow('Connect', 'client/c-*')], { clientId: 'd-1' }, 5],
    ['a denied one', [connects, deny('Connect', 'client/c-1')], { clientId: 'c-1' }, 5],
    ['no statement of it', [allow('Publish', '*')], { clientId: 'c' }, 5],
    ['the client id as a variable', [allow('Connect', 'client/${iot:ClientId}')], {}, 0],
    ['a client id that is a pattern', [allow('Connect', 'client/c')], { clientId: '*' }, 5],
    ['a will that is allowed', [connects, allow('Publish', 'topic/will/*')], { will }, 0],
    ['a will that is not', [connects, allow('Publish', 'topic/other')], { will }, 5],
    [
      'a will that is to be retained and may not',
      [connects, allow('Publish', '*')],
      { will: { ...will, retain: true } },
      5,
    ],
    [
      'one that may',
      [connects, allow('Publish', '*'), allow('RetainPublish', 'topic/will/x')],
      { will: { ...will, retain: true } },
      0,
    ],
  ]
  test.each(cases)('%s', async (_name, statements, connect, returnCode) => {
    const { port, metric, warnings, messages } = await startGuarded({
      policies: allOf(...statements),
    })
    expect(await returnCodeOf(port, connect)).toBe(returnCode)
    const refused = returnCode === 0 ? [] : [{ reason: 'not_authorized', sourceIp: '127.0.0.1' }]
    expect(warnings()).toMatchObject(refused)
    expect(await metric('mqttConnectionsRefused', { reason: 'not_authorized' })).toBe(
      refused.length,
    )
    // The will of whoever was refused is nobody's.
    expect(messages.filter(() => returnCode !== 0)).toEqual([])
  })
})

describe('iot:Publish', () => {
  const own = allow('Publish', 'topic/dt/${iot:ClientId}/*')

  test.each([0, 1, 2] as const)(
    'QoS %i: ends the connection without an answer, behind the answers before',
    async (qos) => {
      const { port, messages, metric, warnings } = await startGuarded({
        policies: allOf(connects, own),
      })
      const client = await connectRaw(port, { clientId: 'c' })
      client.send(
        publishPacket({ topic: 'dt/c/1', messageId: 1 }),
        publishPacket({ topic: 'dt/other/1', messageId: 2, qos }),
        publishPacket({ topic: 'dt/c/2', messageId: 3 }),
      )
      await client.closed
      expect(client.waiting).toMatchObject([{ cmd: 'puback', messageId: 1 }])
      expect(messages.map(({ topic }) => topic)).toEqual(['dt/c/1'])
      expect(await metric('messagesRejected', { reason: 'publish_forbidden' })).toBe(1)
      expect(await metric('mqttConnectionsRefused', { reason: 'publish_forbidden' })).toBe(1)
      expect(warnings()).toMatchObject([
        {
          reason: 'publish_forbidden',
          clientId: 'c',
          sourceIp: '127.0.0.1',
          detail: 'no policy allows to publish to "dt/other/1"',
        },
      ])
    },
  )

  const cases: [string, unknown[], Parameters<typeof publishPacket>[0], boolean][] = [
    ['retained, with iot:Publish alone', [allow('Publish', '*')], { retain: true }, false],
    [
      'retained, with both',
      [allow('Publish', '*'), allow('RetainPublish', 'topic/a/b')],
      { retain: true },
      true,
    ],
    [
      'retained, with iot:RetainPublish alone',
      [allow('RetainPublish', '*')],
      { retain: true },
      false,
    ],
    ['Basic Ingest, by its own topic', [allow('Publish', 'topic/a/b')], {}, true],
    [
      'Basic Ingest, by the topic that the rule sees',
      [allow('Publish', 'topic/a/b')],
      { topic: '$aws/rules/r/a/b' },
      false,
    ],
    [
      'Basic Ingest, by the rule',
      [allow('Publish', 'topic/$aws/rules/r/*')],
      { topic: '$aws/rules/r/a/b' },
      true,
    ],
    [
      'Basic Ingest, of another rule',
      [allow('Publish', 'topic/$aws/rules/r/*')],
      { topic: '$aws/rules/s/a/b' },
      false,
    ],
  ]
  test.each(cases)('%s', async (_name, statements, packet, isTaken) => {
    const { port, messages } = await startGuarded({ policies: allOf(connects, ...statements) })
    const client = await connectRaw(port)
    client.send(publishPacket(packet), { cmd: 'disconnect' })
    await client.closed
    expect(messages.length).toBe(isTaken ? 1 : 0)
    expect(client.waiting.length).toBe(isTaken ? 1 : 0)
  })

  test('is checked again when a will is published', async () => {
    const policies = allOf(connects, allow('Publish', '*'))
    const { port, messages, metric, changePolicies } = await startGuarded({ policies })
    const will = { topic: 'w', payload: Buffer.from('gone'), qos: 1 as const, retain: false }
    const [first, second] = [
      await connectRaw(port, { clientId: 'a', will: { ...will, topic: 'w/a' } }),
      await connectRaw(port, { clientId: 'b', will: { ...will, topic: 'w/b' } }),
    ]
    await changePolicies(allOf(connects, allow('Publish', 'topic/w/b')))
    first.destroy()
    second.destroy()
    await until(async () => (await metric('mqttConnections')) === 0 && messages.length > 0)
    await settle()
    expect(messages.map(({ topic }) => topic)).toEqual(['w/b'])
    expect(await metric('messagesRejected', { reason: 'publish_forbidden' })).toBe(1)
  })
})

describe('iot:Subscribe and iot:Receive', () => {
  test('a forbidden filter gets 0x80, and the others of the packet stand', async () => {
    const policies = allOf(connects, allow('Subscribe', 'topicfilter/a/+', 'topicfilter/b/*'))
    const { port, warnings } = await startGuarded({ policies })
    const client = await connectRaw(port)
    expect(await subscribe(client, 'a/+', 'a/b', '#', '+/x', 'b/#', 'b/+/c')).toEqual([
      1, 0x80, 0x80, 0x80, 1, 1,
    ])
    expect(warnings().length).toBe(3)
    expect(warnings()[0]).toMatchObject({ detail: 'no policy allows it', filter: 'a/b' })
  })

  test('what may not be received is not forwarded: live, retained and kept for later', async () => {
    const policies = allOf(
      allow('Connect', '*'),
      allow('Publish', '*'),
      allow('RetainPublish', '*'),
      allow('Subscribe', '*'),
      allow('Receive', 'topic/t/open'),
    )
    const { port, metric } = await startGuarded({ policies })
    const publisher = await connectRaw(port, { clientId: 'publisher' })
    const publish = async (topic: string, payload: string) => {
      publisher.send(publishPacket({ topic, payload, retain: true }))
      expect(await publisher.next()).toMatchObject({ cmd: 'puback' })
    }
    await publish('t/secret', 'retained')
    await publish('t/open', 'retained')
    const session = { clientId: 'subscriber', clean: false }
    const subscriber = await connectRaw(port, session)
    expect(await subscribe(subscriber, 't/#')).toEqual([1])
    expect(await subscriber.next()).toMatchObject({ topic: 't/open', retain: true })
    await publish('t/secret', 'live')
    await publish('t/open', 'live')
    expect(await subscriber.next()).toMatchObject({ topic: 't/open', retain: false })
    subscriber.destroy()
    await until(async () => (await metric('mqttConnections')) === 1)
    await publish('t/secret', 'kept')
    await publish('t/open', 'kept')
    const again = await connectRaw(port, session)
    // The first was sent and not acknowledged.
    expect(await again.next()).toMatchObject({ topic: 't/open', payload: Buffer.from('live') })
    expect(await again.next()).toMatchObject({ topic: 't/open', payload: Buffer.from('kept') })
    await settle()
    expect(again.waiting).toEqual([])
  })

  test('what may not be received takes no room in the queue of a session', async () => {
    const policies = allOf(
      allow('Connect', '*'),
      allow('Publish', '*'),
      allow('Subscribe', '*'),
      allow('Receive', 'topic/t/open'),
    )
    const { port, metric } = await startGuarded({ policies, ingress: { queuedMax: 2 } })
    const subscriber = await connectRaw(port, { clientId: 'subscriber', clean: false })
    await subscribe(subscriber, 't/#')
    const publisher = await connectRaw(port, { clientId: 'publisher' })
    for (let id = 1; id <= 5; id++) {
      publisher.send(publishPacket({ topic: 't/secret', messageId: id }))
      expect(await publisher.next()).toMatchObject({ cmd: 'puback' })
    }
    publisher.send(publishPacket({ topic: 't/open', messageId: 6 }))
    expect(await subscriber.next()).toMatchObject({ topic: 't/open' })
    expect(await metric('messagesNotKept')).toBe(0)
  })

  test('a filter of a session that is not allowed any more is not restored', async () => {
    const rights = [allow('Connect', '*'), allow('Publish', '*'), allow('Receive', '*')]
    const { port, messages, metric, changePolicies } = await startGuarded({
      policies: allOf(...rights, allow('Subscribe', '*')),
    })
    const session = { clientId: 'subscriber', clean: false }
    const subscriber = await connectRaw(port, session)
    expect(await subscribe(subscriber, 't/old', 't/new')).toEqual([1, 1])
    subscriber.destroy()
    await until(async () => (await metric('mqttConnections')) === 0)
    const publisher = await connectRaw(port, { clientId: 'publisher' })
    const publish = async (topic: string) => {
      publisher.send(publishPacket({ topic }))
      expect(await publisher.next()).toMatchObject({ cmd: 'puback' })
    }
    await publish('t/old')
    await publish('t/new')
    await changePolicies(allOf(...rights, allow('Subscribe', 'topicfilter/t/new')))
    const again = await connectRaw(port, session)
    expect(await again.next()).toMatchObject({ topic: 't/new' })
    await publish('t/old')
    await publish('t/new')
    expect(await again.next()).toMatchObject({ topic: 't/new' })
    expect(messages.length).toBe(4)

    // Nor is it when it is allowed again: the session does not have it any more.
    again.destroy()
    await until(async () => (await metric('mqttConnections')) === 1)
    await changePolicies(allOf(...rights, allow('Subscribe', '*')))
    const third = await connectRaw(port, session)
    await publish('t/old')
    await publish('t/new')
    for (let index = 0; index < 3; index++) {
      expect(await third.next()).toMatchObject({ topic: 't/new' })
    }
  })
})

describe('while connections are open', () => {
  test('they follow changed policies, and are not closed', async () => {
    const { port, messages, changePolicies } = await startGuarded({ policies: undefined })
    const client = await connectRaw(port, { clientId: 'c' })
    const publish = (topic: string) => {
      client.send(publishPacket({ topic }))
      return client.next()
    }
    expect(await publish('a')).toMatchObject({ cmd: 'puback' })
    await changePolicies(allOf(connects, allow('Publish', 'topic/a')))
    expect(await publish('a')).toMatchObject({ cmd: 'puback' })
    expect(await subscribe(client, 'a')).toEqual([0x80])
    await changePolicies(allOf(connects, allow('Publish', 'topic/b'), allow('Subscribe', '*')))
    expect(await publish('b')).toMatchObject({ cmd: 'puback' })
    expect(await subscribe(client, 'a')).toEqual([1])
    client.send(publishPacket({ topic: 'a' }))
    await client.closed
    expect(messages.length).toBe(3)
  })

  test('without policies everyone may do everything but what is the broker’s own', async () => {
    const { port, messages } = await startGuarded()
    const client = await connectRaw(port)
    client.send(publishPacket({ topic: 'any/thing' }))
    expect(await client.next()).toMatchObject({ cmd: 'puback' })
    expect(await subscribe(client, '#', '$SYS/#', '$aws/rules/#')).toEqual([1, 0x80, 0x80])
    client.send(publishPacket({ topic: '$aws/things/x/shadow/update/accepted' }))
    await client.closed
    expect(messages.length).toBe(1)
  })
})

describe('mqtt.js', () => {
  const policies: Policies = {
    devices: {
      statements: [
        allow('Connect', 'client/${iot:ClientId}'),
        allow('Publish', 'topic/dt/${iot:ClientId}/*'),
        allow('Subscribe', 'topicfilter/cmd/${iot:ClientId}'),
        allow('Receive', 'topic/cmd/${iot:ClientId}'),
      ],
      targets: ['user:device'],
    },
  }
  const passwords = { device: 'correct horse' }

  test('logs in by a password, and learns what is forbidden', async () => {
    const { port, messages } = await startGuarded({ policies, passwords })
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: 'd1',
      username: 'device',
      password: 'correct horse',
      reconnectPeriod: 0,
    })
    atTheEnd(() => client.end(true))
    await client.publishAsync('dt/d1/t', '21', { qos: 1 })
    expect(messages).toMatchObject([{ clientId: 'd1', principal: 'device', topic: 'dt/d1/t' }])
    const granted = await client.subscribeAsync({ 'cmd/d1': { qos: 1 } })
    expect(granted).toMatchObject([{ topic: 'cmd/d1', qos: 1 }])
    await expect(client.subscribeAsync('cmd/d2', { qos: 1 })).rejects.toThrow(/Unspecified error/)
    const closed = new Promise((resolve) => client.once('close', () => resolve('closed')))
    client.publish('dt/d2/t', '21', { qos: 1 })
    expect(await closed).toBe('closed')
    expect(messages.length).toBe(1)
  })

  test('is refused with another password', async () => {
    const { port } = await startGuarded({ policies, passwords })
    const connecting = mqtt.connectAsync(
      `mqtt://127.0.0.1:${port}`,
      { clientId: 'd1', username: 'device', password: 'wrong', reconnectPeriod: 0 },
      false,
    )
    await expect(connecting).rejects.toMatchObject({ code: 4 })
  })
})

test('a client that never connected may do nothing', async () => {
  const { port, messages } = await startGuarded({ policies: allOf(allow('Publish', '*')) })
  const client = await openRaw(port)
  client.send(connectPacket(), publishPacket())
  await client.closed
  expect(client.waiting).toMatchObject([{ cmd: 'connack', returnCode: 5 }])
  expect(messages).toEqual([])
})
