import { EventEmitter, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { NewRecord, Outbox, OutboxOptions } from '../../src/outbox/outbox.ts'
import {
  everything,
  givenUp,
  idOf,
  newRecord,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

/** An outbox in which records with these texts were given up. */
async function openWithLetters(texts: readonly string[], options: OutboxOptions = {}) {
  const directory = temporaryDirectory()
  const opened = await openTestOutbox(directory, options)
  await giveUp(
    opened.outbox,
    texts.map((text) => newRecord('a', `key-${text}`, text)),
  )
  return { directory, ...opened }
}

async function giveUp(outbox: Outbox, records: readonly NewRecord[]): Promise<void> {
  await outbox.append(records)
  const id = idOf(outbox, 'a')
  await outbox.giveUp(
    id,
    outbox.read(id, 0, everything).map((record) => givenUp(record)),
  )
}

const listed = (outbox: Outbox, ruleName?: string) =>
  outbox.deadLetters
    .list(ruleName === undefined ? {} : { ruleName })
    .deadLetters.map(({ data }) => data.toString())

describe('dead letters', () => {
  test('show the record, its message and why it was given up', async () => {
    const { outbox } = await openWithLetters(['1'])
    const [letter] = outbox.deadLetters.list().deadLetters
    expect(letter).toMatchObject({
      ruleName: 'telemetry',
      actionIndex: 0,
      reason: { code: 'ResourceNotFoundException', message: 'no such stream' },
      attempts: 3,
      firstMs: 1_000,
      lastMs: 2_000,
      partitionKey: 'key-1',
      destination: { region: 'us-east-1', streamName: 'a', settings: { ordering: 'key' } },
      source: { messageId: 'm', topic: 'a/b', timestampMs: 1_700_000_000_000 },
    })
    expect(letter?.data.toString()).toBe('1')
    expect(letter?.source.payload.toString()).toBe('1')
    expect(outbox.size().records).toBe(0)
    await outbox.close()
  })

  test('are listed in pages, by rule', async () => {
    const { outbox } = await openWithLetters(['1', '2', '3'])
    await giveUp(outbox, [{ ...newRecord('a', 'k', '4'), ruleName: 'other' }])
    const first = outbox.deadLetters.list({ maxResults: 3 })
    expect(first.deadLetters.map(({ data }) => data.toString())).toEqual(['1', '2', '3'])
    const rest = outbox.deadLetters.list({ nextToken: first.nextToken ?? '' })
    expect(rest.deadLetters.map(({ data }) => data.toString())).toEqual(['4'])
    expect(rest.nextToken).toBeUndefined()
    expect(listed(outbox, 'other')).toEqual(['4'])
    expect(() => outbox.deadLetters.list({ nextToken: 'x' })).toThrow(/not an id/)
    await outbox.close()
  })

  test('survive a restart, with their destination', async () => {
    const { directory, outbox } = await openWithLetters(['1', '2'])
    await outbox.close()
    const { outbox: reopened } = await openTestOutbox(directory)
    expect(listed(reopened)).toEqual(['1', '2'])
    expect(reopened.deadLetters.size().records).toBe(2)
    await reopened.close()
  })

  test('are replayed unchanged and in order, with a new time', async () => {
    const { outbox } = await openWithLetters(['1', '2', '3'])
    const ids = outbox.deadLetters.list().deadLetters.map(({ id }) => id)
    const before = Date.now()
    const result = await outbox.deadLetters.replay(
      { ids: [ids[2] ?? '', ids[0] ?? '', '999'] },
      'asIs',
    )
    expect(result).toEqual({ count: 2, kept: 0 })
    expect(textsOf(outbox, 'a')).toEqual(['1', '3'])
    expect(listed(outbox)).toEqual(['2'])
    const [record] = outbox.read(idOf(outbox, 'a'), 0, everything)
    expect(record).toMatchObject({ partitionKey: 'key-1' })
    expect(record?.acceptedAtMs).toBeGreaterThanOrEqual(before)
    await outbox.close()
  })

  test('are replayed as the rule makes them now, and kept when it makes nothing', async () => {
    const { outbox } = await openWithLetters(['1', '2'])
    const result = await outbox.deadLetters.replay({ ruleName: 'telemetry' }, ({ data }) =>
      data.toString() === '1' ? [newRecord('b', 'new', 'made of 1')] : undefined,
    )
    expect(result).toEqual({ count: 1, kept: 1 })
    expect(textsOf(outbox, 'b')).toEqual(['made of 1'])
    expect(listed(outbox)).toEqual(['2'])
    expect(outbox.ledger('telemetry')).toMatchObject([{ accepted: 2, queued: 1, deadLettered: 1 }])
    await outbox.close()
  })

  test('are moved once when two replays run', async () => {
    const { outbox } = await openWithLetters(['1', '2'])
    await Promise.all([
      outbox.deadLetters.replay({}, 'asIs'),
      outbox.deadLetters.replay({}, 'asIs'),
      outbox.deadLetters.delete({}),
    ])
    expect(textsOf(outbox, 'a')).toEqual(['1', '2'])
    expect(outbox.ledger('telemetry')).toMatchObject([{ accepted: 2, queued: 2, dropped: 0 }])
    await outbox.close()
  })

  test('are moved once when what is called after a part throws', async () => {
    const texts = Array.from({ length: 250 }, (_, index) => String(index))
    const { outbox } = await openWithLetters(texts)
    const broken = outbox.deadLetters.replay({}, 'asIs', () => {
      throw new Error('no subscriber')
    })
    await expect(broken).rejects.toThrow('no subscriber')
    expect(textsOf(outbox, 'a')).toEqual(texts.slice(0, 200))
    expect(outbox.deadLetters.size().records).toBe(50)
    expect(await outbox.deadLetters.replay({}, 'asIs')).toEqual({ count: 50, kept: 0 })
    expect(textsOf(outbox, 'a')).toEqual(texts)
    expect(outbox.ledger('telemetry')).toMatchObject([{ accepted: 250, queued: 250 }])
    await outbox.close()
  })

  test('are deleted, and counted as dropped', async () => {
    const { outbox } = await openWithLetters(['1', '2'])
    expect(await outbox.deadLetters.delete({ ruleName: 'nobody' })).toEqual({ count: 0, kept: 0 })
    expect(await outbox.deadLetters.delete({})).toEqual({ count: 2, kept: 0 })
    expect(listed(outbox)).toEqual([])
    expect(outbox.ledger('telemetry')).toMatchObject([{ accepted: 2, dropped: 2 }])
    await outbox.close()
  })

  test('are bounded: the oldest go first, and are counted as dropped', async () => {
    const texts = Array.from({ length: 30 }, (_, index) => String(index))
    const { outbox } = await openWithLetters(texts, { deadLetterBytesMax: 2_000 })
    await giveUp(outbox, [newRecord('a', 'k', 'last')])
    const kept = listed(outbox)
    expect(outbox.deadLetters.size().bytes).toBeLessThanOrEqual(2_000)
    expect(kept.at(-1)).toBe('last')
    expect([...texts, 'last'].slice(-kept.length)).toEqual(kept)
    expect(outbox.ledger('telemetry')).toMatchObject([
      { accepted: 31, deadLettered: kept.length, dropped: 31 - kept.length },
    ])
    await outbox.close()
  })
})

const numbers = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => String(first + index))
/** What a dead letter of `openWithLetters` takes, roughly. */
const letterBytes = 130

/** A replay whose first part, 200 of 300 dead letters, is durable and waits. */
async function openWaiting(options: OutboxOptions = {}) {
  const { outbox } = await openWithLetters(numbers(1_000, 300), options)
  const events = new EventEmitter()
  const waits = once(events, 'waits')
  const letGo = once(events, 'letGo')
  const replayed = outbox.deadLetters.replay({}, 'asIs', async () => {
    events.emit('waits')
    await letGo
  })
  await waits
  return { outbox, replayed, letGo: () => events.emit('letGo') }
}

/** Gives up a further record, of another destination than those of the replay. */
async function bury(outbox: Outbox, texts: readonly string[]): Promise<void> {
  await outbox.append(texts.map((text) => newRecord('b', 'k', text)))
  const id = idOf(outbox, 'b')
  const records = outbox.read(id, 0, everything)
  await outbox.giveUp(
    id,
    records.map((record) => givenUp(record)),
  )
}

describe('a replay that waits for slow subscribers', () => {
  test('keeps the dead letters that it has still to replay, up to twice the bound', async () => {
    const deadLetterBytesMax = 310 * letterBytes
    const { outbox, replayed, letGo } = await openWaiting({ deadLetterBytesMax })
    await bury(outbox, numbers(2_000, 300))
    expect(listed(outbox).slice(0, 1)).toEqual(['1200'])
    letGo()
    expect(await replayed).toEqual({ count: 300, kept: 0 })
    expect(textsOf(outbox, 'a')).toEqual(numbers(1_000, 300))
    await outbox.close()
  })

  test('does not let the dead letters grow without bound', async () => {
    const deadLetterBytesMax = 310 * letterBytes
    const { outbox, replayed, letGo } = await openWaiting({ deadLetterBytesMax })
    for (let round = 0; round < 10; round += 1) await bury(outbox, numbers(2_000, 100))
    expect(outbox.deadLetters.size().bytes).toBeLessThanOrEqual(2 * deadLetterBytesMax)
    letGo()
    expect(await replayed).toEqual({ count: 200, kept: 0 })
    await bury(outbox, ['last'])
    expect(outbox.deadLetters.size().bytes).toBeLessThanOrEqual(deadLetterBytesMax)
    const [counts] = outbox.ledger('telemetry')
    const { queued = 0, deadLettered = 0, dropped = 0 } = counts ?? {}
    expect(counts).toMatchObject({ accepted: 1_301, queued: 200, delivered: 0 })
    expect(queued + deadLettered + dropped).toBe(1_301)
    expect(deadLettered).toBe(outbox.deadLetters.size().records)
    await outbox.close()
  })

  test('lets others be deleted and replayed meanwhile', async () => {
    const { outbox, replayed, letGo } = await openWaiting()
    const [first, second] = outbox.deadLetters.list().deadLetters
    expect(await outbox.deadLetters.delete({ ids: [first?.id ?? ''] })).toMatchObject({ count: 1 })
    const again = await outbox.deadLetters.replay({ ids: [second?.id ?? ''] }, 'asIs')
    expect(again).toEqual({ count: 1, kept: 0 })
    letGo()
    expect(await replayed).toEqual({ count: 298, kept: 0 })
    expect(textsOf(outbox, 'a').toSorted()).toEqual(
      numbers(1_000, 300).filter((text) => text !== '1200'),
    )
    await outbox.close()
  })
})
