import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import {
  atTheEnd,
  connectPacket,
  connectRaw,
  createManualIngest,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from '../helpers.ts'

const answers = [
  { qos: 1, cmd: 'puback' },
  { qos: 2, cmd: 'pubrec' },
] as const

describe('the answer to a PUBLISH', () => {
  test.each(answers)('QoS $qos: $cmd goes out only after ingest', async ({ qos, cmd }) => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    client.send(publishPacket({ qos, messageId: 7 }))
    await until(() => messages.length === 1)
    await settle()
    expect(client.waiting).toEqual([])
    expect(await metric('messagesAcknowledged')).toBe(0)

    manual.resolve(0)
    expect(await client.next()).toMatchObject({ cmd, messageId: 7 })
    expect(await metric('messagesReceived', { transport: 'mqtt', qos })).toBe(1)
    expect(await metric('messagesAcknowledged', { transport: 'mqtt', qos })).toBe(1)
  })

  test('answers go out in the order of the PUBLISHes, whatever order ingest settles in', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    const qualities = [1, 2, 1, 0, 2, 2, 1, 1] as const
    client.send(
      ...qualities.map((qos, index) =>
        publishPacket({ qos, topic: `t/${index}`, messageId: index + 1 }),
      ),
    )
    await until(() => messages.length === qualities.length)
    expect(messages.map(({ topic }) => topic)).toEqual(qualities.map((_, index) => `t/${index}`))

    for (let index = qualities.length - 1; index > 0; index--) manual.resolve(index)
    await settle()
    expect(client.waiting).toEqual([])
    manual.resolve(0)
    for (const [index, qos] of qualities.entries()) {
      if (qos === 0) continue
      const cmd = qos === 1 ? 'puback' : 'pubrec'
      expect(await client.next()).toMatchObject({ cmd, messageId: index + 1 })
    }
  })

  test('subscribers get a message only after ingest', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const subscriber = await connectRaw(port, { clientId: 'subscriber' })
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 0 }] })
    await subscriber.next()
    const client = await connectRaw(port)
    client.send(publishPacket({ qos: 0 }))
    await until(() => messages.length === 1)
    await settle()
    expect(subscriber.waiting).toEqual([])
    manual.resolve(0)
    expect(await subscriber.next()).toMatchObject({ cmd: 'publish', topic: 'a/b' })
  })
})

describe('a message that cannot be made durable', () => {
  const fails: [name: string, ingest: () => Promise<void>][] = [
    ['ingest rejects', () => Promise.reject(new Error('disk full'))],
    [
      'ingest throws',
      () => {
        throw new Error('disk full')
      },
    ],
  ]
  test.each(fails)('%s: disconnected, no answer', async (_name, fail) => {
    const { port, warnings, metric } = await startIngress(fail)
    const client = await connectRaw(port)
    client.send(publishPacket({ messageId: 1 }), publishPacket({ messageId: 2 }))
    await client.closed
    expect(client.waiting).toEqual([])
    expect(warnings()[0]).toMatchObject({
      reason: 'ingest_failed',
      clientId: 'raw',
      topic: 'a/b',
      detail: 'disk full',
    })
    expect(await metric('messagesRejected', { reason: 'ingest_failed' })).toBe(2)
    expect(await metric('messagesAcknowledged')).toBe(0)
  })

  test('the client sends it again, and then it is acknowledged', async () => {
    let failures = 2
    const { port, messages } = await startIngress(() =>
      failures-- > 0 ? Promise.reject(new Error('disk full')) : Promise.resolve(),
    )
    const client = mqtt.connect({ port, clientId: 'again', reconnectPeriod: 10, clean: false })
    atTheEnd(() => void client.end(true))
    await client.publishAsync('a/b', 'precious', { qos: 1 })
    expect(messages.map(({ payload }) => String(payload))).toEqual(Array(3).fill('precious'))
  })

  test('what came before it is answered', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    client.send(publishPacket({ messageId: 1 }), publishPacket({ messageId: 2 }))
    await until(() => messages.length === 2)
    manual.reject(1)
    await settle()
    manual.resolve(0)
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 })
    await client.closed
    expect(client.waiting).toEqual([])
  })
})

describe('QoS 2', () => {
  const session = { clientId: 'two', clean: false }
  const message = publishPacket({ qos: 2, messageId: 5 })
  const again = { ...message, dup: true }

  test('a duplicate is ingested once and answered twice', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port, session)
    client.send(message)
    expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 5 })
    client.send(again)
    expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 5 })
    expect(messages.length).toBe(1)
  })

  test('a duplicate after a reconnect is ingested and distributed once', async () => {
    const { port, messages } = await startIngress()
    const subscriber = await connectRaw(port, { clientId: 'subscriber' })
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] })
    await subscriber.next()
    const first = await connectRaw(port, session)
    first.send(message)
    await first.next()
    first.destroy()
    const second = await connectRaw(port, session)
    second.send(again, publishPacket({ qos: 1, messageId: 6, topic: 'last' }))
    expect(await second.next()).toMatchObject({ cmd: 'pubrec', messageId: 5 })
    await second.next()
    expect(messages.map(({ topic }) => topic)).toEqual(['a/b', 'last'])
    expect(await subscriber.next()).toMatchObject({ topic: 'a/b' })
    expect(await subscriber.next()).toMatchObject({ topic: 'last' })
  })

  test('a duplicate that comes while the first is still being ingested waits for it', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const first = await connectRaw(port, session)
    first.send(message)
    await until(() => messages.length === 1)
    first.destroy()
    const second = await connectRaw(port, session)
    second.send(again)
    await settle()
    expect(second.waiting).toEqual([])
    manual.resolve(0)
    expect(await second.next()).toMatchObject({ cmd: 'pubrec', messageId: 5 })
    expect(messages.length).toBe(1)
  })

  test('after a failed ingest the duplicate is ingested anew', async () => {
    let fails = true
    const { port, messages } = await startIngress(() => {
      const outcome = fails ? Promise.reject(new Error('disk full')) : Promise.resolve()
      fails = false
      return outcome
    })
    const first = await connectRaw(port, session)
    first.send(message)
    await first.closed
    const second = await connectRaw(port, session)
    second.send(again)
    expect(await second.next()).toMatchObject({ cmd: 'pubrec' })
    expect(messages.length).toBe(2)
  })

  test('after PUBREL the packet id stands for another message', async () => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port, session)
    for (const round of [1, 2]) {
      client.send(message)
      expect(await client.next()).toMatchObject({ cmd: 'pubrec' })
      client.send({ cmd: 'pubrel', messageId: 5 })
      expect(await client.next()).toMatchObject({ cmd: 'pubcomp', messageId: 5 })
      expect(messages.length).toBe(round)
    }
  })

  test.each([true, false])('a clean session forgets (before it: clean %s)', async (clean) => {
    const { port, messages } = await startIngress()
    const first = await connectRaw(port, { ...session, clean })
    first.send(message)
    await first.next()
    first.destroy()
    const second = await connectRaw(port, { ...session, clean: true })
    second.send(message)
    expect(await second.next()).toMatchObject({ cmd: 'pubrec' })
    expect(messages.length).toBe(2)
  })
})

describe('connections that go away', () => {
  test('a reset while ingest is under way: the answer is dropped, the broker lives', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest)
    const client = await connectRaw(port)
    const qualities = [0, 1, 2] as const
    client.send(...qualities.map((qos) => publishPacket({ qos, messageId: qos + 1 })))
    await until(() => messages.length === 3)
    client.destroy()
    await until(async () => (await metric('mqttConnections')) === 0)
    manual.reject(2)
    manual.resolveAll()
    await settle()
    const next = await connectRaw(port)
    expect(next.isClosed).toBe(false)
  })

  test('a session that is taken over: the old connection closes, the new one is served', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest)
    const old = await connectRaw(port, { clientId: 'same' })
    old.send(publishPacket())
    await until(() => messages.length === 1)
    const young = await connectRaw(port, { clientId: 'same' })
    await old.closed
    young.send(publishPacket({ messageId: 2 }))
    await until(() => messages.length === 2)
    manual.resolveAll()
    expect(await young.next()).toMatchObject({ cmd: 'puback', messageId: 2 })
    expect(old.waiting).toEqual([])
    expect(await metric('mqttConnections')).toBe(1)
  })

  test('PUBLISH, DISCONNECT and FIN in one piece: ingested and answered first', async () => {
    const manual = createManualIngest()
    const { port, messages } = await startIngress(manual.ingest)
    const client = await openRaw(port)
    client.send(connectPacket(), publishPacket({ qos: 0 }), publishPacket(), { cmd: 'disconnect' })
    client.end()
    expect(await client.next()).toMatchObject({ cmd: 'connack' })
    await until(() => messages.length === 2)
    manual.resolveAll()
    expect(await client.next()).toMatchObject({ cmd: 'puback' })
    await client.closed
  })

  test('connect and disconnect are logged at debug and counted', async () => {
    const { port, lines, metric } = await startIngress()
    const client = await mqtt.connectAsync({ port, clientId: 'counted' })
    expect(await metric('mqttConnections')).toBe(1)
    await client.endAsync()
    await until(async () => (await metric('mqttConnections')) === 0)
    const said = lines.filter(({ level }) => level === 'debug').map(({ msg }) => msg)
    expect(said).toEqual(['client connected', 'client disconnected'])
    expect(lines[0]).toMatchObject({ clientId: 'counted', sourceIp: '127.0.0.1' })
  })
})
