/**
 * The ledger counts what became of all records of each rule and action.
 *
 *     accepted = delivered + queued + deadLettered + dropped
 *
 * always holds, in memory and on disk: the counters change in the transaction that moves the
 * record. The moves of a record:
 *
 *     (new) --> queued ----> delivered      the stream has it
 *                 |  ^  '--> delivered      given up to the rule's error action: counted in
 *                 |  |                      `handedOver` too; its records are accepted anew
 *                 v  | replay
 *             deadLettered --> dropped      deleted, or dropped to make room for later ones
 *     (new) --> deadLettered                the action failed, and no error action took it
 *     (new) --> dropped                     of a QoS 0 message, while the share is full; a failed
 *                                           action beyond the rate of dead letters
 */
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { RowWrite } from '../store/outbox-store.ts'
import { actionLabel } from '../store/queued-record.ts'
import { decodeCounters, encodeCounters } from './counters.ts'
import type { CounterRow, CounterSums } from './counters.ts'
import type { Destinations } from './destinations.ts'

/** What became of the records of one action. */
export interface LedgerCounts {
  readonly accepted: number
  /** Taken by the stream, or given up to the rule's error action. */
  readonly delivered: number
  readonly queued: number
  readonly deadLettered: number
  readonly dropped: number
  /** How many of `delivered` were given up to the rule's error action. */
  readonly handedOver: number
}

export interface ActionLedger extends LedgerCounts {
  /** `errorActionIndex` for the rule's error action. */
  readonly actionIndex: number
}

export interface LedgerRow extends CounterRow {
  readonly ruleName: string
  readonly actionIndex: number
  /** Records of it that are on their way to disk: see `Ledger.hold`. */
  holds: number
}

const counterCount = 6
/**
 * Actions that are remembered, also of rules that no longer exist. Rules that exist, and actions
 * with undelivered records, are always remembered, so there may be more.
 */
const ledgerRowsMaxDefault = 20_000

/** While no row can be forgotten, the next search waits until there are so many more rows. */
const crowdedGrowth = 1.125

/** What a move adds to accepted, delivered, queued, deadLettered, dropped, handedOver. */
export const moves = Object.freeze({
  accept: [1, 0, 1, 0, 0, 0],
  deliver: [0, 1, -1, 0, 0, 0],
  giveUpToErrorAction: [0, 1, -1, 0, 0, 1],
  giveUpToDeadLetters: [0, 0, -1, 1, 0, 0],
  /** An action failed, and made no record. */
  failToDeadLetters: [1, 0, 0, 1, 0, 0],
  replay: [0, 0, 1, -1, 0, 0],
  /** The rule, as it is now, made records of other actions only. */
  replayAsOther: [0, 1, 0, -1, 0, 1],
  dropDeadLetter: [0, 0, 0, -1, 1, 0],
  refuse: [1, 0, 0, 0, 1, 0],
  /** The record is damaged, and in quarantine. */
  quarantine: [0, 0, -1, 0, 1, 0],
} as const)

/**
 * Any call of `rowOf` or `hold` may forget a row at rest: a row of a rule that no longer exists,
 * with nothing queued, dead-lettered, held or still to be written.
 */
export interface Ledger {
  /** The row of an action. It may be forgotten when another row is asked for. */
  rowOf(ruleName: string, actionIndex: number): LedgerRow
  /** The row of an action, held for a record on its way to disk. A `release` ends the hold. */
  hold(ruleName: string, actionIndex: number): LedgerRow
  /** A further hold of a row that is not at rest. */
  holdAgain(row: LedgerRow): void
  release(row: LedgerRow): void
  ofRule(ruleName: string): readonly ActionLedger[]
  /** The sums over all rows that are remembered. */
  totals(): LedgerCounts
  /** A row with queued records: that of an action, if it has some. */
  withQueued(ruleName?: string, actionIndex?: number): LedgerRow | undefined
  /** Keys of rows that were forgotten and may still be on disk. */
  forgotten(): Iterable<Buffer>
  forgottenRemoved(keys: readonly Buffer[]): void
}

interface LedgerOptions {
  readonly rowsMax?: number | undefined
  /** Whether a rule of this name exists. Without this, any row at rest may be forgotten. */
  readonly hasRule?: ((ruleName: string) => boolean) | undefined
}

/** @param stored the rows on disk, from which the ledger goes on */
export function createLedger(
  stored: Iterable<RowWrite>,
  { rowsMax = ledgerRowsMaxDefault, hasRule = () => false }: LedgerOptions = {},
): Ledger {
  const byRule = new Map<string, Map<number, LedgerRow>>()
  const all = new Set<LedgerRow>()
  const forgotten = new Set<Buffer>()
  /** The number of rows at which to search all of them for rows to forget. */
  let crowdedAt = rowsMax

  function add(ruleName: string, actionIndex: number, numbers: number[]): LedgerRow {
    const row = { ruleName, actionIndex, live: numbers, stored: [...numbers], holds: 0 }
    const ofRule = byRule.get(ruleName) ?? new Map<number, LedgerRow>()
    byRule.set(ruleName, ofRule.set(actionIndex, row))
    all.add(row)
    return row
  }

  /** Forgets the oldest rows at rest, until there is room for one more. */
  function makeRoom(): void {
    for (const row of all) {
      if (all.size < rowsMax) break
      if (isAtRest(row) && !hasRule(row.ruleName)) forget(row)
    }
    crowdedAt = Math.max(rowsMax, Math.ceil(all.size * crowdedGrowth))
  }

  function forget(row: LedgerRow): void {
    const { ruleName, actionIndex } = row
    all.delete(row)
    const ofRule = byRule.get(ruleName)
    ofRule?.delete(actionIndex)
    if (ofRule?.size === 0) byRule.delete(ruleName)
    forgotten.add(ledgerKey(row))
  }

  for (const { key, value } of stored) {
    add(
      key.toString('utf8', 0, key.length - 2),
      key.readInt16BE(key.length - 2),
      decodeCounters(value, counterCount),
    )
  }
  function rowOf(ruleName: string, actionIndex: number): LedgerRow {
    const known = byRule.get(ruleName)?.get(actionIndex)
    if (known) return known
    if (all.size >= crowdedAt) makeRoom()
    return add(ruleName, actionIndex, noCounts())
  }

  return {
    rowOf,
    hold(ruleName, actionIndex) {
      const row = rowOf(ruleName, actionIndex)
      row.holds += 1
      return row
    },
    holdAgain(row) {
      row.holds += 1
    },
    release(row) {
      row.holds -= 1
    },
    ofRule: (ruleName) => inOrder(byRule.get(ruleName)?.values() ?? []),
    totals: () => totalsOf(all),
    withQueued(ruleName = '', actionIndex = 0) {
      const named = byRule.get(ruleName)?.get(actionIndex)
      return [...(named ? [named] : []), ...all].find(({ live }) => (live[2] ?? 0) > 0)
    },
    forgotten: () => forgotten,
    forgottenRemoved(keys) {
      for (const key of keys) forgotten.delete(key)
    },
  }
}

const noCounts = () => Array.from({ length: counterCount }, () => 0)

/** An action's row on disk after `delta` is added. Key: rule name, UTF-8; action index, i16. */
export function ledgerWrite(row: LedgerRow, delta: readonly number[]): RowWrite {
  return { key: ledgerKey(row), value: encodeCounters(row.stored, delta) }
}

/** The key of an action's row. */
export function ledgerKey({
  ruleName,
  actionIndex,
}: Pick<LedgerRow, 'ruleName' | 'actionIndex'>): Buffer {
  const index = Buffer.alloc(2)
  index.writeInt16BE(actionIndex)
  return Buffer.concat([Buffer.from(ruleName), index])
}

/** No record is queued, dead-lettered or on its way, and nothing waits to be written. */
function isAtRest({ live, stored, holds }: LedgerRow): boolean {
  const [, , queued, deadLettered] = live
  return (
    holds === 0 &&
    queued === 0 &&
    deadLettered === 0 &&
    live.every((number, index) => number === stored[index])
  )
}

function countsOf({ actionIndex, live }: LedgerRow): ActionLedger {
  return { actionIndex, ...ledgerCounts(live) }
}

/** What became of each action, in the order of the rule. */
function inOrder(rows: Iterable<LedgerRow>): readonly ActionLedger[] {
  return [...rows].map(countsOf).toSorted((left, right) => left.actionIndex - right.actionIndex)
}

function totalsOf(rows: Iterable<LedgerRow>): LedgerCounts {
  const sums = noCounts()
  for (const { live } of rows) {
    for (const [index, number] of live.entries()) sums[index] = (sums[index] ?? 0) + number
  }
  return ledgerCounts(sums)
}

function ledgerCounts(numbers: readonly number[]): LedgerCounts {
  const [accepted = 0, delivered = 0, queued = 0, deadLettered = 0, dropped = 0, handedOver = 0] =
    numbers
  return { accepted, delivered, queued, deadLettered, dropped, handedOver }
}

/** Keeps the metrics equal to the ledger and to what the outbox holds. */
export interface LedgerMetrics {
  /** The ledger has changed by this. */
  moved(sums: CounterSums<LedgerRow>): void
  /** Sets the gauges. */
  publish(): void
}

export type LedgerMetricNames =
  | 'outboxRecords'
  | 'outboxBytes'
  | 'deadLetters'
  | 'deadLetterBytes'
  | 'recordsAccepted'
  | 'recordsDelivered'
  | 'recordsHandedOver'
  | 'recordsDeadLettered'
  | 'recordsDropped'

export function createLedgerMetrics(
  destinations: Destinations,
  metrics: Pick<Metrics, LedgerMetricNames>,
): LedgerMetrics {
  function publish(): void {
    const { records, bytes, deadLetters, deadLetterBytes } = destinations.total()
    metrics.outboxRecords.set(records)
    metrics.outboxBytes.set(bytes)
    metrics.deadLetters.set(deadLetters)
    metrics.deadLetterBytes.set(deadLetterBytes)
  }

  return {
    moved(sums: CounterSums<LedgerRow>) {
      for (const [{ ruleName, actionIndex }, delta] of sums.entries()) {
        const labels = { rule: ruleName, action: actionLabel(actionIndex) }
        const [accepted = 0, delivered = 0, , deadLettered = 0, dropped = 0, handedOver = 0] = delta
        if (accepted > 0) metrics.recordsAccepted.inc(labels, accepted)
        if (delivered > handedOver) metrics.recordsDelivered.inc(labels, delivered - handedOver)
        if (handedOver > 0) metrics.recordsHandedOver.inc(labels, handedOver)
        if (deadLettered > 0) metrics.recordsDeadLettered.inc(labels, deadLettered)
        if (dropped > 0) metrics.recordsDropped.inc(labels, dropped)
      }
      publish()
    },
    publish,
  }
}
