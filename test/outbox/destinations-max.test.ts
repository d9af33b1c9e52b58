import { targetOf } from '../../src/outbox/outbox.ts'
import { describe, expect, test } from 'vitest'
import { encodeCounters } from '../../src/outbox/books/counters.ts'
import type { NewRecord, Outbox } from '../../src/outbox/outbox.ts'
import { destinationKey, openOutboxStore } from '../../src/outbox/store/outbox-store.ts'
import type { Changes } from '../../src/outbox/store/outbox-store.ts'
import {
  destination,
  everything,
  givenUp,
  idOf,
  newRecord,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

const range = (count: number) => Array.from({ length: count }, (_, index) => index)
const noChanges: Changes = {
  destinations: [],
  destinationRemovals: [],
  puts: [],
  removals: [],
  deadLetters: [],
  deadLetterRemovals: [],
  counts: [],
  ledger: [],
  ledgerRemovals: [],
}
const errorRecord = (stream: string): NewRecord => ({
  ...newRecord(stream, 'k', 'error'),
  actionIndex: -1,
})

const recordOf = (ruleName: string): NewRecord => ({ ...newRecord('a', 'k', 'x'), ruleName })

/** What waits in the whole outbox, as text. */
const allTexts = (outbox: Outbox) =>
  outbox
    .destinations()
    .flatMap(({ id }) => outbox.read(id, 0, everything))
    .map(({ data }) => data.toString())

/** An outbox in which so many destinations have a record, and `wrong` has these dead letters. */
async function openBusy(busy: number, letters: readonly string[]) {
  const directory = temporaryDirectory()
  const { outbox } = await openTestOutbox(directory)
  await outbox.append(letters.map((text) => newRecord('wrong', 'k', text)))
  const wrong = idOf(outbox, 'wrong')
  const records = outbox.read(wrong, 0, everything)
  await outbox.giveUp(
    wrong,
    records.map((record) => givenUp(record)),
  )
  await outbox.append(range(busy).map((index) => newRecord(`busy-${index}`, 'k', 'busy')))
  return { directory, outbox }
}

async function deliverAll(outbox: Outbox): Promise<void> {
  for (const { id } of outbox.destinations()) {
    outbox.delivered(id, outbox.read(id, 0, everything))
  }
  // Their removal goes to disk with the next transaction.
  await outbox.deadLetters.delete({ ids: [] })
}

test('records whose destination is missing are not delivered to another one', async () => {
  const directory = temporaryDirectory()
  const { outbox } = await openTestOutbox(directory)
  await outbox.append([newRecord('lost', 'k', 'lost')])
  const id = idOf(outbox, 'lost')
  await outbox.close()
  const store = await openOutboxStore(directory)
  await store.write({ ...noChanges, destinationRemovals: [id] })
  // The removal of a row takes the counters with it: these were written without one.
  const counts = [{ key: destinationKey(id), value: encodeCounters([1, 100, 0, 0], []) }]
  await store.write({ ...noChanges, counts })
  await store.close()
  const { outbox: reopened } = await openTestOutbox(directory)
  await reopened.append([newRecord('next', 'k', 'next')])
  expect(textsOf(reopened, 'next')).toEqual(['next'])
  await reopened.close()
})

describe('at the bound of destinations', () => {
  test('a replay by rule keeps dead letters without room for a destination, and loses no record', async () => {
    const texts = range(900).map((index) => `letter-${index}`)
    const { directory, outbox } = await openBusy(198, texts)
    const result = await outbox.deadLetters.replay({}, ({ data }) => [
      newRecord(`device-${data.toString()}`, 'k', data.toString()),
    ])
    // Of 1,000 destinations 198 are busy, and `wrong` has the dead letters that stay.
    expect(result).toEqual({ count: 801, kept: 99 })
    const replayed = texts.slice(0, 801)
    const expectAll = (held: Outbox) => {
      expect(allTexts(held).filter((text) => text !== 'busy')).toEqual(replayed)
      expect(held.deadLetters.size().records).toBe(99)
      const counts = { accepted: 1_098, queued: 999, deadLettered: 99, delivered: 0, dropped: 0 }
      expect(held.ledger('telemetry')).toMatchObject([counts])
    }
    expectAll(outbox)
    await outbox.close()
    const { outbox: reopened } = await openTestOutbox(directory)
    expectAll(reopened)
    await reopened.close()
  })

  test('a dead letter that becomes several records is replayed completely or not at all', async () => {
    const { outbox } = await openBusy(998, ['1'])
    const made = ['device-1', 'device-2'].map((stream) => newRecord(stream, 'k', stream))
    expect(await outbox.deadLetters.replay({}, () => made)).toEqual({ count: 0, kept: 1 })
    expect(outbox.size().records).toBe(998)
    expect(await outbox.deadLetters.replay({}, () => made.slice(1))).toEqual({ count: 1, kept: 0 })
    expect(textsOf(outbox, 'device-2')).toEqual(['device-2'])
    await outbox.close()
  })

  test('a given-up record becomes a dead letter, and holds no destination afterwards', async () => {
    const { outbox } = await openBusy(998, ['1'])
    const id = idOf(outbox, 'busy-0')
    const [record] = outbox.read(id, 0, everything)
    if (!record) throw new Error('no record')
    // There is room for either of the two alone.
    const replacements = [errorRecord('errors-1'), errorRecord('errors-2')]
    await outbox.giveUp(id, [givenUp(record, { replacements })])
    expect(outbox.deadLetters.size().records).toBe(2)
    await outbox.deadLetters.delete({})
    await deliverAll(outbox)
    const others = range(1_000).map((index) => newRecord(`other-${index}`, 'k', 'other'))
    await outbox.append(others)
    expect(outbox.size().records).toBe(1_000)
    await outbox.close()
  })

  test('records of one message are all replaced, or all become dead letters', async () => {
    const { outbox } = await openBusy(1_000, [])
    const id = idOf(outbox, 'busy-0')
    await outbox.append([newRecord('busy-0', 'k', 'second')])
    const replacements = [errorRecord('errors')]
    const records = outbox.read(id, 0, everything)
    await outbox.giveUp(
      id,
      records.map((record) => givenUp(record, { replacements })),
    )
    expect(outbox.deadLetters.size().records).toBe(2)
    await outbox.deadLetters.replay({}, 'asIs')
    const other = idOf(outbox, 'busy-1')
    outbox.delivered(other, outbox.read(other, 0, everything))
    await outbox.deadLetters.delete({ ids: [] })
    const again = outbox.read(id, 0, everything)
    await outbox.giveUp(
      id,
      again.map((record) => givenUp(record, { replacements })),
    )
    expect(outbox.deadLetters.size().records).toBe(0)
    expect(textsOf(outbox, 'errors')).toEqual(['error'])
    await outbox.close()
  })

  test('admits agrees with append for a message to a new and an idle stream', async () => {
    const { outbox } = await openBusy(999, [])
    const idle = destination('busy-998')
    const isIdle = outbox.destinations().find((one) => targetOf(one.destination) === 'busy-998')
    outbox.delivered(isIdle?.id ?? 0, outbox.read(isIdle?.id ?? 0, 0, everything))
    await outbox.append([newRecord('busy-0', 'k', 'its removal goes to disk with this')])
    await outbox.append([newRecord('busy-999', 'k', 'busy')])
    const fresh = destination('fresh')
    expect(outbox.admits(fresh)).toBe(true)
    expect(outbox.admits(idle)).toBe(true)
    expect(outbox.admits(idle, new Set([fresh]))).toBe(false)
    const both = [newRecordFor(fresh, 'k', '1'), newRecordFor(idle, 'k', '1')]
    await expect(outbox.append(both)).rejects.toMatchObject({ code: 'ActionFailed' })
    await outbox.append([newRecordFor(idle, 'k', '2')])
    expect(textsOf(outbox, 'busy-998')).toEqual(['2'])
    await outbox.close()
  })
})

test('a forgotten destination comes back as one destination, whichever rule names it', async () => {
  const { outbox } = await openTestOutbox(temporaryDirectory(), { destinationsMax: 1 })
  const [one, another] = [destination('a'), destination('a')]
  for (const record of [newRecordFor(one, 'k', '1'), newRecord('b', 'k', '2')]) {
    await outbox.append([record])
    await deliverAll(outbox)
  }
  await outbox.append([newRecordFor(another, 'k', '3')])
  await outbox.append([newRecordFor(one, 'k', '4')])
  expect(outbox.destinations()).toMatchObject([{ records: 2 }])
  expect(textsOf(outbox, 'a')).toEqual(['3', '4'])
  await outbox.close()
})

test('an action keeps its row of the ledger while a record of it is on its way to disk', async () => {
  const { outbox } = await openTestOutbox(temporaryDirectory())
  const settleAll = () => {
    const id = idOf(outbox, 'a')
    outbox.delivered(id, outbox.read(id, 0, everything))
  }
  await outbox.append([recordOf('first'), recordOf('second')])
  settleAll()
  await outbox.append(range(19_998).map((index) => recordOf(`busy-${index}`)))
  await Promise.all([
    outbox.append([recordOf('first')]),
    outbox.append([recordOf('new')], { whenFull: 'drop' }),
    outbox.append([recordOf('newer')]),
  ])
  settleAll()
  expect(outbox.ledger('first')).toMatchObject([{ accepted: 2, delivered: 2, queued: 0 }])
  await outbox.close()
})
