/**
 * The outbox at its bounds, as a property: random steps against a model, with so few destinations,
 * rows and bytes that every bound is met.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { expect } from 'vitest'
import { messageOf } from '../../src/base/errors.ts'
import type { Destination, NewRecord, OutboxOptions } from '../../src/outbox/outbox.ts'
import { createOutboxModel, observed } from './outbox-model.ts'
import type { ModelRecord, Waiting } from './outbox-model.ts'
import {
  destination,
  givenUp,
  idOf,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
} from './outbox-parts.ts'

const streams = ['s0', 's1', 's2', 's3', 's4']
const destinationsMax = 3
const ledgerRowsMax = 4
/** A record takes 60 bytes on disk, a dead letter 120: a share, a quarter, holds few of them. */
const bytes = { bytesMax: 500, deadLetterBytesMax: 500 }

const stream = fc.constantFrom(...streams)
const ruleName = fc.constantFrom('r0', 'r1', 'r2', 'r3')
/** The first records of one of the streams that have some. */
const some = { at: fc.nat(2), count: fc.nat(4) }
const message = { ruleName, to: fc.array(stream, { minLength: 1, maxLength: 4 }) }
const kind = <Kind extends string>(name: Kind) => fc.constant(name)

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: kind('append'),
      /** They go to disk together. What is dropped frees its destinations: it comes last. */
      messages: fc.array(fc.record(message), { maxLength: 2 }),
      last: fc.record({ ...message, whenFull: fc.constantFrom('wait' as const, 'drop' as const) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: kind('deliver'), ...some }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: kind('giveUp'),
      ...some,
      how: fc.constantFrom('letter', 'letter', 'own', 'shared'),
      to: fc.array(stream, { maxLength: 2 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: kind('replay'),
      how: fc.constantFrom('asIs', 'rule', 'otherRule', 'nothing'),
      of: fc.option(ruleName, { nil: undefined }),
      one: fc.boolean(),
      /** Each dead letter has its own, in turn: as streams of devices. */
      to: fc.array(fc.array(stream, { maxLength: 2 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('delete'),
      of: fc.option(ruleName, { nil: undefined }),
      one: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('reopen') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('crash'),
      turns: fc.nat(8),
      ...message,
      delivered: fc.record(some),
      givenUp: fc.record(some),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer Taken> ? Taken : never
type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>

/** @throws Error what fast-check says of the run that fails */
export async function expectBoundsHold(parameters: fc.Parameters<[Step[], boolean]>) {
  const steps = fc.array(step, { minLength: 30, maxLength: 50, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (taken, fewRows) => {
      const run = await openRun(fewRows)
      for (const one of taken) await run.take(one)
      await run.end()
    }),
    parameters,
  )
}

async function openRun(fewRows: boolean) {
  const options: OutboxOptions = {
    ...bytes,
    destinationsMax,
    ledgerRowsMax: fewRows ? ledgerRowsMax : undefined,
  }
  const model = createOutboxModel(destinationsMax)
  let directory = temporaryDirectory()
  let { outbox } = await openTestOutbox(directory, options)
  let lastText = 0
  let answered = 0
  const refusals: string[] = []

  const made = (name: string, actionIndex: number, to: readonly string[]) =>
    to.map((each): ModelRecord => {
      lastText += 1
      return { text: `${lastText}`, stream: each, ruleName: name, actionIndex }
    })

  /** Of the actions 0 and 1 in turn. */
  const ofMessage = (one: { readonly ruleName: string; readonly to: readonly string[] }) =>
    one.to.flatMap((to, index) => made(one.ruleName, index % 2, [to]))

  /** An append that has a place, or waits for room. */
  function begin(records: readonly ModelRecord[], full: 'wait' | 'drop'): Waiting {
    const waiting: Waiting = { records }
    model.waiting.add(waiting)
    void appended(waiting, full)
    return waiting
  }

  async function appended(waiting: Waiting, full: 'wait' | 'drop'): Promise<void> {
    try {
      await outbox.append(waiting.records.map(newRecordOf), { whenFull: full })
    } catch (thrown) {
      if (model.waiting.delete(waiting)) refusals.push(messageOf(thrown))
      return
    }
    answered += 1
    if (!model.waiting.delete(waiting)) return
    const texts = new Set(observed(outbox).queue.map(({ text }) => text))
    for (const record of waiting.records) {
      if (texts.has(record.text) || full === 'wait') model.enqueue(record)
      else model.count(record, 'refuse')
    }
  }

  /** All that has its place is on disk, and all that found room meanwhile. */
  async function settled(): Promise<void> {
    for (let calm = 0; calm < 2; calm++) {
      const before = answered
      await outbox.deadLetters.delete({ ids: [] })
      await turn()
      if (answered > before) calm = -1
    }
  }

  function picked({ at, count }: { readonly at: number; readonly count: number }) {
    const { queue } = observed(outbox)
    const filled = [...new Set(queue.map((one) => one.stream))]
    const from = filled[at % filled.length] ?? ''
    const records = queue.filter((one) => one.stream === from).slice(0, count)
    return { id: idOf(outbox, from), records }
  }

  function settle({ id, records }: ReturnType<typeof picked>): void {
    outbox.delivered(
      id,
      records.map(({ record }) => record),
    )
  }

  const selected = ({ of, one }: { readonly of: string | undefined; readonly one: boolean }) => {
    const letters = model.lettersOf(of)
    const ids = letters.slice(0, 1).map(({ id }) => String(id))
    return one
      ? { letters: letters.slice(0, 1), selection: { ids } }
      : { letters, selection: of === undefined ? {} : { ruleName: of } }
  }

  const steps: { readonly [Kind in Step['kind']]: (taken: StepOf<Kind>) => Promise<void> } = {
    async append({ messages, last }) {
      const rejected: Promise<void>[] = []
      const held = messages.map((one) => ({ ...one, whenFull: 'wait' as const }))
      for (const one of [...held, last]) {
        const records = ofMessage(one)
        if (model.take(model.used(), one.to)) begin(records, one.whenFull)
        else rejected.push(outbox.append(records.map(newRecordOf), one))
      }
      const tooMany = { status: 'rejected', reason: { code: 'ActionFailed' } }
      expect(await Promise.allSettled(rejected)).toMatchObject(rejected.map(() => tooMany))
    },

    deliver(which) {
      const gone = picked(which)
      settle(gone)
      for (const record of gone.records) model.deliver(modelOf(record))
      return Promise.resolve()
    },

    async giveUp({ how, to, ...which }) {
      const { id, records: gone } = picked(which)
      const used = model.used()
      const shared = made('r0', -1, to)
      const sharedRecords = shared.map(newRecordOf)
      const isSharedTaken = how === 'shared' && gone.length > 0 && model.take(used, to)
      if (isSharedTaken) for (const record of shared) model.enqueue(record)
      const records = gone.map((one) => {
        const own = how === 'own' ? made(one.ruleName, -1, to) : []
        const isTaken = how === 'own' ? model.take(used, to) : isSharedTaken
        if (isTaken) {
          model.deliver(one, 'giveUpToErrorAction')
          for (const record of own) model.enqueue(record)
        } else model.bury({ ...modelOf(one), id: one.sequence })
        const replacements = how === 'own' ? own.map(newRecordOf) : sharedRecords
        return givenUp(one.record, how === 'letter' ? {} : { replacements })
      })
      await outbox.giveUp(id, records)
    },

    async replay({ how, to, ...which }) {
      const { letters, selection } = selected(which)
      const used = model.used()
      const replacing = new Map<number, readonly ModelRecord[]>()
      let kept = 0
      for (const [index, letter] of letters.entries()) {
        const targets = to[index % to.length] ?? []
        const [name, action] =
          how === 'otherRule'
            ? (['r2', 1] as const)
            : ([letter.ruleName, letter.actionIndex] as const)
        const records = how === 'asIs' ? [letter] : made(name, action, targets)
        replacing.set(letter.id, records)
        const isMoved = how !== 'nothing' && model.take(used, streamsOf(records))
        if (isMoved) model.replay(letter, records.map(modelOf))
        else kept += 1
      }
      const result = await outbox.deadLetters.replay(
        selection,
        how === 'asIs'
          ? 'asIs'
          : ({ id }) => {
              const records = replacing.get(Number(id))
              return how === 'nothing' ? undefined : records?.map(newRecordOf)
            },
      )
      expect(result).toEqual({ count: letters.length - kept, kept })
    },

    async delete(which) {
      const { letters, selection } = selected(which)
      expect(await outbox.deadLetters.delete(selection)).toEqual({ count: letters.length, kept: 0 })
      for (const letter of letters) model.discard(letter)
    },

    async reopen() {
      await outbox.close()
      await turn()
      // What waited for room was refused.
      expect(model.waiting.size).toBe(0)
      refusals.length = 0
      ;({ outbox } = await openTestOutbox(directory, options))
    },

    async crash({ turns, ruleName: name, to, delivered, givenUp: out }) {
      const waiting = [...model.waiting]
      if (model.take(model.used(), to)) {
        waiting.push(begin(ofMessage({ ruleName: name, to }), 'wait'))
      }
      const gone = picked(delivered)
      settle(gone)
      const { records: leaving, id: leavingFrom } = picked(out)
      let isOut = false
      const giveUp = async () => {
        await outbox.giveUp(
          leavingFrom,
          leaving.map(({ record }) => givenUp(record)),
        )
        isOut = true
      }
      const givingUp = giveUp()
      for (let left = turns; left > 0; left--) await turn()
      const open = waiting.filter((one) => model.waiting.has(one))
      const mustBeOut = isOut
      const copy = copyOf(directory)
      model.waiting.clear()
      await Promise.all([outbox.close(), givingUp])
      directory = copy
      ;({ outbox } = await openTestOutbox(directory, options))
      const { queue, letters } = observed(outbox)
      const texts = new Set(queue.map(({ text }) => text))
      for (const { records } of open) {
        if (isWhole(records, texts)) for (const one of records) model.enqueue(one)
      }
      for (const one of gone.records) if (!texts.has(one.text)) model.deliver(modelOf(one))
      const stayed = leaving.filter(({ text }) => texts.has(text))
      expect(mustBeOut ? [0] : [0, leaving.length]).toContain(stayed.length)
      if (stayed.length === 0) {
        for (const one of leaving) model.bury({ ...modelOf(one), id: one.sequence })
      }
      model.pushOut(letters.map(({ text }) => text))
    },
  }

  return {
    async take(taken: Step) {
      await (steps[taken.kind] as (one: Step) => Promise<void>)(taken)
      await settled()
      expect(refusals).toEqual([])
      model.expectSame(outbox, streams, !fewRows)
    },
    async end() {
      await outbox.close()
    },
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * As compiled rules do: each action has an object of its own for a stream, the same one each time.
 */
const destinations = new Map<string, Destination>()
function destinationOf(to: string, actionIndex: number): Destination {
  const name = `${to} ${actionIndex}`
  const known = destinations.get(name) ?? destination(to)
  destinations.set(name, known)
  return known
}

const streamsOf = (records: readonly ModelRecord[]) => records.map((record) => record.stream)

const newRecordOf = ({
  text,
  stream: to,
  ruleName: name,
  actionIndex,
}: ModelRecord): NewRecord => ({
  ...newRecordFor(destinationOf(to, actionIndex), 'k', text),
  ruleName: name,
  actionIndex,
})

function modelOf({ text, stream: to, ruleName: name, actionIndex }: ModelRecord): ModelRecord {
  return { text, stream: to, ruleName: name, actionIndex }
}

/** All records of a message are there, or none. */
function isWhole(records: readonly ModelRecord[], texts: ReadonlySet<string>): boolean {
  const there = records.filter(({ text }) => texts.has(text))
  expect([0, records.length]).toContain(there.length)
  return there.length > 0
}

/**
 * The outbox as a crash leaves it. The copy begins with the pages that say which transaction is the
 * last one, and a transaction writes to no page of the one before it: while this reads, no second
 * one begins.
 */
function copyOf(directory: string): string {
  const copy = temporaryDirectory()
  mkdirSync(path.join(copy, 'outbox'))
  const file = path.join('outbox', 'data.mdb')
  writeFileSync(path.join(copy, file), readFileSync(path.join(directory, file)))
  return copy
}
