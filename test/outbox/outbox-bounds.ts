/**
 * The outbox at its bounds, as a property: random steps against a model, with so few destinations,
 * rows and bytes that every bound is met.
 */
import * as fc from 'fast-check'
import { expect } from 'vitest'
import { messageOf } from '../../src/base/errors.ts'
import { noDestination } from '../../src/outbox/outbox.ts'
import type { Destination, NewRecord, OutboxOptions } from '../../src/outbox/outbox.ts'
import { copyOf } from './outbox-copy.ts'
import { createOutboxModel, isFailed, observed } from './outbox-model.ts'
import type { ModelLetter, ModelRecord, Waiting } from './outbox-model.ts'
import { step, streams } from './outbox-steps.ts'
import type { Step, StepOf } from './outbox-steps.ts'
import {
  destination,
  givenUp,
  idOf,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
} from './outbox-parts.ts'

const destinationsMax = 3
const ledgerRowsMax = 4
/** A record takes 60 bytes on disk, a dead letter 120: a share, a quarter, holds few of them. */
const bytes = { bytesMax: 500, deadLetterBytesMax: 500 }
/** Where the records of a message share it: a share holds the messages of few. */
const payload = Buffer.from('p'.repeat(5_000))
const bytesOfSharers = { bytesMax: 50_000, deadLetterBytesMax: 30_000 }

type Payloads = 'own' | 'shared'

/**
 * @param payloads whether each record has all in itself, or shares its message with others
 * @throws Error what fast-check says of the run that fails
 */
export async function expectBoundsHold(
  payloads: Payloads,
  parameters: fc.Parameters<[Step[], boolean]>,
) {
  const steps = fc.array(step, { minLength: 30, maxLength: 50, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (taken, fewRows) => {
      const run = await openRun(payloads, fewRows)
      for (const one of taken) await run.take(one)
      await run.end()
    }),
    parameters,
  )
}

async function openRun(payloads: Payloads, fewRows: boolean) {
  const newRecordsOf = (records: readonly ModelRecord[]) =>
    payloads === 'own' ? records.map(newRecordOf) : sharersOf(records)
  const options: OutboxOptions = {
    ...(payloads === 'own' ? bytes : bytesOfSharers),
    destinationsMax,
    ledgerRowsMax: fewRows ? ledgerRowsMax : undefined,
  }
  const model = createOutboxModel(destinationsMax)
  let directory = temporaryDirectory()
  let { outbox } = await openTestOutbox(directory, options)
  /** What is counted on disk is what is there, or it would say so. */
  const reopen = async (): Promise<void> => {
    const opened = await openTestOutbox(directory, options)
    expect(opened.lines).toEqual([])
    outbox = opened.outbox
  }
  let lastText = 0
  let answered = 0
  const refusals: string[] = []

  const made = (name: string, actionIndex: number, to: readonly string[]) =>
    to.map((each): ModelRecord => {
      lastText += 1
      return { text: `${lastText}`, stream: each, ruleName: name, actionIndex }
    })

  /** Of the actions 0 and 1 in turn; action 1 may fail as well. */
  const ofMessage = (one: Pick<StepOf<'crash'>, 'ruleName' | 'to' | 'fails'>) => [
    ...one.to.flatMap((to, index) => made(one.ruleName, index % 2, [to])),
    ...(one.fails ? made(one.ruleName, 1, ['']) : []),
  ]

  /** An append that has a place, or waits for room. */
  function begin(records: readonly ModelRecord[], full: 'wait' | 'drop'): Waiting {
    const waiting: Waiting = { records }
    model.waiting.add(waiting)
    void appended(waiting, full)
    return waiting
  }

  async function appended(waiting: Waiting, full: 'wait' | 'drop'): Promise<void> {
    try {
      await outbox.append(newRecordsOf(waiting.records), { whenFull: full })
    } catch (thrown) {
      if (model.waiting.delete(waiting)) refusals.push(messageOf(thrown))
      return
    }
    answered += 1
    if (!model.waiting.delete(waiting)) return
    const { queue, letters } = observed(outbox)
    const texts = new Set(queue.map(({ text }) => text))
    for (const record of waiting.records) {
      if (isFailed(record)) model.fail(record, letters)
      else if (texts.has(record.text) || full === 'wait') model.enqueue(record)
      else model.count(record, 'refuse')
    }
  }

  /** After a crash: appends that were not answered are there as a whole or not at all. */
  function recover(open: readonly Waiting[]): void {
    const { queue, letters } = observed(outbox)
    const texts = new Set(queue.map(({ text }) => text))
    for (const { records } of open) {
      if (!isWhole(records, texts)) continue
      for (const one of records) {
        if (isFailed(one)) model.fail(one, letters)
        else model.enqueue(one)
      }
    }
  }

  async function openCopy(givingUp: Promise<unknown>): Promise<void> {
    const copy = copyOf(directory)
    model.waiting.clear()
    await Promise.all([outbox.close(), givingUp])
    directory = copy
    await reopen()
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

  /** What becomes of each dead letter that is replayed, as far as there is room. */
  function planOf(
    letters: readonly ModelLetter[],
    how: StepOf<'replay'>['how'],
    to: StepOf<'replay'>['to'],
  ): Plan {
    const used = model.used()
    const plan = new Map<number, PlannedLetter>()
    for (const [index, letter] of letters.entries()) {
      const targets = to[index % to.length] ?? []
      const [name, action] =
        how === 'otherRule'
          ? (['r2', 1] as const)
          : ([letter.ruleName, letter.actionIndex] as const)
      const records = how === 'asIs' ? [modelOf(letter)] : made(name, action, targets)
      const isKept = how === 'nothing' || (how === 'asIs' && isFailed(letter))
      const isMoved = !isKept && model.take(used, streamsOf(records))
      plan.set(letter.id, { letter, records, isMoved })
    }
    return plan
  }

  const replay = (
    selection: Parameters<typeof outbox.deadLetters.replay>[0],
    how: StepOf<'replay'>['how'],
    plan: Plan,
  ) =>
    outbox.deadLetters.replay(
      selection,
      how === 'asIs'
        ? 'asIs'
        : ({ id }) =>
            how === 'nothing' ? undefined : newRecordsOf(plan.get(Number(id))?.records ?? []),
    )

  const steps: { readonly [Kind in Step['kind']]: (taken: StepOf<Kind>) => Promise<void> } = {
    async append({ messages, last }) {
      const rejected: Promise<void>[] = []
      const held = messages.map((one) => ({ ...one, whenFull: 'wait' as const }))
      for (const one of [...held, last]) {
        const records = ofMessage(one)
        if (model.take(model.used(), one.to)) begin(records, one.whenFull)
        else rejected.push(outbox.append(newRecordsOf(records), one))
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
      const sharedRecords = newRecordsOf(shared)
      const isSharedTaken = how === 'shared' && gone.length > 0 && model.take(used, to)
      if (isSharedTaken) for (const record of shared) model.enqueue(record)
      const records = gone.map((one) => {
        const own = how === 'own' ? made(one.ruleName, -1, to) : []
        const isTaken = how === 'own' ? model.take(used, to) : isSharedTaken
        if (isTaken) {
          model.deliver(one, 'giveUpToErrorAction')
          for (const record of own) model.enqueue(record)
        } else model.bury({ ...modelOf(one), id: one.sequence })
        const replacements = how === 'own' ? newRecordsOf(own) : sharedRecords
        return givenUp(one.record, how === 'letter' ? {} : { replacements })
      })
      await outbox.giveUp(id, records)
    },

    async replay({ how, to, ...which }) {
      const { letters, selection } = selected(which)
      const plan = planOf(letters, how, to)
      for (const { letter, records, isMoved } of plan.values()) {
        if (isMoved) model.replay(letter, records)
      }
      const moved = [...plan.values()].filter(({ isMoved }) => isMoved).length
      const result = await replay(selection, how, plan)
      expect(result).toEqual({ count: moved, kept: letters.length - moved })
    },

    async crashInReplay({ turns, how, to, ...which }) {
      const { letters, selection } = selected(which)
      const plan = planOf(letters, how, to)
      const replaying = replay(selection, how, plan).catch(() => undefined)
      for (let left = turns; left > 0; left--) await turn()
      const open = [...model.waiting]
      await openCopy(replaying)
      recover(open)
      const { queue, letters: left } = observed(outbox)
      const texts = new Set(queue.map(({ text }) => text))
      for (const { letter, records, isMoved } of plan.values()) {
        const isThere = isWhole(records, texts)
        if (isThere) expect(left.map(({ text }) => text)).not.toContain(letter.text)
        if (isThere && isMoved) model.replay(letter, records)
        if (!isMoved) expect(isThere).toBe(false)
      }
      model.pushOut(left.map(({ text }) => text))
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
      await reopen()
    },

    async crash({ turns, delivered, givenUp: out, ...message }) {
      const waiting = [...model.waiting]
      if (model.take(model.used(), message.to)) {
        waiting.push(begin(ofMessage(message), 'wait'))
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
      await openCopy(givingUp)
      recover(open)
      const { queue, letters } = observed(outbox)
      const texts = new Set(queue.map(({ text }) => text))
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
      await reopen()
      await outbox.close()
    },
  }
}

interface PlannedLetter {
  readonly letter: ModelLetter
  readonly records: readonly ModelRecord[]
  readonly isMoved: boolean
}

type Plan = ReadonlyMap<number, PlannedLetter>

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
  ...(to === ''
    ? { ...newRecordFor(noDestination, '', text), failed: { code: 'c', message: '', field: 'f' } }
    : newRecordFor(destinationOf(to, actionIndex), 'k', text)),
  ruleName: name,
  actionIndex,
})

/** Records of one message. */
function sharersOf(records: readonly ModelRecord[]): NewRecord[] {
  const source = { messageId: 'm', topic: 'a/b', timestampMs: 1_700_000_000_000, payload }
  return records.map((record) => ({ ...newRecordOf(record), source }))
}

function modelOf({ text, stream: to, ruleName: name, actionIndex }: ModelRecord): ModelRecord {
  return { text, stream: to, ruleName: name, actionIndex }
}

/** All records of a message are there, or none. */
function isWhole(records: readonly ModelRecord[], texts: ReadonlySet<string>): boolean {
  const made = records.filter((record) => !isFailed(record))
  const there = made.filter(({ text }) => texts.has(text))
  expect([0, made.length]).toContain(there.length)
  return there.length > 0
}
