import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/outbox.ts'
import {
  destination,
  everything,
  idOf,
  newRecord,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'
import { connectRaw, encode, publishPacket, startIngress, until } from '../ingress/helpers.ts'

const text = (name: string) => `${name} ${'x'.repeat(470)}`
const named = (outbox: Outbox, streamName: string) =>
  textsOf(outbox, streamName).map((each) => each.split(' ')[0])

/** A share holds two records of `text`: with the third append there is none left. */
async function openSmall() {
  const opened = await openTestOutbox(temporaryDirectory(), { bytesMax: 4_000 })
  const { outbox } = opened
  const done: string[] = []
  const append = (streams: string, name: string, key = name) => {
    const records = streams.split('').map((stream) => newRecord(stream, key, text(name)))
    const appended = outbox.append(records).then(
      () => void done.push(name),
      () => void done.push(`${name} refused`),
    )
    return appended
  }
  const settleOldest = (streamName: string, count = 1) => {
    const id = idOf(outbox, streamName)
    outbox.delivered(id, outbox.read(id, 0, { ...everything, countMax: count }))
  }
  return { ...opened, done, append, settleOldest }
}

/** Long enough for anything that does not wait for room to be on disk. */
const commits = async ({ outbox }: { readonly outbox: Outbox }) => {
  await outbox.append([newRecord('elsewhere', 'k', '1')])
  await outbox.append([newRecord('elsewhere', 'k', '2')])
}

describe('a destination whose share is full', () => {
  test('holds the messages that match it, in order, and no others', async () => {
    const parts = await openSmall()
    const { outbox, append, done, settleOldest, metrics } = parts
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const waiting = [append('a', '3'), append('a', '4'), append('ab', '5')]
    await append('b', '6')
    await commits(parts)
    expect(done).toEqual(['1', '2', '6'])
    expect(await metrics.registry.metrics()).toContain('sluice_outbox_appends_waiting 3')
    settleOldest('a')
    await waiting[0]
    await commits(parts)
    expect(done).toEqual(['1', '2', '6', '3'])
    settleOldest('a', 2)
    await Promise.all(waiting)
    expect(named(outbox, 'a')).toEqual(['4', '5'].slice(-named(outbox, 'a').length))
    expect(await metrics.registry.metrics()).toContain('sluice_outbox_appends_waiting 0')
    expect(named(outbox, 'b')).toEqual(['6', '5'])
    await outbox.close()
  })

  test('lets an append go that nobody waits for any more, and what stood behind it', async () => {
    const parts = await openSmall()
    const { outbox, append, done, metrics } = parts
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    expect(outbox.troubles.isFull()).toBe(false)
    const gone = new AbortController()
    const records = ['a', 'b'].map((stream) => newRecord(stream, 'k', text('3')))
    const left = outbox.append(records, { signal: gone.signal })
    const behind = append('b', '4', 'k')
    await commits(parts)
    expect(done).toEqual(['1', '2'])
    expect(outbox.troubles.isFull()).toBe(true)
    gone.abort()
    await expect(left).rejects.toMatchObject({ code: 'SenderGone' })
    await behind
    expect(outbox.troubles.isFull()).toBe(false)
    expect(done).toEqual(['1', '2', '4'])
    expect(await metrics.registry.metrics()).toContain('sluice_outbox_appends_waiting 0')
    await expect(outbox.append(records, { signal: gone.signal })).rejects.toMatchObject({
      code: 'SenderGone',
    })
    // Of an append that has got room, the signal changes nothing.
    const late = new AbortController()
    const durable = outbox.append([newRecord('b', 'k', '5')], { signal: late.signal })
    late.abort()
    await durable
    expect(named(outbox, 'b')).toEqual(['4', '5'])
    await outbox.close()
  })

  test('holds a message of a key behind a waiting one of that key, for another destination too', async () => {
    const { outbox, append, settleOldest } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const both = append('ab', '3', 'k')
    const later = append('b', '4', 'k')
    const free = append('b', '5', 'other')
    await free
    expect(named(outbox, 'b')).toEqual(['5'])
    settleOldest('a')
    await both
    // Its turn has come, and there is room once the first is gone.
    settleOldest('b')
    await later
    expect(named(outbox, 'b')).toEqual(['3', '4'])
    await outbox.close()
  })

  test('an append made in the moment that room is made waits behind earlier ones', async () => {
    const { outbox, append, settleOldest } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const waiting = append('a', '3')
    settleOldest('a', 2)
    const late = append('a', '4')
    await Promise.all([waiting, late])
    expect(named(outbox, 'a')).toEqual(['3', '4'])
    await outbox.close()
  })

  test('drops and counts records that must not wait, and appends the rest of the message', async () => {
    const { outbox, append, metrics } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    await outbox.append([newRecord('a', 'k', text('3')), newRecord('b', 'k', text('3'))], {
      whenFull: 'drop',
    })
    expect(named(outbox, 'a')).toEqual(['1', '2'])
    expect(named(outbox, 'b')).toEqual(['3'])
    expect(outbox.ledger('telemetry')).toMatchObject([
      { accepted: 4, queued: 3, dropped: 1, delivered: 0, deadLettered: 0 },
    ])
    expect(await metrics.registry.metrics()).toContain(
      'sluice_records_dropped_total{rule="telemetry",action="0"} 1',
    )
    await outbox.close()
  })

  test('drops a record that must not wait rather than let it pass one of its key', async () => {
    const { outbox, append, settleOldest } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const waiting = append('ab', '3', 'k')
    await outbox.append([newRecord('b', 'k', text('4'))], { whenFull: 'drop' })
    await outbox.append([newRecord('b', 'other', text('5'))], { whenFull: 'drop' })
    expect(named(outbox, 'b')).toEqual(['5'])
    settleOldest('a', 2)
    await waiting
    expect(named(outbox, 'b')).toEqual(['5', '3'])
    expect(outbox.ledger('telemetry')).toMatchObject([{ dropped: 1 }])
    await outbox.close()
  })

  test('refuses waiting appends when the outbox closes', async () => {
    const { outbox, append, done } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const waiting = append('a', '3')
    await outbox.close()
    await waiting
    expect(done.at(-1)).toBe('3 refused')
  })

  test('refuses what is too much to wait, whether or not its sender may leave', async () => {
    const { outbox, append } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    // More than all appends together may hold while they wait; never written to.
    const huge = { ...newRecord('a', 'k', ''), data: Buffer.alloc(256 * 1024 * 1024) }
    const refused = { code: 'OutboxFull' }
    await expect(outbox.append([huge])).rejects.toMatchObject(refused)
    const { signal } = new AbortController()
    await expect(outbox.append([huge], { signal })).rejects.toMatchObject(refused)
    await outbox.close()
  })

  test('leaves no listener on the signal of a sender whose append has got room', async () => {
    const { outbox, append, settleOldest } = await openSmall()
    await Promise.all(['1', '2'].map((name) => append('a', name)))
    const { signal } = new AbortController()
    const waiting = outbox.append([newRecord('a', 'k', text('3'))], { signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    settleOldest('a')
    await waiting
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    await outbox.close()
  })

  test('holds no more than its share of the outbox', async () => {
    const { outbox, append, done, settleOldest } = await openSmall()
    const streams = ['a', 'b', 'c', 'd']
    await Promise.all(streams.flatMap((stream) => [append(stream, '1'), append(stream, '2')]))
    const late = append('e', 'late')
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(done).not.toContain('late')
    settleOldest('c')
    await late
    await outbox.close()
  })
})

test('messages that wait for room leave memory of the ingress to those of others', async () => {
  const { outbox } = await openTestOutbox(temporaryDirectory(), { bytesMax: 4 * 1024 * 1024 })
  const { port } = await startIngress(({ topic, payload }) =>
    outbox.append([newRecord(topic, 'k', payload.toString())]),
  )
  const good = await connectRaw(port, { clientId: 'good', keepalive: 0 })
  const publishGood = async () => {
    good.send(publishPacket({ topic: 'other', payload: '1' }))
    expect(await good.next()).toMatchObject({ cmd: 'puback' })
  }
  await publishGood()
  // More than the ingress lets through at a time.
  const payload = 'x'.repeat(128_000)
  const messages = Array.from({ length: 60 }, (_, index) =>
    encode(publishPacket({ topic: 'full', payload, messageId: index + 1 })),
  )
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, index) => connectRaw(port, { clientId: `c${index}` })),
  )
  for (const client of clients) client.send(...messages)
  while (!clients.some(({ isClosed }) => isClosed)) await publishGood()
  for (let count = 0; count < 20; count++) await publishGood()
  for (const client of clients) client.destroy()
  await outbox.close()
}, 60_000)

test('a message that waits for room does not stop all by the finished ones behind it', async () => {
  const { outbox } = await openTestOutbox(temporaryDirectory(), { bytesMax: 4 * 1024 * 1024 })
  const { port, metric } = await startIngress(
    async ({ topic, payload }, sender) => {
      if (topic === 'full') await outbox.append([newRecord(topic, 'k', payload.toString())], sender)
    },
    { heldBytesMax: 2 * 1024 * 1024 },
  )
  const filling = Array.from({ length: 9 }, (_, index) => {
    return outbox.append([newRecord('full', 'k', `${index} ${'x'.repeat(128_000)}`)])
  })
  await Promise.all(filling)
  const clients = await Promise.all(
    Array.from({ length: 3 }, (_, index) => connectRaw(port, { clientId: `c${index}` })),
  )
  const waiting = encode(publishPacket({ topic: 'full', payload: 'waits', messageId: 1 }))
  const others = Array.from({ length: 12 }, (_, index) =>
    encode(publishPacket({ topic: 'no rule', payload: 'y'.repeat(60_000), messageId: index + 2 })),
  )
  for (const client of clients) client.send(waiting, ...others)
  const good = await connectRaw(port, { clientId: 'good', keepalive: 0 })
  await until(async () => (await metric('mqttConnectionsRefused', { reason: 'held_answers' })) > 0)
  for (let messageId = 1; messageId <= 20; messageId++) {
    good.send(publishPacket({ topic: 'other', payload: '1', messageId }))
    expect(await good.next()).toMatchObject({ cmd: 'puback', messageId })
  }
  // Nothing was acknowledged behind the message that was not.
  expect(clients.flatMap((client) => client.waiting)).toEqual([])
  await until(() => clients.some(({ isClosed }) => isClosed))
  const ended = clients.findIndex(({ isClosed }) => isClosed)
  const again = await connectRaw(port, { clientId: `c${ended}`, keepalive: 0 })
  again.send(waiting)
  for (const client of clients) client.destroy()
  outbox.delivered(idOf(outbox, 'full'), outbox.read(idOf(outbox, 'full'), 0, everything))
  expect(await again.next()).toMatchObject({ cmd: 'puback', messageId: 1 })
  expect(textsOf(outbox, 'full')).toContain('waits')
  await outbox.close()
}, 60_000)

test('of messages that leave together, none goes where an earlier one of its key has left', async () => {
  const parts = await openSmall()
  const { outbox, append } = parts
  await Promise.all(['1', '2'].map((name) => append('a', name)))
  const gone = new AbortController()
  const both = ['a', 'b'].map((stream) => newRecord(stream, 'k', text('3')))
  const left = [
    outbox.append(both, { signal: gone.signal }),
    outbox.append([newRecord('b', 'k', text('4'))], { signal: gone.signal }),
  ]
  gone.abort()
  for (const each of await Promise.allSettled(left)) expect(each.status).toBe('rejected')
  await commits(parts)
  expect(named(outbox, 'b')).toEqual([])
  await outbox.close()
})

describe('destinations', () => {
  test('are 1,000 at most: an unused one makes room, and one too many is refused', async () => {
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory)
    const streams = Array.from({ length: 1_000 }, (_, index) => `s${index}`)
    await outbox.append(streams.map((stream) => newRecord(stream, 'k', stream)))
    const [oneMore, another] = [destination('more'), destination('another')]
    expect(outbox.admits(oneMore)).toBe(false)
    expect(outbox.admits(destination('s7'))).toBe(true)
    await expect(outbox.append([newRecordFor(oneMore, 'k', '1')])).rejects.toMatchObject({
      code: 'ActionFailed',
    })
    const id = idOf(outbox, 's7')
    outbox.delivered(id, outbox.read(id, 0, everything))
    // Until the removal is on disk, the destination is in use.
    await outbox.append([newRecord('s8', 'k', 'again')])
    expect(outbox.admits(oneMore)).toBe(true)
    await outbox.append([newRecordFor(oneMore, 'k', '1')])
    expect(outbox.admits(another)).toBe(false)
    expect(outbox.destinations()).toHaveLength(1_000)
    expect(idOf(outbox, 's7')).toBe(0)
    await outbox.close()
    const { outbox: reopened } = await openTestOutbox(directory)
    expect(reopened.destinations()).toHaveLength(1_000)
    expect(textsOf(reopened, 'more')).toEqual(['1'])
    await reopened.close()
  })
})
