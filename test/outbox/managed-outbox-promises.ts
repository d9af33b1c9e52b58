/**
 * What every managed outbox promises, that of one node and that of a cluster, as properties: random
 * dead letters, and random replays, deletions and additions while others ask.
 */
import * as fc from 'fast-check'
import { expect } from 'vitest'
import type { ManagedOutbox } from '../../src/outbox/managed-outbox.ts'

/** A managed outbox, and what happens to it that operators do not do. */
export interface ManagedSubject {
  readonly managed: ManagedOutbox
  /** Accepts a record for each text, which is its data. */
  readonly accept: (texts: readonly string[], ruleName: string) => Promise<void>
  /** Gives up those records that wait and have one of these texts: they become dead letters. */
  readonly giveUp: (texts: readonly string[]) => Promise<void>
  /** The texts of the records that wait. Rules make the same records again, or nothing. */
  waiting(): Promise<readonly string[]>
  readonly close: () => Promise<void>
}

type Open = () => Promise<ManagedSubject>

const ruleNames = ['first', 'second']

/** The ledger adds up, and the other figures say the same. */
export async function expectOverviewFits(managed: ManagedOutbox): Promise<void> {
  const { records, deadLetters, destinations, ledger } = await managed.overview()
  const { accepted, delivered, queued, deadLettered, dropped } = ledger
  expect(accepted).toBe(delivered + queued + deadLettered + dropped)
  expect({ records, deadLetters: deadLetters.records }).toEqual({
    records: queued,
    deadLetters: deadLettered,
  })
  expect(sumOf(destinations.map((one) => one.records))).toBe(records)
}

/** What happens between two pages. */
const change = fc.record({
  add: fc.nat(4),
  /** Records that wait since before the first page: their ids are in the middle. */
  giveUp: fc.nat(3),
  /** Places of dead letters among those that there are. */
  replayed: fc.array(fc.nat(50), { maxLength: 2 }),
  deleted: fc.array(fc.nat(50), { maxLength: 3 }),
})

const walk = fc.record({
  there: fc.integer({ min: 1, max: 30 }),
  maxResults: fc.integer({ min: 1, max: 7 }),
  ruleName: fc.option(fc.constantFrom(...ruleNames), { nil: undefined }),
  changes: fc.array(change, { minLength: 8, maxLength: 8 }),
})

/**
 * A dead letter that is there from the first page to the last is on exactly one page, in the order
 * of ids, whatever is added, replayed and deleted between two pages.
 */
export async function expectStablePages(open: Open, numRuns: number): Promise<void> {
  const run = async ({ there, maxResults, ruleName, changes }: Walk) => {
    const subject = await open()
    const { managed, accept, giveUp } = subject
    for (const name of ruleNames) {
      const texts = textsOf(name, there)
      await accept(texts, name)
      await giveUp(texts.filter((_, index) => index % 3 > 0))
    }
    const throughout = new Map((await allOf(managed)).map((one) => [one.id, one]))
    const waitingFirst = await subject.waiting()
    const listed: { readonly id: string; readonly text: string }[] = []
    let nextToken: string | undefined
    for (let page = 0; page === 0 || nextToken !== undefined; page += 1) {
      const { deadLetters, ...rest } = await managed.deadLetters.list({
        maxResults,
        ruleName,
        nextToken,
      })
      expect(deadLetters.length).toBeLessThanOrEqual(maxResults)
      listed.push(...deadLetters.map(listedOf))
      nextToken = rest.nextToken
      const { add = 0, giveUp: late = 0, replayed = [], deleted = [] } = changes[page] ?? {}
      await accept(textsOf(`new-${page}`, add), 'first')
      await giveUp([...textsOf(`new-${page}`, add), ...waitingFirst.slice(0, late)])
      const ids = (await allOf(managed)).map(({ id }) => id)
      const replayedIds = replayed.flatMap((place) => ids[place] ?? [])
      const deletedIds = deleted.flatMap((place) => ids[place] ?? [])
      await managed.deadLetters.replay({ ids: replayedIds }, 'asIs')
      await managed.deadLetters.delete({ ids: deletedIds })
      for (const id of [...replayedIds, ...deletedIds]) throughout.delete(id)
    }
    const ids = listed.map(({ id }) => Number(id))
    expect(ids).toEqual([...new Set(ids)].toSorted((left, right) => left - right))
    const missing = [...throughout.values()]
      .filter((one) => ruleName === undefined || one.ruleName === ruleName)
      .filter(({ id }) => !ids.includes(Number(id)))
    expect(missing).toEqual([])
    await expectOverviewFits(managed)
    await subject.close()
  }
  await fc.assert(fc.asyncProperty(walk, run), { seed: 17, numRuns, endOnFailure: true })
}

type Walk = typeof walk extends fc.Arbitrary<infer Value> ? Value : never

const selection = fc.oneof(
  fc.record({ places: fc.array(fc.nat(25), { maxLength: 12 }) }),
  fc.record({ ruleName: fc.constantFrom(...ruleNames) }),
  fc.constant({}),
)
const move = fc.record({
  how: fc.constantFrom('rule' as const, 'asIs' as const, 'delete' as const),
  selection,
})
const race = fc.record({
  there: fc.integer({ min: 1, max: 12 }),
  moves: fc.array(move, { minLength: 2, maxLength: 5 }),
})

/**
 * Of replays and deletions that run at the same time, one moves each dead letter and counts it. The
 * figures fit each other meanwhile. Those who ask for the same again move nothing.
 */
export async function expectMovedOnce(open: Open, numRuns: number): Promise<void> {
  const run = async ({ there, moves }: Race) => {
    const subject = await open()
    const { managed, accept, giveUp } = subject
    for (const name of ruleNames) {
      const texts = textsOf(name, there)
      await accept(texts, name)
      await giveUp(texts)
    }
    const letters = await allOf(managed)
    const selectionOf = ({ selection: chosen }: Move) =>
      'places' in chosen
        ? { ids: chosen.places.flatMap((place) => letters[place]?.id ?? []) }
        : chosen
    const takeOne = async (one: Move) => {
      const { how } = one
      const moved =
        how === 'delete'
          ? await managed.deadLetters.delete(selectionOf(one))
          : await managed.deadLetters.replay(selectionOf(one), how)
      await expectOverviewFits(managed)
      return { how, ...moved }
    }
    const results = await Promise.all(moves.map(takeOne))
    const left = (await allOf(managed)).map(({ text }) => text)
    const waiting = await subject.waiting()
    const countOf = (isDeletion: boolean) =>
      sumOf(
        results.filter(({ how }) => (how === 'delete') === isDeletion).map(({ count }) => count),
      )
    // Each text is in one place: it is a dead letter, or waits, or was deleted.
    const places = [...left, ...waiting]
    expect(new Set(places).size).toBe(places.length)
    expect(waiting).toHaveLength(countOf(false))
    expect(letters.length - places.length).toBe(countOf(true))
    for (const again of moves) {
      expect(await takeOne(again)).toMatchObject({ count: 0 })
    }
    await subject.close()
  }
  const options = { seed: 29, numRuns, endOnFailure: true }
  await fc.assert(fc.asyncProperty(race, run), { ...options, examples: [[longRace]] })
}

type Race = typeof race extends fc.Arbitrary<infer Value> ? Value : never
type Move = Race['moves'][number]

/** More dead letters than are moved at once, of which each request takes its share in turn. */
const longRace: Race = {
  there: 260,
  moves: (['asIs', 'rule', 'delete', 'rule'] as const).map((how) => {
    return { how, selection: { ruleName: 'second' } }
  }),
}

const textsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`)

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

const listedOf = ({ id, data, ruleName }: Listed) => ({ id, ruleName, text: data.toString() })

type Listed = Awaited<ReturnType<ManagedOutbox['deadLetters']['list']>>['deadLetters'][number]

/** All dead letters, while nobody changes them. */
async function allOf(managed: ManagedOutbox) {
  const found: ReturnType<typeof listedOf>[] = []
  let nextToken: string | undefined
  do {
    const page = await managed.deadLetters.list({ nextToken, maxResults: 250 })
    found.push(...page.deadLetters.map(listedOf))
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return found
}
