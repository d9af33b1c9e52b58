import type { Clock } from '../clock.ts'
import type { Metrics } from '../telemetry.ts'
import type { Admission, Placed } from './admission.ts'
import { addTo, createCounterSums } from './counters.ts'
import type { DestinationTable } from './destination-table.ts'
import type { Ledger, LedgerRow } from './ledger.ts'
import { moves } from './ledger.ts'
import type { LedgerMetrics } from './ledger-metrics.ts'
import type { NewRecord } from './new-record.ts'
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
  /** Gives a record its place in the queue. */
  readonly newEntry: (record: NewRecord, acceptedAtMs: number) => NewEntry
}

type AppendRecords = (records: readonly NewRecord[], options?: AppendOptions) => Promise<void>

/** What a record takes on disk beside its bytes, about: names, times, lengths. */
const recordOverheadBytes = 160

export function createAppend(parts: AppendParts): AppendRecords {
  const { table, commits, admission, clock, metrics, newEntry } = parts

  /** Its turn has come: it takes its place in this very moment. */
  async function write(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    try {
      const handedMs = clock.nowMs()
      const entries = records.map((record) => newEntry(record, handedMs))
      const bytes = entries.reduce((sum, { value }) => sum + value.length, 0)
      await commits.append({ entries, bytes, handedMs })
    } finally {
      admission.done(placed)
      admission.roomMade(placed.map(({ entry }) => entry))
    }
  }

  function writeOrDrop(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    const fits = placed.map(({ entry }) => !admission.isFull(entry))
    refuse(
      parts,
      records.filter((_, index) => fits[index] !== true),
    )
    const kept = placed.filter((_, index) => fits[index])
    admission.pass(kept)
    return write(
      records.filter((_, index) => fits[index]),
      kept,
    )
  }

  function writeInTurn(records: readonly NewRecord[], placed: readonly Placed[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const admit = () => void write(records, placed).then(resolve, reject)
      admission.enter(placed, { admit, refuse: reject })
      metrics.outboxAppendsWaiting.set(admission.waiting().appends)
    })
  }

  return async (records, { whenFull = 'wait' } = {}) => {
    if (records.length === 0) return
    const placed: Placed[] = []
    try {
      for (const record of records) placed.push(hold(record, table))
      await (whenFull === 'drop' ? writeOrDrop(records, placed) : writeInTurn(records, placed))
    } finally {
      for (const { entry } of placed) entry.arriving -= 1
    }
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
    return { move: 'refuse' as const, row }
  })
  for (const [row, delta] of sums.entries()) addTo(row.live, delta)
  ledgerMetrics.moved(sums)
  commits.remove(refused)
}
