/**
 * What became of the records of a lane, for each rule and action. A row counts records that are
 * settled, in the same write of progress that settles them: so each record counts once, however
 * often it was delivered. What is accepted is the sum of a row.
 */
import type { ActionLedger, LedgerCounts } from '../../outbox/outbox.ts'

/** The ways in which a record is settled. */
export type Settlement = 'delivered' | 'handedOver' | 'deadLettered' | 'dropped'

/**
 * In the order of the numbers of a row. `queued`: what the owner has read and not settled; each
 * owner counts it anew.
 */
const counters: readonly (Settlement | 'queued')[] = Object.freeze([
  'delivered',
  'handedOver',
  'deadLettered',
  'dropped',
  'queued',
])

/** Rule name, action index, and a number for each of `counters`. */
export type LaneLedgerRow = readonly [
  ruleName: string,
  actionIndex: number,
  delivered: number,
  handedOver: number,
  deadLettered: number,
  dropped: number,
  queued: number,
]

/** Rows of a lane. Of more, the oldest are summed up in the row of no rule. */
const laneRowsMax = 4_000

export interface LaneLedger {
  add(
    ruleName: string,
    actionIndex: number,
    counter: (typeof counters)[number],
    count?: number,
  ): void
  /** Adds all rows of another. */
  addAll(rows: Iterable<LaneLedgerRow>): void
  rows(): LaneLedgerRow[]
  clear(): void
}

export function createLaneLedger(stored: Iterable<LaneLedgerRow> = []): LaneLedger {
  const rows = new Map<string, { ruleName: string; actionIndex: number; numbers: number[] }>()

  function numbersOf(ruleName: string, actionIndex: number): number[] {
    const key = `${ruleName} ${actionIndex}`
    const known = rows.get(key)
    if (known !== undefined) return known.numbers
    const numbers = counters.map(() => 0)
    rows.set(key, { ruleName, actionIndex, numbers })
    if (rows.size > laneRowsMax) sumUpOldest()
    return numbers
  }

  function sumUpOldest(): void {
    for (const [key, { ruleName, numbers }] of rows) {
      if (ruleName === '') continue
      rows.delete(key)
      addTo(numbersOf('', 0), numbers)
      return
    }
  }

  function addAll(others: Iterable<LaneLedgerRow>): void {
    for (const [ruleName, actionIndex, ...numbers] of others) {
      addTo(numbersOf(ruleName, actionIndex), numbers)
    }
  }

  addAll(stored)
  return {
    add(ruleName, actionIndex, counter, count = 1) {
      const numbers = numbersOf(ruleName, actionIndex)
      const index = counters.indexOf(counter)
      numbers[index] = (numbers[index] ?? 0) + count
    },
    addAll,
    rows: () =>
      Array.from(rows.values(), ({ ruleName, actionIndex, numbers }) => {
        const [delivered = 0, handedOver = 0, deadLettered = 0, dropped = 0, queued = 0] = numbers
        return [ruleName, actionIndex, delivered, handedOver, deadLettered, dropped, queued]
      }),
    clear: () => rows.clear(),
  }
}

function addTo(target: number[], numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) target[index] = (target[index] ?? 0) + number
}

/** The counts of rows together, as the outbox of one node gives them. */
export function countsOfRows(rows: Iterable<LaneLedgerRow>): LedgerCounts {
  const sums = counters.map(() => 0)
  for (const [, , ...numbers] of rows) addTo(sums, numbers)
  const [sent = 0, handedOver = 0, deadLettered = 0, dropped = 0, queued = 0] = sums
  const delivered = sent + handedOver
  const accepted = delivered + queued + deadLettered + dropped
  return { accepted, delivered, queued, deadLettered, dropped, handedOver }
}

/** The counts of the actions of a rule, in their order. */
export function actionsOfRule(
  rows: readonly LaneLedgerRow[],
  ruleName: string,
): readonly ActionLedger[] {
  const ofRule = rows.filter(([name]) => name === ruleName)
  const indexes = [...new Set(ofRule.map(([, actionIndex]) => actionIndex))]
  return indexes
    .toSorted((left, right) => left - right)
    .map((actionIndex) => {
      const ofAction = ofRule.filter(([, index]) => index === actionIndex)
      return { actionIndex, ...countsOfRows(ofAction) }
    })
}
