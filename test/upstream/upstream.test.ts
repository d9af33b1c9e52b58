import { once } from 'node:events'
import { connectAsync } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { createHeldIngest, startBroker, startUpstream } from './upstream-fixtures.ts'

const filters = (text: string) => ({ SLUICE_UPSTREAM_FILTERS: text })
const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1))

describe('a message of QoS 1', () => {
  test('is acknowledged when it is durable, and not before', async () => {
    const broker = await startBroker()
    const held = createHeldIngest()
    const engine = await startUpstream({ port: broker.port, ingest: held.ingest })
    await engine.until(engine.isReading)
    await broker.publish('plant/1', 'a')
    await held.untilTaken(1)
    expect(held.taken[0]?.message).toMatchObject({
      topic: 'plant/1',
      qos: 1,
      retain: false,
      transport: 'mqtt',
      clientId: expect.stringMatching(/^sluice-[0-9a-f]{16}$/) as string,
    })
    expect(broker.acknowledged).toEqual([])
    expect(await engine.metric('upstreamUnacknowledged')).toEqual({
      [`127.0.0.1:${broker.port}`]: 1,
    })
    const acknowledged = once(broker.aedes, 'ack')
    held.taken[0]?.resolve()
    await acknowledged
    expect(await engine.metric('upstreamMessages')).toMatchObject({ durable: 1 })
  })

  test('is acknowledged after those before it', async () => {
    const broker = await startBroker()
    const held = createHeldIngest()
    const engine = await startUpstream({ port: broker.port, ingest: held.ingest })
    await engine.until(engine.isReading)
    for (const number of numbers(3)) await broker.publish('plant/1', number)
    await held.untilTaken(3)
    held.taken[2]?.resolve()
    held.taken[1]?.resolve()
    held.taken[0]?.resolve()
    await engine.until(() => broker.acknowledged.length === 3)
    expect(broker.acknowledged).toEqual(numbers(3))
    expect(engine.distributed).toHaveLength(3)
  })

  test('comes again when the engine ends between the disk and PUBACK', async () => {
    const broker = await startBroker()
    const first = await startUpstream({
      port: broker.port,
      // The message is durable here, and the connection ends with the process.
      distribute: () => {
        broker.cut()
        return new Promise(() => undefined)
      },
    })
    await first.until(first.isReading)
    await broker.publish('plant/1', 'a')
    await first.until(() => first.distributed.length === 1 && !first.isReading())
    expect(broker.acknowledged).toEqual([])

    const second = await startUpstream({ port: broker.port, directory: first.directory })
    await second.until(() => broker.acknowledged.length === 1)
    expect(second.payloads()).toEqual(['a'])
  })

  test('waits at the broker while the engine is away', async () => {
    const broker = await startBroker()
    const first = await startUpstream({ port: broker.port })
    await first.until(first.isReading)
    await first.close()
    for (const number of numbers(20)) await broker.publish(`plant/${number}`, number)

    const second = await startUpstream({ port: broker.port, directory: first.directory })
    await second.until(() => broker.acknowledged.length === 20)
    expect(second.payloads()).toEqual(numbers(20))
    expect(second.lines.find(({ level }) => level === 'info')).toMatchObject({
      sessionPresent: true,
    })
  })

  test('that cannot be made durable comes again, with those after it', async () => {
    const broker = await startBroker()
    const held = createHeldIngest()
    const engine = await startUpstream({ port: broker.port, ingest: held.ingest })
    await engine.until(engine.isReading)
    for (const number of numbers(3)) await broker.publish('plant/1', number)
    await held.untilTaken(3)
    held.taken[1]?.reject(new SluiceError('OutboxFull', 'Too much waits for room in the outbox'))
    held.taken[2]?.resolve()
    held.taken[0]?.resolve()
    await engine.until(() => !engine.isReading() && broker.acknowledged.length > 0)
    expect(broker.acknowledged).toEqual(['1'])
    expect(engine.warnings()).toEqual([
      'the upstream broker is not connected: ' +
        'the outbox has no room for its messages, which wait there',
    ])
    engine.clock.advance(1_000)
    await held.untilTaken(5)
    for (const taken of held.taken) taken.resolve()
    await engine.until(() => broker.acknowledged.length === 3)
    expect(held.payloads()).toEqual(['1', '2', '3', '2', '3'])
    expect(broker.acknowledged).toEqual(numbers(3))
  })
})

test('no more is read than may be unacknowledged', async () => {
  const broker = await startBroker()
  const held = createHeldIngest()
  const engine = await startUpstream({
    port: broker.port,
    ingest: held.ingest,
    environment: { SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX: '8' },
  })
  await engine.until(engine.isReading)
  const all = numbers(200)
  for (const number of all) await broker.publish('plant/1', number)
  for (let settled = 0; settled < all.length; settled++) {
    await held.untilTaken(settled + 1)
    expect(held.taken.length - settled).toBeLessThanOrEqual(8)
    held.taken[settled]?.resolve()
  }
  await engine.until(() => broker.acknowledged.length === all.length)
  expect(held.payloads()).toEqual(all)
  expect(broker.acknowledged).toEqual(all)
})

test('PINGREQ goes out while nothing is read', async () => {
  const broker = await startBroker()
  const held = createHeldIngest()
  const engine = await startUpstream({
    port: broker.port,
    ingest: held.ingest,
    environment: { SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX: '1' },
  })
  await engine.until(engine.isReading)
  await broker.publish('plant/1', 'a')
  await held.untilTaken(1)
  for (let times = 0; times < 2; times++) {
    const ping = once(broker.aedes, 'ping')
    engine.clock.advance(30_000)
    await ping
  }
  held.taken[0]?.resolve()
  await engine.until(() => broker.acknowledged.length === 1)
  const timers = engine.clock.timerCount
  engine.clock.advance(60_000)
  expect(engine.clock.timerCount).toBe(timers)
})

test('a broker that restarts is connected again, and told of in one line', async () => {
  const broker = await startBroker()
  const engine = await startUpstream({ port: broker.port })
  const name = `127.0.0.1:${broker.port}`
  await engine.until(engine.isReading)
  expect(await engine.metric('upstreamConnected')).toEqual({ [name]: 1 })
  engine.clock.advance(40_000)
  await broker.down()
  await engine.until(() => engine.warnings().length === 1)
  expect(await engine.metric('upstreamConnected')).toEqual({ [name]: 0 })
  expect(engine.upstream.troubles()).toEqual(['upstreamDisconnected'])
  await broker.publish('plant/1', 'while away')
  engine.clock.advance(500)
  await engine.until(() => engine.warnings().length === 2)
  await broker.up()
  engine.clock.advance(60_000)
  await engine.until(() => broker.acknowledged.length === 1)
  expect(engine.payloads()).toEqual(['while away'])
  expect(engine.warnings()).toEqual([
    'the upstream broker is not connected: it closed the connection without a reason',
    'the upstream broker is not connected: nothing listens there',
  ])
  expect(await engine.metric('upstreamReconnects')).toEqual({ [name]: 1 })
  expect(engine.upstream.troubles()).toEqual([])
})

test('a message of QoS 0 that finds no room is dropped for the rules', async () => {
  const broker = await startBroker()
  const full = new SluiceError('OutboxFull', 'Too much waits for room in the outbox')
  const engine = await startUpstream({
    port: broker.port,
    ingest: ({ qos }) => (qos === 0 ? Promise.reject(full) : Promise.resolve()),
  })
  await engine.until(engine.isReading)
  await broker.publish('plant/1', 'a', { qos: 0 })
  await broker.publish('plant/1', 'b')
  await engine.until(() => broker.acknowledged.length === 1)
  expect(await engine.metric('upstreamMessages')).toMatchObject({ durable: 1, dropped: 1 })
  expect(engine.distributed).toHaveLength(2)
  expect(engine.warnings()).toEqual(['a message of QoS 0 was dropped for the rules'])
})

describe('topics', () => {
  test('that begin with $ are for the rules alone', async () => {
    const broker = await startBroker()
    const engine = await startUpstream({
      port: broker.port,
      environment: { SLUICE_UPSTREAM_FILTERS: '#, $aws/#' },
    })
    await engine.until(engine.isReading)
    await broker.publish('$aws/things/a/shadow/update/documents', '{}')
    await broker.publish('$aws/rules/hot/plant/1', '{}')
    await broker.publish('plant/1', '{}')
    await engine.until(() => broker.acknowledged.length === 3)
    expect(engine.ingested.map(({ topic, basicIngestRule }) => [topic, basicIngestRule])).toEqual([
      ['$aws/things/a/shadow/update/documents', undefined],
      ['plant/1', 'hot'],
      ['plant/1', undefined],
    ])
    expect(engine.ingested.every(({ isFromUpstream }) => isFromUpstream === true)).toBe(true)
    expect(engine.distributed).toEqual(['plant/1'])
  })

  test('that no rule can have, and payloads that are too large, are acknowledged', async () => {
    const broker = await startBroker()
    const engine = await startUpstream({ port: broker.port })
    await engine.until(engine.isReading)
    await broker.publish('a/b/c/d/e/f/g/h/i', 'too deep')
    await broker.publish('plant/1', 'x'.repeat(1_001))
    await broker.publish('plant/1', 'good')
    await engine.until(() => broker.acknowledged.length === 3)
    expect(engine.payloads()).toEqual(['good'])
    expect(await engine.metric('upstreamMessages')).toMatchObject({ durable: 1, invalid: 2 })
    expect(engine.warnings()).toEqual(['a message cannot be used, and is acknowledged'])
  })

  test('with retained messages: those from before the subscription are left out', async () => {
    const broker = await startBroker()
    await broker.publish('plant/1', 'old', { retain: true })
    const engine = await startUpstream({ port: broker.port })
    await engine.until(() => broker.acknowledged.length === 1)
    await broker.publish('plant/1', 'new', { retain: true })
    await engine.until(() => broker.acknowledged.length === 2)
    expect(engine.payloads()).toEqual(['new'])
    expect(engine.ingested[0]?.retain).toBe(false)
    expect(await engine.metric('upstreamMessages')).toMatchObject({ durable: 1, retained: 1 })
  })
})

test('what a session is subscribed to follows the configuration', async () => {
  const broker = await startBroker()
  const first = await startUpstream({ port: broker.port, environment: filters('a/#, b/#') })
  await first.until(first.isReading)
  await first.close()
  const { directory } = first
  const environment = filters('b/#, c/#')
  const second = await startUpstream({ port: broker.port, directory, environment })
  await second.until(second.isReading)
  for (const topic of ['a/1', 'b/1', 'c/1']) await broker.publish(topic, topic)
  await second.until(() => broker.acknowledged.length === 2)
  expect(second.payloads()).toEqual(['b/1', 'c/1'])
})

test('a session that the broker has not kept is told of', async () => {
  const broker = await startBroker()
  const first = await startUpstream({ port: broker.port })
  await first.until(first.isReading)
  await first.close()
  const other = await startBroker()
  await broker.down()
  // The same address, and another memory.
  const { directory } = first
  const second = await startUpstream({ port: other.port, directory })
  await second.until(second.isReading)
  expect(second.warnings()).toEqual([])
  await second.close()
  const persistence = other.aedes as unknown as {
    readonly persistence: { cleanSubscriptions(client: { id: string }): Promise<unknown> }
  }
  const clientId = String(second.lines.find(({ level }) => level === 'info')?.['clientId'])
  await persistence.persistence.cleanSubscriptions({ id: clientId })
  const third = await startUpstream({ port: other.port, directory })
  await third.until(third.isReading)
  expect(third.warnings()).toEqual([
    'the upstream broker has not kept the session: what was published while this engine was away ' +
      'is lost',
  ])
})

test('messages of QoS 2 that a session holds get PUBREC when they are durable', async () => {
  const broker = await startBroker()
  const clientId = 'engine'
  const before = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId, clean: false })
  await before.subscribeAsync('plant/#', { qos: 2 })
  await before.endAsync()
  await broker.publish('plant/1', 'a', { qos: 2 })
  const held = createHeldIngest()
  const engine = await startUpstream({
    port: broker.port,
    ingest: held.ingest,
    environment: { SLUICE_UPSTREAM_CLIENT_ID: clientId },
  })
  await held.untilTaken(1)
  await engine.until(engine.isReading)
  expect(held.taken[0]?.message.payload.toString()).toBe('a')
  expect(broker.acknowledged).toEqual([])
  held.taken[0]?.resolve()
  // PUBREC, and after PUBREL what ends it: the broker has nothing left to send.
  await engine.until(() => broker.acknowledged.length > 0)
  await engine.close()
  const again = await startUpstream({
    port: broker.port,
    directory: engine.directory,
    environment: { SLUICE_UPSTREAM_CLIENT_ID: clientId },
  })
  await again.until(again.isReading)
  await broker.publish('plant/1', 'b', { qos: 2 })
  await again.until(() => again.ingested.length > 0)
  expect(again.payloads()).toEqual(['b'])
  expect(again.ingested[0]?.qos).toBe(1)
})

test('closing waits for messages that are not durable yet, and takes no more', async () => {
  const broker = await startBroker()
  const held = createHeldIngest()
  const engine = await startUpstream({ port: broker.port, ingest: held.ingest })
  await engine.until(engine.isReading)
  await broker.publish('plant/1', 'a')
  await held.untilTaken(1)
  const closed = engine.upstream.close({ drainMs: 1_000 })
  await broker.publish('plant/1', 'b')
  held.taken[0]?.resolve()
  await closed
  expect(broker.acknowledged).toEqual(['a'])
  expect(held.payloads()).toEqual(['a'])
})
