import { open } from 'lmdb'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { messageWith } from '../../helpers/messages.ts'
import { until } from '../helpers.ts'
import { newFolder, startKept } from './kept-parts.ts'
import type { KeptBroker } from './kept-parts.ts'

const publisherOf = (broker: KeptBroker) => broker.open({ clientId: 'publisher', clean: true })

/** The rows of each table. */
async function rowCounts(folder: string): Promise<Record<string, number>> {
  const environment = open(path.join(folder, 'kept'), { readOnly: true })
  const names = ['messages', 'queue', 'retained', 'sessions']
  const counts = names.map((name) => {
    const table = environment.openDB({ name, encoding: 'binary', keyEncoding: 'binary' })
    return [name, (table.getStats() as { entryCount: number }).entryCount] as const
  })
  await environment.close()
  return Object.fromEntries(counts)
}

describe.each([4, 5] as const)('after a kill, for a client of version %s', (version) => {
  test('what was queued while it was absent comes in order, and later ones behind it', async () => {
    const broker = await startKept(await newFolder())
    const session = await broker.open({ version })
    await session.subscribe()
    await session.close()
    const publisher = await publisherOf(broker)
    for (const payload of ['1', '2', '3']) await publisher.publish('kept/a', payload)
    const again = await startKept(await broker.killed())
    await (await publisherOf(again)).publish('kept/a', '4')
    const resumed = await again.open({ version })
    expect(resumed.isPresent).toBe(true)
    expect(await resumed.take(4)).toEqual(['1', '2', '3', '4'])
    await (await publisherOf(again)).publish('kept/b', 'to the subscription')
    expect(await resumed.take(1)).toEqual(['to the subscription'])
  })

  test('what a group has queued comes to its member', async () => {
    const broker = await startKept(await newFolder())
    const session = await broker.open({ version })
    await session.subscribe({ topic: '$share/group/kept/#' })
    await session.close()
    const publisher = await publisherOf(broker)
    for (const payload of ['1', '2']) await publisher.publish('kept/a', payload)
    const again = await startKept(await broker.killed())
    const resumed = await again.open({ version })
    await (await publisherOf(again)).publish('kept/a', '3')
    expect(await resumed.take(3)).toEqual(['1', '2', '3'])
  })

  test('what rules and services publish is there once they are told', async () => {
    const broker = await startKept(await newFolder())
    const session = await broker.open({ version })
    await session.subscribe()
    await session.close()
    const message = messageWith({ topic: 'kept/a', payload: 'republished', qos: 1 })
    await new Promise<unknown>((resolve) => void broker.ingress.distribute(message, resolve))
    const again = await startKept(await broker.killed())
    expect(await (await again.open({ version })).take(1)).toEqual(['"republished"'])
  })

  test('what it has not acknowledged comes again, under its packet id', async () => {
    const folder = await newFolder()
    const broker = await startKept(folder)
    const session = await broker.open({ version })
    await session.subscribe({ qos: 2 })
    const publisher = await publisherOf(broker)
    await publisher.publish('kept/a', 'sent')
    const { messageId: sent } = await session.next('publish')
    publisher.send({
      cmd: 'publish',
      topic: 'kept/b',
      payload: 'received',
      qos: 2,
      messageId: 9,
      dup: false,
      retain: false,
    })
    await publisher.next('pubrec')
    const { messageId: received = 0 } = await session.next('publish')
    session.send({ cmd: 'pubrec', messageId: received })
    await session.next('pubrel')
    await broker.stop()
    const resumed = await (await startKept(folder)).open({ version })
    expect(await resumed.next('publish')).toMatchObject({ messageId: sent, dup: true, qos: 1 })
    expect(await resumed.next('pubrel')).toMatchObject({ messageId: received })
  })

  test('a message that it has acknowledged does not come, nor one of a subscription that ended', async () => {
    const folder = await newFolder()
    const broker = await startKept(folder)
    const session = await broker.open({ version })
    await session.subscribe({ topic: 'kept/a' }, { topic: 'kept/b' })
    const publisher = await publisherOf(broker)
    await publisher.publish('kept/a', 'taken')
    expect(await session.take(1)).toEqual(['taken'])
    session.send({ cmd: 'unsubscribe', messageId: 77, unsubscriptions: ['kept/a'] })
    await session.next('unsuback')
    await session.close()
    await broker.stop()
    const again = await startKept(folder)
    const other = await publisherOf(again)
    await other.publish('kept/a', 'nobody gets it')
    await other.publish('kept/b', 'queued')
    expect(await (await again.open({ version })).take(1)).toEqual(['queued'])
  })
})

describe('after a kill', () => {
  test('the options of subscriptions of MQTT 5 hold', async () => {
    const broker = await startKept(await newFolder())
    const session = await broker.open({ version: 5 })
    session.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 'kept/#', qos: 1, nl: true, rap: true, rh: 2 }],
      properties: { subscriptionIdentifier: 7 },
    })
    await session.next('suback')
    await session.close()
    const publisher = await publisherOf(broker)
    await publisher.publish('kept/a', 'queued', { retain: true })
    const again = await startKept(await broker.killed())
    const resumed = await again.open({ version: 5 })
    const own = resumed.publish('kept/b', 'own')
    await own
    await (await publisherOf(again)).publish('kept/c', 'of another', { retain: true })
    for (const payload of ['queued', 'of another']) {
      expect(await resumed.next('publish')).toMatchObject({
        payload: Buffer.from(payload),
        retain: true,
        properties: { subscriptionIdentifier: 7 },
      })
    }
  })

  test('each topic has its last retained message, with its properties', async () => {
    const broker = await startKept(await newFolder())
    const publisher = await broker.open({ version: 5, clientId: 'publisher', clean: true })
    const userProperties = { unit: 'K' }
    const properties = {
      contentType: 'text/plain',
      correlationData: Buffer.from([0, 255]),
      userProperties,
    }
    await publisher.publish('kept/a', 'first', { retain: true })
    await publisher.publish('kept/a', 'last', { retain: true, properties })
    await publisher.publish('kept/cleared', 'gone', { retain: true })
    await publisher.publish('kept/cleared', '', { retain: true })
    await publisher.publish('kept/two', 'of QoS 2', { retain: true, qos: 2 })
    const again = await startKept(await broker.killed())
    expect(again.ingress.listRetained({ max: 10 }).map(({ topic, qos }) => [topic, qos])).toEqual([
      ['kept/a', 1],
      ['kept/two', 2],
    ])
    const session = await again.open({ version: 5 })
    await session.subscribe({ topic: 'kept/a' })
    const retained = await session.next('publish')
    expect(retained).toMatchObject({ payload: Buffer.from('last'), retain: true })
    expect(retained.properties).toMatchObject(properties)
  })

  test('a retained message of QoS 0 is there soon', async () => {
    const folder = await newFolder()
    const broker = await startKept(folder)
    const publisher = await publisherOf(broker)
    publisher.send({
      cmd: 'publish',
      topic: 'kept/a',
      payload: '0',
      qos: 0,
      retain: true,
      dup: false,
    })
    await until(() => broker.ingress.retained('kept/a') !== undefined)
    await broker.stop()
    const again = await startKept(folder)
    expect(again.ingress.retained('kept/a')?.payload.toString()).toBe('0')
  })
})

describe('time goes on while the process is down', () => {
  const hourMs = 3_600_000
  const start = Date.UTC(2026, 0, 1)

  async function downFor(downMs: number, wallMs: number) {
    const clock = createManualClock(start)
    const broker = await startKept(await newFolder(), { clock, sessionExpiryMs: 2 * hourMs })
    const session = await broker.open({ version: 5, expirySeconds: 3_600 })
    await session.subscribe()
    await session.close()
    const publisher = await broker.open({ version: 5, clientId: 'publisher', clean: true })
    const expires = { properties: { messageExpiryInterval: 1_800 } }
    await publisher.publish('kept/a', 'for half an hour', { ...expires, retain: true })
    await publisher.publish('kept/b', 'for ever', { retain: true })
    const folder = await broker.killed()
    const later = createManualClock(start + downMs + wallMs)
    const again = await startKept(folder, { clock: later, sessionExpiryMs: 2 * hourMs })
    return { again, later }
  }

  test.each([
    { downMs: hourMs / 4, isPresent: true, queued: ['for half an hour', 'for ever'] },
    { downMs: (3 * hourMs) / 4, isPresent: true, queued: ['for ever'] },
    { downMs: 1.25 * hourMs, isPresent: false, queued: [] },
  ])('for $downMs ms', async ({ downMs, isPresent, queued }) => {
    const { again } = await downFor(downMs, 0)
    const retained = again.ingress.listRetained({ max: 10 }).map(({ topic }) => topic)
    expect(retained).toEqual(downMs > hourMs / 2 ? ['kept/b'] : ['kept/a', 'kept/b'])
    const session = await again.open({ version: 5, expirySeconds: 3_600 })
    expect(session.isPresent).toBe(isPresent)
    expect(await session.take(queued.length)).toEqual(queued)
  })

  test('and a clock that was set back gives nothing more time than it had', async () => {
    const { again, later } = await downFor(0, -24 * hourMs)
    later.advance(hourMs / 2 + 1_000)
    expect(again.ingress.listRetained({ max: 10 }).map(({ topic }) => topic)).toEqual(['kept/b'])
    later.advance(hourMs / 2)
    const session = await again.open({ version: 5 })
    expect(session.isPresent).toBe(false)
  })

  test('an unclean client, and one whose session ends with its connection, leave nothing', async () => {
    const folder = await newFolder()
    const broker = await startKept(folder)
    const ends = await broker.open({ version: 5, clientId: 'ends', expirySeconds: 0 })
    await ends.subscribe()
    const clean = await broker.open({ clientId: 'clean', clean: true })
    await clean.subscribe()
    await (await publisherOf(broker)).publish('kept/a', 'x')
    expect([await ends.take(1), await clean.take(1)]).toEqual([['x'], ['x']])
    const copy = await broker.killed()
    expect(await rowCounts(copy)).toEqual({ messages: 0, queue: 0, retained: 0, sessions: 0 })
  })
})

test('rows go with what they are of', async () => {
  const folder = await newFolder()
  const broker = await startKept(folder)
  const sessions = await Promise.all(['one', 'two'].map((clientId) => broker.open({ clientId })))
  for (const session of sessions) await session.subscribe()
  const publisher = await publisherOf(broker)
  await publisher.publish('kept/a', 'taken by both', { retain: true })
  await publisher.publish('kept/a', '', { retain: true })
  for (const session of sessions) expect(await session.take(2)).toEqual(['taken by both', ''])
  await publisher.publish('kept/b', 'taken by one')
  expect(await sessions[0]?.take(1)).toEqual(['taken by one'])
  for (const session of sessions) await session.close()
  for (const clientId of ['one', 'two'])
    await (await broker.open({ clientId, clean: true })).close()
  await broker.stop()
  expect(await rowCounts(folder)).toEqual({ messages: 0, queue: 0, retained: 0, sessions: 0 })
})

test('a damaged row is put in quarantine, and the others are read', async () => {
  const folder = await newFolder()
  const broker = await startKept(folder)
  const publisher = await publisherOf(broker)
  await publisher.publish('kept/rotten', 'this row rots', { retain: true })
  await publisher.publish('kept/sound', 'this one does not', { retain: true })
  await broker.stop()
  const file = path.join(folder, 'kept', 'data.mdb')
  const bytes = await readFile(file)
  for (let at = bytes.indexOf('this row rots'); at !== -1; at = bytes.indexOf('this row rots')) {
    bytes[at] = 0
  }
  await writeFile(file, bytes)
  const again = await startKept(folder)
  expect(again.ingress.listRetained({ max: 9 }).map(({ topic }) => topic)).toEqual(['kept/sound'])
  expect(again.lines).toContainEqual(expect.objectContaining({ level: 'error', rows: 1 }))
  const lines = await readFile(path.join(folder, 'quarantine', 'kept.ndjson'), 'utf8')
  expect(JSON.parse(lines)).toMatchObject({ table: 'retained' })
  await again.stop()
  expect((await startKept(folder)).lines).toEqual([])
})
