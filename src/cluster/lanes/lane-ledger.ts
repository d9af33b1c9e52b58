/**
 * What became of the records of a lane, for each rule and action. A row counts records that are
 * settled, in the same write of progress that settles them: so each record counts once, however
 * often it was delivered. What is accepted is the sum of a row and of what still waits.
 */
import type { LedgerCounts } from '../../outbox/outbox.ts'

/** The ways in which a record is settled, in the order of the numbers of a row. */
const settlements = Object.freeze(['delivered', 'handedOver', 'deadLettered', 'dropped'])
export type Settlement = 'delivered' | 'handedOver' | 'deadLettered' | 'dropped'

/** Rule name, action index, and a number for each of `settlements`. */
export type LaneLedgerRow = readonly [
  ruleName: string,
  actionIndex: number,
  delivered: number,
  handedOver: number,
  deadLettered: number,
  dropped: number,
]

/** Rows of a lane. Of more, the oldest are summed up in the row of no rule. */
const laneRowsMax = 4_000

export interface LaneLedger {
  add(ruleName: string, actionIndex: number, settlement: Settlement, count?: number): void
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
    const numbers = settlements.map(() => 0)
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
    add(ruleName, actionIndex, settlement, count = 1) {
      const numbers = numbersOf(ruleName, actionIndex)
      const index = settlements.indexOf(settlement)
      numbers[index] = (numbers[index] ?? 0) + count
    },
    addAll,
    rows: () =>
      Array.from(rows.values(), ({ ruleName, actionIndex, numbers }) => {
        const [delivered = 0, handedOver = 0, deadLettered = 0, dropped = 0] = numbers
        return [ruleName, actionIndex, delivered, handedOver, deadLettered, dropped]
      }),
    clear: () => rows.clear(),
  }
}

function addTo(target: number[], numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) target[index] = (target[index] ?? 0) + number
}

/** The counts of rows together, as the outbox of one node gives them. */
export function countsOfRows(rows: Iterable<LaneLedgerRow>, queued: number): LedgerCounts {
  const sums = [0, 0, 0, 0]
  for (const [, , ...numbers] of rows) addTo(sums, numbers)
  const [sent = 0, handedOver = 0, deadLettered = 0, dropped = 0] = sums
  const delivered = sent + handedOver
  const accepted = delivered + queued + deadLettered + dropped
  return { accepted, delivered, queued, deadLettered, dropped, handedOver }
}
