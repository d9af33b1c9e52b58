import type { Clock } from '../base/clock.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Admission, Placed } from './room.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { DestinationEntry, DestinationTable } from './books/destinations.ts'
import type { Leave } from './leave.ts'
import type { Ledger, LedgerRow } from './books/ledger.ts'
import { moves } from './books/ledger.ts'
import type { LedgerMetrics } from './books/ledger-metrics.ts'
import type { NewRecord } from './store/new-record.ts'
import type { Commits, NewEntry } from './outbox-commits.ts'

export interface AppendOptions {
  /**
   * What becomes of records whose destination's share is full. `wait`, the default: the message
   * waits, all of it. `drop`: those records are dropped and counted, the others taken.
   */
  readonly whenFull?: 'wait' | 'drop'
}

export interface AppendParts {
  readonly table: DestinationTable
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly commits: Commits
  readonly admission: Admission
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'outboxAppendsWaiting'>
  readonly leave: Leave
  /** Gives a record its place in the queue. */
  readonly newEntry: (
    record: NewRecord,
    acceptedAtMs: number,
    destination?: DestinationEntry,
  ) => NewEntry
}

type AppendRecords = (records: readonly NewRecord[], options?: AppendOptions) => Promise<void>

/** What a record takes on disk beside its bytes, about: names, times, lengths. */
const recordOverheadBytes = 160

export function createAppend(parts: AppendParts): AppendRecords {
  const { table, commits, admission, clock, metrics, newEntry, leave } = parts

  /** Their turn has come: they take their places in this very moment. */
  function write(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    try {
      const handedMs = clock.nowMs()
      let bytes = 0
      const entries = records.map((record, index) => {
        const entry = newEntry(record, handedMs, placed[index]?.entry)
        bytes += entry.record.stored.length
        return entry
      })
      return commits.append({ entries, bytes, handedMs, placed })
    } catch (error) {
      leave(placed)
      return Promise.reject(error)
    }
  }

  function writeOrDrop(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    const fits = placed.map(({ entry }) => !admission.isFull(entry))
    const fitting = <Item>(items: readonly Item[]) => items.filter((_, index) => fits[index])
    const kept = fitting(placed)
    if (kept.length < placed.length) {
      for (const { entry } of placed.filter((_, index) => fits[index] !== true)) entry.arriving -= 1
      refuse(
        parts,
        records.filter((_, index) => fits[index] !== true),
      )
    }
    admission.pass(kept)
    return write(fitting(records), kept)
  }

  function writeInTurn(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    return new Promise((resolve, reject) => {
      admission.enter(placed, {
        admit: () => void write(records, placed).then(resolve, reject),
        refuse(error) {
          for (const { entry } of placed) entry.arriving -= 1
          reject(error)
        },
      })
      metrics.outboxAppendsWaiting.set(admission.waiting().appends)
    })
  }

  return (records, { whenFull = 'wait' } = {}) => {
    if (records.length === 0) return Promise.resolve()
    const placed: Placed[] = []
    try {
      for (const record of records) placed.push(hold(record, table))
    } catch (error) {
      for (const { entry } of placed) entry.arriving -= 1
      return Promise.reject(error)
    }
    if (whenFull === 'drop') return writeOrDrop(records, placed)
    if (admission.mustWait(placed)) return writeInTurn(records, placed)
    admission.pass(placed)
    return write(records, placed)
  }
}

/** Its destination stays, from here on, even while nothing of it is on disk. */
function hold(record: NewRecord, table: DestinationTable): Placed {
  const { data, partitionKey, origin } = record
  const payloadBytes = origin.payload === data ? 0 : origin.payload.length
  const entry = table.entryOf(record.destination)
  entry.arriving += 1
  return { entry, partitionKey, bytes: recordOverheadBytes + data.length + payloadBytes }
}

/** Dropped for want of room: nobody waits for the word of it on disk. */
function refuse(
  { ledger, ledgerMetrics, commits }: AppendParts,
  records: readonly NewRecord[],
): void {
  if (records.length === 0) return
  const sums = createCounterSums<LedgerRow>()
  const refused = records.map(({ ruleName, actionIndex }) => {
    const row = ledger.rowOf(ruleName, actionIndex)
    sums.add(row, moves.refuse)
    return { move: 'refuse' as const, row, count: 1 }
  })
  for (const [row, delta] of sums.entries()) addTo(row.live, delta)
  ledgerMetrics.moved(sums)
  commits.remove(refused)
}
