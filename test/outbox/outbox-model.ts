/** What an outbox should hold: the same moves on plain maps, with the same bounds. */
import { expect } from 'vitest'
import { moves } from '../../src/outbox/books/ledger.ts'
import { targetOf } from '../../src/outbox/outbox.ts'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { destination, everything } from './outbox-parts.ts'

/** A record; its text is its own. */
export interface ModelRecord {
  readonly text: string
  /** Empty for an action that failed. */
  readonly stream: string
  readonly ruleName: string
  readonly actionIndex: number
}

/** A dead letter, and its place among them. */
export interface ModelLetter extends ModelRecord {
  readonly id: number
}

/** An append that is not answered yet: until then its records hold their destinations. */
export interface Waiting {
  readonly records: readonly ModelRecord[]
}

export const isFailed = ({ stream }: Pick<ModelRecord, 'stream'>) => stream === ''

const rowOf = ({ ruleName, actionIndex }: Pick<ModelRecord, 'ruleName' | 'actionIndex'>) =>
  `${ruleName} ${actionIndex}`
const noCounts = () => [0, 0, 0, 0, 0, 0]

export type OutboxModel = ReturnType<typeof createOutboxModel>

export function createOutboxModel(destinationsMax: number) {
  const queued = new Map<string, ModelRecord>()
  const letters = new Map<string, ModelLetter>()
  const waiting = new Set<Waiting>()
  /** Dead letters of the latest step. */
  const latest = new Set<string>()
  const ledger = new Map<string, number[]>()

  function count(record: ModelRecord, move: keyof typeof moves): void {
    const counts = ledger.get(rowOf(record)) ?? noCounts()
    for (const [index, delta] of moves[move].entries()) {
      counts[index] = (counts[index] ?? 0) + delta
    }
    ledger.set(rowOf(record), counts)
  }

  function discard(letter: ModelLetter): void {
    letters.delete(letter.text)
    count(letter, 'dropDeadLetter')
  }

  /** Dead letters, of a rule or of all, oldest first. */
  function lettersOf(ruleName: string | undefined): ModelLetter[] {
    return [...letters.values()]
      .filter((letter) => ruleName === undefined || letter.ruleName === ruleName)
      .toSorted((left, right) => left.id - right.id)
  }

  /** The streams that hold a destination. */
  function used(): Set<string> {
    const arriving = [...waiting].flatMap(({ records }) => records)
    const all = [...queued.values(), ...letters.values(), ...arriving]
    return new Set(all.filter((one) => !isFailed(one)).map(({ stream }) => stream))
  }

  /** Whether there is room for these streams beside those in use, which they join if there is. */
  function take(inUse: Set<string>, streams: readonly string[]): boolean {
    if (new Set([...inUse, ...streams]).size > destinationsMax) return false
    for (const stream of streams) inUse.add(stream)
    return true
  }

  /**
   * The oldest dead letters may have been pushed out, and are counted as dropped: a transaction
   * does so with those that were there before it, so that of the latest ones the oldest go by
   * themselves. Failed actions have a share of their own, so the oldest of them may go alone.
   */
  function pushOut(kept: readonly string[]): void {
    const all = lettersOf(undefined)
    expect(kept).toEqual(all.filter(({ text }) => kept.includes(text)).map(({ text }) => text))
    for (const isLatest of [false, true]) {
      for (const ofFailed of [false, true]) {
        const some = all.filter(
          (one) => latest.has(one.text) === isLatest && isFailed(one) === ofFailed,
        )
        const gone = some.filter(({ text }) => !kept.includes(text))
        expect(gone).toEqual(some.slice(0, gone.length))
        for (const letter of gone) discard(letter)
      }
    }
  }

  function expectLedger(outbox: Outbox, isExact: boolean): void {
    const faults: unknown[] = []
    for (const [row, counts] of ledger) {
      const [ruleName = '', actionIndex] = row.split(' ')
      const index = Number(actionIndex)
      const found = outbox.ledger(ruleName).find((one) => one.actionIndex === index)
      const { accepted = 0, delivered = 0, queued: inQueue = 0, deadLettered = 0 } = found ?? {}
      const { dropped = 0, handedOver = 0 } = found ?? {}
      const all = [accepted, delivered, inQueue, deadLettered, dropped, handedOver]
      const isRight =
        accepted === delivered + inQueue + deadLettered + dropped &&
        Math.min(...all) >= 0 &&
        inQueue === counts[2] &&
        deadLettered === counts[3] &&
        (!isExact || all.every((number, at) => number === counts[at]))
      if (!isRight) faults.push({ row, found: all, expected: counts })
    }
    expect(faults).toEqual([])
  }

  return {
    waiting,
    count,
    discard,
    lettersOf,
    used,
    take,
    pushOut,
    enqueue(record: ModelRecord, move: 'accept' | 'replay' = 'accept'): void {
      queued.set(record.text, record)
      count(record, move)
    },
    deliver(record: ModelRecord, move: 'deliver' | 'giveUpToErrorAction' = 'deliver'): void {
      queued.delete(record.text)
      count(record, move)
    },
    bury(letter: ModelLetter): void {
      queued.delete(letter.text)
      letters.set(letter.text, letter)
      latest.add(letter.text)
      count(letter, 'giveUpToDeadLetters')
    },
    /** An action that failed; its dead letter may have been pushed out already. */
    fail(
      record: ModelRecord,
      found: readonly { readonly text: string; readonly id: number }[],
    ): void {
      count(record, 'failToDeadLetters')
      const letter = found.find(({ text }) => text === record.text)
      if (letter === undefined) return count(record, 'dropDeadLetter')
      letters.set(record.text, { ...record, id: letter.id })
      latest.add(record.text)
    },
    /** The first record of the letter's own action takes its place in the ledger. */
    replay(letter: ModelLetter, records: readonly ModelRecord[]): void {
      const own = records.find((record) => rowOf(record) === rowOf(letter))
      letters.delete(letter.text)
      if (!own) count(letter, 'replayAsOther')
      for (const record of records) {
        queued.set(record.text, record)
        count(record, record === own ? 'replay' : 'accept')
      }
    },
    /** @param isExact false when rows of the ledger may have been forgotten */
    expectSame(outbox: Outbox, streams: readonly string[], isExact: boolean): void {
      const found = observed(outbox)
      pushOut(found.letters.map(({ text }) => text))
      latest.clear()
      expect(placesOf(found.queue)).toEqual(placesOf([...queued.values()]))
      expect(outbox.size().records).toBe(found.queue.length)
      expect(outbox.destinations().length).toBeLessThanOrEqual(destinationsMax)
      const admitted = streams.filter((stream) => outbox.admits(destination(stream)))
      expect(admitted).toEqual(streams.filter((stream) => take(used(), [stream])))
      for (const first of admitted) {
        const beside = new Set([destination(first)])
        const both = streams.filter((stream) => outbox.admits(destination(stream), beside))
        expect(both).toEqual(streams.filter((stream) => take(used(), [first, stream])))
      }
      expectLedger(outbox, isExact)
    },
  }
}

const placesOf = (records: readonly Pick<ModelRecord, 'text' | 'stream'>[]) =>
  records.map(({ text, stream }) => `${text} in ${stream}`).toSorted()

/** What an outbox holds, read one by one. */
export function observed(outbox: Outbox) {
  const queue = outbox.destinations().flatMap(({ id, destination: to }) =>
    outbox.read(id, 0, everything).map((record) => {
      const { sequence, ruleName, actionIndex } = record
      const stream = targetOf(to)
      return { text: record.data.toString(), stream, sequence, ruleName, actionIndex, record }
    }),
  )
  const letters = outbox.deadLetters
    .list({ maxResults: 250 })
    .deadLetters.map(({ id, data }) => ({ text: data.toString(), id: Number(id) }))
  return { queue, letters }
}
