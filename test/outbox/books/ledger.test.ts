import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LedgerCounts, NewRecord, Outbox } from '../../../src/outbox/outbox.ts'
import {
  destination,
  everything,
  givenUp,
  idOf,
  newRecord,
  openTestOutbox,
  temporaryDirectory,
} from '../outbox-parts.ts'

const rules = ['r0', 'r1']
const streams = ['s0', 's1', 's2']
/** A record of these tests takes about 150 bytes on disk: a share holds a few of them. */
const small = { bytesMax: 4_000, deadLetterBytesMax: 1_500 }

const record = (rule: number, stream: number, text: string): NewRecord => ({
  ...newRecord(streams[stream % 3] ?? '', 'k', text),
  ruleName: rules[rule % 2] ?? '',
  actionIndex: stream % 3,
})

const errorRecord = (rule: number): NewRecord => ({
  ...record(rule, 2, 'error'),
  actionIndex: -1,
})

const selection = (rule: number | null) => (rule === null ? {} : { ruleName: rules[rule] ?? '' })

/** Every action's ledger, by rule and action. */
const ledgerOf = (outbox: Outbox) =>
  rules.flatMap((rule) => outbox.ledger(rule).map((counts) => ({ rule, ...counts })))

const balance = ({ accepted, delivered, queued, deadLettered, dropped }: LedgerCounts) =>
  accepted - delivered - queued - deadLettered - dropped

/** What is on disk, counted one by one: the ledger must say the same. */
function counted(outbox: Outbox): Map<string, { queued: number; deadLettered: number }> {
  const counts = new Map<string, { queued: number; deadLettered: number }>()
  const of = (rule: string, action: number) => {
    const name = `${rule} ${action}`
    const known = counts.get(name) ?? { queued: 0, deadLettered: 0 }
    counts.set(name, known)
    return known
  }
  for (const { id } of outbox.destinations()) {
    for (const { ruleName, actionIndex } of outbox.read(id, 0, everything)) {
      of(ruleName, actionIndex).queued += 1
    }
  }
  let nextToken: string | undefined
  do {
    const page = outbox.deadLetters.list(nextToken === undefined ? {} : { nextToken })
    for (const { ruleName, actionIndex } of page.deadLetters) {
      of(ruleName, actionIndex).deadLettered += 1
    }
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return counts
}

function expectBalanced(outbox: Outbox): void {
  const counts = counted(outbox)
  for (const row of ledgerOf(outbox)) {
    expect(balance(row)).toBe(0)
    const { queued, deadLettered } = row
    const found = counts.get(`${row.rule} ${row.actionIndex}`) ?? { queued: 0, deadLettered: 0 }
    expect({ queued, deadLettered }).toEqual(found)
  }
  const records = outbox.destinations().reduce((sum, entry) => sum + entry.records, 0)
  expect(outbox.size().records).toBe(records)
  expect([...counts.values()].reduce((sum, { queued }) => sum + queued, 0)).toBe(records)
}

const picks = fc.array(fc.boolean(), { maxLength: 8 })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      rule: fc.nat(1),
      streams: fc.array(fc.nat(2), { maxLength: 4 }),
      whenFull: fc.constantFrom('wait' as const, 'drop' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('settle' as const), stream: fc.nat(2), picks }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('giveUp' as const),
      stream: fc.nat(2),
      picks,
      handed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replay' as const),
      how: fc.constantFrom('asIs', 'same', 'other', 'keep'),
      rule: fc.option(fc.nat(1)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), rule: fc.option(fc.nat(1)) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

describe('the ledger', () => {
  test('adds up after any steps, and equals what is on disk', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const directory = temporaryDirectory()
        let { outbox } = await openTestOutbox(directory, small)
        const appends: Promise<unknown>[] = []
        const picked = (stream: number, chosen: readonly boolean[]) => {
          const id = idOf(outbox, streams[stream] ?? '')
          const records = outbox.read(id, 0, everything)
          return { id, records: records.filter((_, index) => chosen[index] === true) }
        }
        for (const [at, taken] of steps.entries()) {
          switch (taken.kind) {
            case 'append': {
              const records = taken.streams.map((stream) => record(taken.rule, stream, `${at}`))
              appends.push(Promise.allSettled([outbox.append(records, taken)]))
              break
            }
            case 'settle': {
              const { id, records } = picked(taken.stream, taken.picks)
              outbox.delivered(id, records)
              break
            }
            case 'giveUp': {
              const { id, records } = picked(taken.stream, taken.picks)
              const gone = records.map((one, index) =>
                givenUp(
                  one,
                  taken.handed ? { replacements: index === 0 ? [errorRecord(0)] : [] } : {},
                ),
              )
              await outbox.giveUp(id, gone)
              break
            }
            case 'replay': {
              const { how } = taken
              await outbox.deadLetters.replay(
                selection(taken.rule),
                how === 'asIs'
                  ? 'asIs'
                  : ({ ruleName, actionIndex }) => {
                      if (how === 'keep') return undefined
                      if (how === 'other') return [errorRecord(1)]
                      return [{ ...errorRecord(0), ruleName, actionIndex }, errorRecord(1)]
                    },
              )
              break
            }
            case 'delete': {
              await outbox.deadLetters.delete(selection(taken.rule))
              break
            }
            case 'reopen': {
              await outbox.close()
              await Promise.all(appends.splice(0))
              outbox = (await openTestOutbox(directory, small)).outbox
              break
            }
          }
          for (const row of ledgerOf(outbox)) expect(balance(row)).toBe(0)
        }
        // What still waits for room gets it, one record after the other.
        const rest = new Set(appends)
        for (const append of rest) void append.then(() => rest.delete(append))
        while (rest.size > 0) {
          await new Promise((resolve) => setImmediate(resolve))
          for (const stream of [0, 1, 2]) {
            const { id, records } = picked(stream, [true])
            outbox.delivered(id, records)
          }
        }
        expectBalanced(outbox)
        const live = ledgerOf(outbox)
        await outbox.close()
        const { outbox: reopened } = await openTestOutbox(directory, small)
        expect(ledgerOf(reopened)).toEqual(live)
        expectBalanced(reopened)
        await reopened.close()
      }),
      { numRuns: 60 },
    )
  })

  test('counts each move of a record apart', async () => {
    const { outbox, metrics } = await openTestOutbox(temporaryDirectory())
    await outbox.append(['1', '2', '3', '4', '5'].map((text) => newRecord('a', 'k', text)))
    const id = idOf(outbox, 'a')
    const [one, two, three, four] = outbox.read(id, 0, everything)
    if (!one || !two || !three || !four) throw new Error('too few records')
    outbox.delivered(id, [one])
    await outbox.giveUp(id, [
      givenUp(two),
      givenUp(three),
      givenUp(four, { replacements: [{ ...newRecord('b', 'k', 'error'), actionIndex: -1 }] }),
    ])
    await outbox.deadLetters.delete({ ids: [outbox.deadLetters.list().deadLetters[0]?.id ?? ''] })
    expect(outbox.ledger('telemetry')).toEqual([
      {
        actionIndex: -1,
        accepted: 1,
        delivered: 0,
        queued: 1,
        deadLettered: 0,
        dropped: 0,
        handedOver: 0,
      },
      {
        actionIndex: 0,
        accepted: 5,
        delivered: 2,
        queued: 1,
        deadLettered: 1,
        dropped: 1,
        handedOver: 1,
      },
    ])
    const text = await metrics.registry.metrics()
    for (const [name, value] of [
      ['accepted', 5],
      ['delivered', 1],
      ['handed_over', 1],
      ['dead_lettered', 2],
      ['dropped', 1],
    ]) {
      expect(text).toContain(`sluice_records_${name}_total{rule="telemetry",action="0"} ${value}`)
    }
    expect(text).toContain('sluice_dead_letters 1')
    await outbox.close()
  })

  test('counts each of many dropped records, on disk too', async () => {
    const directory = temporaryDirectory()
    const first = await openTestOutbox(directory, { bytesMax: 1 })
    await first.outbox.append([record(1, 0, 'fills the share')])
    const dropped = [15_000, 9_000]
    const appends: Promise<void>[] = []
    for (const [rule, count] of dropped.entries()) {
      for (let left = count; left > 0; left--) {
        appends.push(first.outbox.append([record(rule, 0, 'x')], { whenFull: 'drop' }))
      }
    }
    await Promise.all(appends)
    await first.outbox.close()
    const { outbox } = await openTestOutbox(directory)
    const counts = ledgerOf(outbox).map((row) => [row.rule, row.queued, row.dropped])
    expect(counts).toEqual([
      ['r0', 0, 15_000],
      ['r1', 1, 9_000],
    ])
    expectBalanced(outbox)
    await outbox.close()
  })

  test('forgets actions at rest, the oldest first, but none of a rule that exists', async () => {
    const rulesInForce = new Set(['old', 'r7', 'r8', 'r9'])
    const directory = temporaryDirectory()
    const open = () =>
      openTestOutbox(directory, {
        ledgerRowsMax: 3,
        hasRule: (ruleName) => rulesInForce.has(ruleName),
      })
    let { outbox } = await open()
    const remembered = () =>
      ['old', ...Array.from({ length: 10 }, (_, index) => `r${index}`)].filter(
        (ruleName) => outbox.ledger(ruleName).length > 0,
      )
    const deliverOne = async (ruleName: string) => {
      await outbox.append([{ ...newRecord('a', 'k', 'x'), ruleName }])
      const id = idOf(outbox, 'a')
      outbox.delivered(id, outbox.read(id, 0, everything))
      // Its removal goes to disk with the next transaction.
      await outbox.deadLetters.delete({ ids: [] })
    }
    await deliverOne('old')
    for (const rule of [0, 1, 2, 3]) await deliverOne(`r${rule}`)
    expect(remembered()).toEqual(['old', 'r2', 'r3'])
    for (const rule of [7, 8, 9]) await deliverOne(`r${rule}`)
    // There is a row for each rule in force, also beyond the bound.
    expect(remembered()).toEqual(['old', 'r7', 'r8', 'r9'])
    rulesInForce.clear()
    await deliverOne('r4')
    expect(remembered()).toEqual(['r8', 'r9', 'r4'].toSorted())
    await outbox.close()
    ;({ outbox } = await open())
    expect(remembered()).toEqual(['r8', 'r9', 'r4'].toSorted())
    await outbox.close()
  })

  test('is empty for a rule without records', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    expect(outbox.ledger('nobody')).toEqual([])
    expect(outbox.admits(destination('a'))).toBe(true)
    await outbox.close()
  })
})
