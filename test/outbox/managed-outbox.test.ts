import { describe, expect, test } from 'vitest'
import { createManagedOutbox } from '../../src/outbox/managed-outbox.ts'
import type { DestinationState } from '../../src/outbox/managed-outbox.ts'
import { targetOf } from '../../src/outbox/outbox.ts'
import type { DeadLetter, NewRecord, Outbox } from '../../src/outbox/outbox.ts'
import type { Message } from '../../src/message.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { messageWith } from '../helpers/messages.ts'
import {
  expectMovedOnce,
  expectOverviewFits,
  expectStablePages,
} from './managed-outbox-promises.ts'
import type { ManagedSubject } from './managed-outbox-promises.ts'
import {
  everything,
  givenUp,
  idOf,
  newRecord,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

const noEngine = { replay: async () => undefined, distribute: async () => {} }
const delivering: DestinationState = {
  state: 'delivering',
  callsInFlight: 1,
  throttledShards: 0,
}

function recordOf(text: string, ruleName: string): NewRecord {
  return { ...newRecord(`of-${ruleName}`, text, text), ruleName }
}

async function giveUp(outbox: Outbox, texts: readonly string[]): Promise<void> {
  for (const { id } of outbox.destinations()) {
    const chosen = outbox
      .read(id, 0, everything)
      .filter(({ data }) => texts.includes(data.toString()))
    if (chosen.length > 0) {
      await outbox.giveUp(
        id,
        chosen.map((record) => givenUp(record)),
      )
    }
  }
}

/** What a rule makes again: the same record, or nothing. */
const replayOrKeep = async ({ data, ruleName }: DeadLetter) => {
  const text = data.toString()
  return text.endsWith('3') ? undefined : { records: [recordOf(text, ruleName)], messages: [] }
}

/** The managed outbox of one node. */
async function openSubject(): Promise<ManagedSubject> {
  const { outbox } = await openTestOutbox(temporaryDirectory())
  const engine = { ...noEngine, replay: replayOrKeep }
  return {
    managed: createManagedOutbox({ outbox, engine, deliveryOf: () => undefined }),
    async accept(texts, ruleName) {
      await Promise.all(texts.map((text) => outbox.append([recordOf(text, ruleName)])))
    },
    giveUp: (texts) => giveUp(outbox, texts),
    waiting: async () =>
      outbox
        .destinations()
        .flatMap(({ id }) => outbox.read(id, 0, everything))
        .map(({ data }) => data.toString()),
    close: () => outbox.close(),
  }
}

describe('the managed outbox of one node', () => {
  test('lists dead letters in pages that stay right while others come and go', async () => {
    await expect(expectStablePages(openSubject, 8)).resolves.toBeUndefined()
  })

  test('moves each dead letter once, however many ask at the same time', async () => {
    await expect(expectMovedOnce(openSubject, 12)).resolves.toBeUndefined()
  })

  test('goes on from a dead letter that is gone', async () => {
    const { managed, accept, giveUp: give, close } = await openSubject()
    await accept(['a', 'b', 'c'], 'r')
    await give(['a', 'b', 'c'])
    const { nextToken = '' } = await managed.deadLetters.list({ maxResults: 2 })
    await managed.deadLetters.delete({ ids: [nextToken] })
    const { deadLetters } = await managed.deadLetters.list({ nextToken })
    expect(deadLetters.map(({ data }) => data.toString())).toEqual(['c'])
    await expect(managed.deadLetters.list({ nextToken: 'x' })).rejects.toThrow(/not an id/)
    await close()
  })

  test('shows all destinations that have records, and some of the others', async () => {
    const clock = createManualClock()
    const { outbox } = await openTestOutbox(temporaryDirectory(), {}, clock)
    const deliveryOf = (id: number) => (id === idOf(outbox, 's-1') ? delivering : undefined)
    const managed = createManagedOutbox({ outbox, engine: noEngine, deliveryOf })
    const streams = Array.from({ length: 203 }, (_, index) => `s-${index}`)
    await Promise.all(streams.map((name) => outbox.append([newRecord(name, 'k', 'text')])))
    const all = await managed.overview()
    expect(all).toMatchObject({ records: 203, furtherDestinations: 0 })
    expect(all.destinations).toHaveLength(203)
    for (const { id, destination } of outbox.destinations()) {
      if (!['s-1', 's-2'].includes(targetOf(destination))) {
        outbox.delivered(id, outbox.read(id, 0, everything))
      }
    }
    clock.advance(1_000)
    await outbox.append([newRecord('s-2', 'k', 'text'), newRecord('s-3', 'k', 'text')])
    const some = await managed.overview()
    expect(some).toMatchObject({ records: 4, furtherDestinations: 3, limits: outbox.limits })
    expect(some.destinations).toHaveLength(200)
    const firstOnes = some.destinations.slice(0, 4)
    expect(firstOnes.map(({ destination, records }) => [targetOf(destination), records])).toEqual(
      expect.arrayContaining([
        ['s-1', 1],
        ['s-2', 2],
      ]),
    )
    expect(firstOnes.slice(0, 2).map(({ oldestAgeMs }) => oldestAgeMs)).toEqual([1_000, 1_000])
    expect(some.destinations.filter(({ delivery }) => delivery !== undefined)).toMatchObject([
      { destination: { streamName: 's-1' }, delivery: delivering },
    ])
    await expectOverviewFits(managed)
    await outbox.close()
  })
})

const republish = async ({ data }: DeadLetter) => ({
  records: [newRecord('b', 'k', data.toString())],
  messages: [messageWith({ topic: data.toString() })],
})

/** Dead letters, of which their rule makes a record and a message each. */
async function openRepublishing(distribute: (messages: readonly Message[]) => Promise<void>) {
  const { outbox } = await openTestOutbox(temporaryDirectory())
  const texts = Array.from({ length: 250 }, (_, index) => String(index + 1_000))
  await outbox.append(texts.map((text) => newRecord('a', 'k', text)))
  await giveUp(outbox, texts)
  const engine = { replay: republish, distribute }
  const managed = createManagedOutbox({ outbox, engine, deliveryOf: () => undefined })
  return { outbox, managed, texts }
}

describe('a replay by rule', () => {
  test('tells subscribers what is durable, once and in order', async () => {
    const told: string[] = []
    const { outbox, managed, texts } = await openRepublishing(async (messages) => {
      const topics = messages.map(({ topic }) => topic)
      expect(textsOf(outbox, 'b')).toEqual(expect.arrayContaining(topics))
      told.push(...topics)
    })
    expect(await managed.deadLetters.replay({}, 'rule')).toEqual({ count: 250, kept: 0 })
    expect(told).toEqual(texts)
    await outbox.close()
  })

  test('that ended in the middle is asked for again, and moves only the rest', async () => {
    const told: string[] = []
    let isDiskFull = true
    const { outbox, managed, texts } = await openRepublishing(async (messages) => {
      if (isDiskFull) throw new Error('the disk is full')
      told.push(...messages.map(({ topic }) => topic))
    })
    const { deadLetters } = await managed.deadLetters.list({ maxResults: 250 })
    const ids = deadLetters.map(({ id }) => id)
    await expect(managed.deadLetters.replay({ ids }, 'rule')).rejects.toThrow('the disk is full')
    await expectOverviewFits(managed)
    isDiskFull = false
    expect(await managed.deadLetters.replay({ ids }, 'rule')).toEqual({ count: 50, kept: 0 })
    expect(textsOf(outbox, 'b')).toEqual(texts)
    expect(told).toEqual(texts.slice(200))
    expect(await managed.deadLetters.replay({ ids }, 'rule')).toEqual({ count: 0, kept: 0 })
    await outbox.close()
  })
})
