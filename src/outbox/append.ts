import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Admission, Placed } from './room.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { DestinationTable } from './books/destinations.ts'
import type { Leave } from './leave.ts'
import type { Ledger, LedgerRow } from './books/ledger.ts'
import { moves } from './books/ledger.ts'
import type { LedgerMetrics } from './books/ledger-metrics.ts'
import { holdAll } from './new-entry.ts'
import type { HeldRecord, NewEntries } from './new-entry.ts'
import type { NewRecord } from './store/new-record.ts'
import type { Commits } from './outbox-commits.ts'

export interface AppendOptions {
  /**
   * What becomes of records whose destination's share is full. `wait`, the default: the message
   * waits, all of it. `drop`: those records are dropped and counted, the others taken.
   */
  readonly whenFull?: 'wait' | 'drop'
}

interface AppendParts {
  readonly table: DestinationTable
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly commits: Commits
  readonly admission: Admission
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'outboxAppendsWaiting'>
  readonly leave: Leave
  /** The time of acceptance of records that get their places now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
}

type AppendRecords = (records: readonly NewRecord[], options?: AppendOptions) => Promise<void>

/** A record that waits for its turn: until then it holds its destination. */
type PlacedRecord = Placed & HeldRecord

/** What a record takes on disk beside its bytes, about: names, times, lengths. */
const recordOverheadBytes = 160

export function createAppend(parts: AppendParts): AppendRecords {
  const { table, commits, admission, clock, metrics, acceptedAt, newEntries, leave } = parts

  /** Their turn has come: they take their places in this very moment. */
  function write(placed: readonly PlacedRecord[]): Promise<void> {
    try {
      const handedMs = clock.monotonicMs()
      const entries = newEntries(placed, acceptedAt(handedMs))
      let bytes = 0
      for (const { record } of entries) bytes += record.stored.length
      return commits.append({ entries, bytes, handedMs, placed })
    } catch (error) {
      leave(placed)
      return Promise.reject(error)
    }
  }

  function writeOrDrop(placed: readonly PlacedRecord[]): Promise<void> {
    const kept = placed.filter(({ entry }) => !admission.isFull(entry))
    if (kept.length < placed.length) {
      const dropped = placed.filter(({ entry }) => admission.isFull(entry))
      for (const { entry } of dropped) table.release(entry)
      refuse(parts, dropped)
    }
    admission.pass(kept)
    return write(kept)
  }

  function writeInTurn(placed: readonly PlacedRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      admission.enter(placed, {
        admit: () => void write(placed).then(resolve, reject),
        refuse(error) {
          for (const { entry } of placed) table.release(entry)
          reject(error)
        },
      })
      metrics.outboxAppendsWaiting.set(admission.waiting().appends)
    })
  }

  return (records, { whenFull = 'wait' } = {}) => {
    if (records.length === 0) return Promise.resolve()
    const placed = place(records, table)
    if (!placed) return Promise.reject(tooManyDestinations(records))
    if (whenFull === 'drop') return writeOrDrop(placed)
    if (admission.mustWait(placed)) return writeInTurn(placed)
    admission.pass(placed)
    return write(placed)
  }
}

/** Their destinations stay, from here on, even while nothing of them is on disk. */
function place(
  records: readonly NewRecord[],
  table: DestinationTable,
): readonly PlacedRecord[] | undefined {
  return holdAll(table, records)?.map(({ record, entry }) => {
    const { data, partitionKey, source } = record
    const payloadBytes = source.payload === data ? 0 : source.payload.length
    return { record, entry, partitionKey, bytes: recordOverheadBytes + data.length + payloadBytes }
  })
}

function tooManyDestinations(records: readonly NewRecord[]): SluiceError {
  const streams = [...new Set(records.map(({ destination }) => destination.streamName))]
  const [first = ''] = streams
  const further = streams.length > 1 ? ` and ${streams.length - 1} more` : ''
  return new SluiceError(
    'ActionFailed',
    `Records wait for as many destinations as there may be: none is left for stream ${first}${further}`,
  )
}

/** Dropped for want of room: nobody waits for the word of it on disk. */
function refuse(
  { ledger, ledgerMetrics, commits }: AppendParts,
  records: readonly HeldRecord[],
): void {
  const sums = createCounterSums<LedgerRow>()
  const refused = records.map(({ record: { ruleName, actionIndex } }) => {
    const row = ledger.rowOf(ruleName, actionIndex)
    // At once: a row that has something to be written is not forgotten for the next one.
    addTo(row.live, moves.refuse)
    sums.add(row, moves.refuse)
    return { move: 'refuse' as const, row, count: 1 }
  })
  ledgerMetrics.moved(sums)
  commits.remove(refused)
}
