import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { IngressOptions } from '../../src/ingress/ingress.ts'
import type { Message } from '../../src/message.ts'
import {
  atTheEnd,
  connectPacket,
  connectRaw,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from './helpers.ts'
import type { RawClient, TestIngress } from './helpers.ts'

import { createMemoryStore } from '../cluster/state/memory-state.ts'
import { joinRetained } from './kept/retained-parts.ts'

const hourMs = 3_600_000

const startOwn = ({ clock, ...options }: Partial<IngressOptions> & { clock?: Clock } = {}) =>
  startIngress(undefined, options, undefined, clock)

const start = startOwn

/** With the retained messages of a cluster. */
async function startShared(options: Parameters<typeof startOwn>[0] = {}) {
  const { clock = systemClock, ...limits } = options
  const retained = await joinRetained(createMemoryStore(clock).connect(), clock, limits)
  return startIngress(undefined, limits, undefined, clock, undefined, retained)
}

/** Connects with a session that stays; the answer says whether there was one. */
async function connectSession(port: number, clientId = 'absent', clean = false) {
  const client = await openRaw(port)
  client.send(connectPacket({ clientId, clean, keepalive: 0 }))
  const connack = await client.next()
  if (connack.cmd !== 'connack') throw new Error(`unexpected ${connack.cmd}`)
  return { client, isPresent: connack.sessionPresent }
}

async function subscribe(client: RawClient, ...topics: string[]) {
  const subscriptions = topics.map((topic) => ({ topic, qos: 1 as const }))
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
  const suback = await client.next()
  return suback.cmd === 'suback' ? suback.granted : []
}

/** Publishes by QoS 1, one after the other. */
async function publishAll(port: number, topics: readonly string[], options = {}) {
  const client = await connectRaw(port, { clientId: 'publisher' })
  for (const topic of topics) {
    client.send(publishPacket({ topic, ...options }))
    await client.next()
  }
  client.destroy()
}

const gone = ({ metric }: TestIngress, count = 1) =>
  until(async () => (await metric('mqttAbsentSessions')) === count)

describe('the session of an absent client', () => {
  test('keeps its messages for an hour, and then ends', async () => {
    const clock = createManualClock()
    const started = await start({ clock })
    const { port, metric } = started
    const first = await connectSession(port)
    await subscribe(first.client, 'a/#')
    first.client.destroy()
    await gone(started)
    await publishAll(port, ['a/1'])
    clock.advance(hourMs - 1)
    const second = await connectSession(port)
    expect(second.isPresent).toBe(true)
    expect(await second.client.next()).toMatchObject({ cmd: 'publish', topic: 'a/1' })
    second.client.destroy()
    await gone(started)
    expect(await metric('mqttQueuedBytes')).toBeGreaterThan(0)

    clock.advance(hourMs)
    expect(await metric('mqttAbsentSessions')).toBe(0)
    expect(await metric('mqttQueuedBytes')).toBe(0)
    await publishAll(port, ['a/2'])
    expect(await metric('mqttQueuedBytes')).toBe(0)
    const third = await connectSession(port)
    expect(third.isPresent).toBe(false)
    await settle()
    expect(third.client.waiting).toEqual([])
  })

  test('a client that reconnected keeps its session however long it stays', async () => {
    const clock = createManualClock()
    const started = await start({ clock })
    const first = await connectSession(started.port)
    await subscribe(first.client, 'a')
    first.client.destroy()
    await gone(started)
    const second = await connectSession(started.port)
    clock.advance(5 * hourMs)
    // Taken over: the older connection goes after the younger one has the session.
    const third = await connectSession(started.port)
    await second.client.closed
    clock.advance(5 * hourMs)
    expect(third.isPresent).toBe(true)
    await publishAll(started.port, ['a'])
    expect(await third.client.next()).toMatchObject({ cmd: 'publish', topic: 'a' })
  })

  test('with more absent sessions than the limit the longest absent one ends', async () => {
    const started = await start({ sessionsMax: 2 })
    for (const [index, clientId] of ['a', 'b', 'c'].entries()) {
      const { client } = await connectSession(started.port, clientId)
      await subscribe(client, 'x')
      client.destroy()
      await gone(started, Math.min(index + 1, 2))
      await settle()
    }
    const present = await Promise.all(
      ['a', 'b', 'c'].map(async (id) => (await connectSession(started.port, id)).isPresent),
    )
    expect(present).toEqual([false, true, true])
  })

  test('a clean session removes everything', async () => {
    const started = await start()
    const first = await connectSession(started.port)
    await subscribe(first.client, 'a')
    first.client.destroy()
    await gone(started)
    await publishAll(started.port, ['a'])
    const clean = await connectSession(started.port, 'absent', true)
    expect(clean.isPresent).toBe(false)
    await settle()
    expect(clean.client.waiting).toEqual([])
    expect(await started.metric('mqttQueuedBytes')).toBe(0)
    expect(await started.metric('mqttAbsentSessions')).toBe(0)
  })

  test('takes 1,000 messages; the newest beyond it are dropped and counted', async () => {
    const started = await start()
    const { port, metric } = started
    const first = await connectSession(port)
    await subscribe(first.client, 'a/#')
    first.client.destroy()
    await gone(started)
    const topics = Array.from({ length: 1_005 }, (_, index) => `a/${index}`)
    const publisher = await mqtt.connectAsync({ port })
    atTheEnd(() => void publisher.end(true))
    await Promise.all(topics.map((topic) => publisher.publishAsync(topic, 'x', { qos: 1 })))
    // A message is acknowledged before it is kept for others.
    await until(async () => (await metric('messagesNotKept', { reason: 'queue_full' })) === 5)

    const second = await connectSession(port)
    for (const topic of topics.slice(0, 1_000)) {
      const packet = await second.client.next()
      expect(packet).toMatchObject({ cmd: 'publish', topic })
      second.client.send({ cmd: 'puback', messageId: Number(packet.messageId) })
    }
    await until(async () => (await metric('mqttQueuedBytes')) === 0)
    expect(second.client.waiting).toEqual([])
  })

  test('the queues of all sessions have a bound in bytes', async () => {
    // One session may take a quarter.
    const started = await start({ queuedBytesMax: 40_000 })
    const first = await connectSession(started.port)
    await subscribe(first.client, 'a')
    first.client.destroy()
    await gone(started)
    await publishAll(started.port, Array(5).fill('a'), { payload: Buffer.alloc(3_000) })
    await until(
      async () => (await started.metric('messagesNotKept', { reason: 'queue_full' })) === 2,
    )
    expect(await started.metric('mqttQueuedBytes')).toBeLessThan(10_000)
  })
})

describe('a message that is kept for a session', () => {
  test('comes with RETAIN 0, and with DUP 1 only where it was sent before', async () => {
    const started = await start()
    const first = await connectSession(started.port)
    await subscribe(first.client, 'a')
    first.client.destroy()
    await gone(started)
    await publishAll(started.port, ['a'], { retain: true })
    const message = { cmd: 'publish', topic: 'a', retain: false }
    const second = await connectSession(started.port)
    expect(await second.client.next()).toMatchObject({ ...message, dup: false })
    second.client.destroy()
    await gone(started)
    const third = await connectSession(started.port)
    expect(await third.client.next()).toMatchObject({ ...message, dup: true })
  })

  test('does not carry the DUP of its publisher, and neither does a live one', async () => {
    const started = await start()
    const first = await connectSession(started.port)
    await subscribe(first.client, 'a')
    await publishAll(started.port, ['a'], { dup: true })
    expect(await first.client.next()).toMatchObject({ cmd: 'publish', dup: false })
    const { client: publisher } = await connectSession(started.port, 'publisher')
    first.client.destroy()
    await gone(started)
    publisher.send(publishPacket({ topic: 'a', dup: true, messageId: 2, payload: 'kept' }))
    await publisher.next()
    const second = await connectSession(started.port)
    const kept = [await second.client.next(), await second.client.next()]
    expect(kept.map((packet) => packet.cmd === 'publish' && packet.dup)).toEqual([true, false])
  })
})

describe('a connected subscriber with a session', () => {
  test('gets also what its queue has no room for', async () => {
    const started = await start({ queuedMax: 2 })
    const { client } = await connectSession(started.port)
    await subscribe(client, 'a/#')
    await publishAll(started.port, ['a/1', 'a/2', 'a/3', 'a/4'])
    for (const topic of ['a/1', 'a/2', 'a/3', 'a/4']) {
      expect(await client.next()).toMatchObject({ cmd: 'publish', topic })
    }
    expect(client.isClosed).toBe(false)
  })

  test('gets again what it did not acknowledge, at QoS 1 and at QoS 2', async () => {
    const started = await start()
    const first = await connectSession(started.port)
    first.client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 'a/#', qos: 2 }],
    })
    await first.client.next()
    await publishAll(started.port, ['a/1', 'a/2'])
    const publisher = await connectRaw(started.port, { clientId: 'two' })
    publisher.send(publishPacket({ topic: 'a/3', qos: 2 }))
    await publisher.next()
    const packets = [
      await first.client.next(),
      await first.client.next(),
      await first.client.next(),
    ]
    first.client.send(
      { cmd: 'puback', messageId: Number(packets[0]?.messageId) },
      { cmd: 'pubrec', messageId: Number(packets[2]?.messageId) },
    )
    expect(await first.client.next()).toMatchObject({ cmd: 'pubrel' })
    first.client.destroy()
    await gone(started)
    const second = await connectSession(started.port)
    expect(await second.client.next()).toMatchObject({ cmd: 'publish', topic: 'a/2' })
    expect(await second.client.next()).toMatchObject({
      cmd: 'pubrel',
      messageId: packets[2]?.messageId,
    })
    second.client.send(
      { cmd: 'puback', messageId: Number(packets[1]?.messageId) },
      { cmd: 'pubcomp', messageId: Number(packets[2]?.messageId) },
    )
    await until(async () => (await started.metric('mqttQueuedBytes')) === 0)
  })
})

describe('subscriptions of one client', () => {
  test('at most 100; those that were refused are not restored either', async () => {
    const started = await start({ filtersPerSubscribeMax: 200 })
    const { port } = started
    const first = await connectSession(port)
    const topics = Array.from({ length: 102 }, (_, index) => `s/${index}`)
    const granted = await subscribe(first.client, ...topics, '$share/g/s/0')
    expect(granted).toEqual([...Array(100).fill(1), 0x80, 0x80, 0x80])
    expect(await subscribe(first.client, 's/7')).toEqual([1])
    first.client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['s/0', 's/1'] })
    await first.client.next()
    expect(await subscribe(first.client, 's/100')).toEqual([1])
    first.client.destroy()
    await gone(started)
    await publishAll(port, ['s/0', 's/101', 's/100', 's/99'])
    const second = await connectSession(port)
    expect(await second.client.next()).toMatchObject({ topic: 's/100' })
    expect(await second.client.next()).toMatchObject({ topic: 's/99' })
    await settle()
    expect(second.client.waiting).toEqual([])
    expect(await subscribe(second.client, 's/0', 's/1')).toEqual([1, 0x80])
  })
})

describe.each(['own', 'shared'] as const)('retained messages, %s', (whose) => {
  const startOne = (options: Partial<IngressOptions> & { clock?: Clock } = {}) =>
    whose === 'own' ? startOwn(options) : startShared(options)

  test('have a bound; what is over it is not kept, and does not leave an old value', async () => {
    const { port, ingress, metric } = await startOne({ retainedMax: 3, retainedBytesMax: 5_000 })
    const retain = true
    await publishAll(port, ['r/1', 'r/2', 'r/3', 'r/4'], { retain })
    const topics = () => ingress.listRetained({ max: 10 }).map(({ topic }) => topic)
    expect(topics()).toEqual(['r/1', 'r/2', 'r/3'])
    expect(await metric('messagesNotKept', { reason: 'retained_full' })).toBe(1)
    await publishAll(port, ['r/2'], { retain, payload: Buffer.alloc(5_000) })
    expect(topics()).toEqual(['r/1', 'r/3'])
    await publishAll(port, ['r/1'], { retain, payload: '' })
    await publishAll(port, ['r/4'], { retain, payload: 'kept' })
    expect(topics()).toEqual(['r/3', 'r/4'])
    expect(await metric('retainedMessages')).toBe(2)
  })

  test('are read one by one and in pages', async () => {
    const clock = createManualClock()
    const { port, ingress } = await startOne({ clock })
    await publishAll(port, ['b', 'a/2', 'a/1', 'c'], { retain: true, payload: 'now' })
    expect(ingress.retained('a/1')).toEqual({
      topic: 'a/1',
      payload: Buffer.from('now'),
      qos: 1,
      lastModifiedMs: clock.wallMs(),
    })
    expect(ingress.retained('a')).toBeUndefined()
    const page = (after: string | undefined) =>
      ingress
        .listRetained({ ...(after !== undefined && { after }), max: 2 })
        .map(({ topic }) => topic)
    expect([page(undefined), page('a/2'), page('c')]).toEqual([['a/1', 'a/2'], ['b', 'c'], []])
  })

  test('reach a later subscriber once, whatever filters match', async () => {
    const { port } = await startOne()
    await publishAll(port, ['a/1', 'b'], { retain: true })
    const client = await connectRaw(port)
    await subscribe(client, 'a/#', '+/1', 'x')
    expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'a/1', retain: true })
    await settle()
    expect(client.waiting).toEqual([])
  })
})

describe('what the host does', () => {
  const message: Message = {
    topic: 'a/b',
    payload: Buffer.from('x'),
    qos: 1,
    retain: true,
    transport: 'http',
    timestampMs: 1,
  }

  test('distribute: subscribers get the message, no rule does', async () => {
    const { port, ingress, messages } = await start()
    const client = await connectRaw(port)
    await subscribe(client, 'a/#')
    await ingress.distribute(message)
    expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'a/b', qos: 1 })
    expect(messages).toEqual([])
    expect(ingress.retained('a/b')?.payload).toEqual(Buffer.from('x'))
    await expect(ingress.distribute({ ...message, topic: 'a/#' })).rejects.toMatchObject({
      code: 'InvalidRequestException',
    })
    await ingress.close()
    await expect(ingress.distribute(message)).resolves.toBeUndefined()
  })

  const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const
  const ways: [preventWillMessage: boolean | undefined, wills: string[]][] = [
    [undefined, ['gone']],
    [false, ['gone']],
    [true, []],
  ]
  test.each(ways)('disconnect, its will prevented: %s', async (preventWillMessage, wills) => {
    const { port, ingress, messages } = await start()
    const client = await connectRaw(port, { clientId: 'c', will })
    const options = preventWillMessage === undefined ? {} : { preventWillMessage }
    expect(await ingress.disconnect('c', options)).toBe(true)
    await client.closed
    await settle()
    expect(messages.map(({ topic }) => topic)).toEqual(wills)
    expect(await ingress.disconnect('c')).toBe(false)
  })

  test.each([true, false])('disconnect, its session cleaned: %s', async (cleanSession) => {
    const started = await start()
    const { client } = await connectSession(started.port, 'c')
    await subscribe(client, 'a')
    expect(await started.ingress.disconnect('c', { cleanSession })).toBe(true)
    await client.closed
    expect((await connectSession(started.port, 'c')).isPresent).toBe(!cleanSession)
  })

  test('the session of an absent client can be cleaned', async () => {
    const started = await start()
    const { client } = await connectSession(started.port, 'c')
    await subscribe(client, 'a')
    client.destroy()
    await gone(started)
    expect(await started.ingress.disconnect('c', { cleanSession: true })).toBe(false)
    expect((await connectSession(started.port, 'c')).isPresent).toBe(false)
  })
})
