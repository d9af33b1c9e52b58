import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import type { Room, Reservation } from './room.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger, LedgerMetrics, LedgerRow } from './books/ledger.ts'
import { moves } from './books/ledger.ts'
import { holdAll } from './new-entry.ts'
import type { HeldRecord, NewEntries } from './new-entry.ts'
import type { NewRecord } from './store/queued-record.ts'
import type { Commits } from './outbox-commits.ts'

export interface AppendOptions {
  /**
   * What becomes of records whose destination's share is full. `wait`, the default: the whole
   * message waits. `drop`: these records are dropped and counted, and the others are appended.
   */
  readonly whenFull?: 'wait' | 'drop' | undefined
}

interface AppendParts {
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly commits: Commits
  readonly room: Room
  readonly clock: Clock
  /** The time of acceptance, for records that get their sequences now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
}

type AppendRecords = (records: readonly NewRecord[], options?: AppendOptions) => Promise<void>

/** A record with its reservation. It holds its destination until its turn comes. */
type ReservedRecord = Reservation & HeldRecord

/** Roughly what a record takes on disk beside its bytes: names, times, lengths. */
const recordOverheadBytes = 160

export function createAppend(parts: AppendParts): AppendRecords {
  const { destinations, commits, room, clock, acceptedAt, newEntries } = parts

  /** Gives the records their sequences, synchronously: their turn has come. */
  function write(reserved: readonly ReservedRecord[]): Promise<void> {
    try {
      const requestedMs = clock.monotonicMs()
      const entries = newEntries(reserved, acceptedAt(requestedMs))
      let bytes = 0
      for (const { record } of entries) bytes += record.stored.length
      return commits.append({ entries, bytes, requestedMs, reserved })
    } catch (thrown) {
      room.released(reserved)
      return Promise.reject(thrown)
    }
  }

  function writeOrDrop(reserved: readonly ReservedRecord[]): Promise<void> {
    const kept = reserved.filter(({ entry }) => !room.isFull(entry))
    if (kept.length < reserved.length) {
      const dropped = reserved.filter(({ entry }) => room.isFull(entry))
      for (const { entry } of dropped) destinations.release(entry)
      refuse(parts, dropped)
    }
    room.reserve(kept)
    return write(kept)
  }

  function writeInTurn(reserved: readonly ReservedRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      room.enter(reserved, {
        admit: () => void write(reserved).then(resolve, reject),
        refuse(error) {
          for (const { entry } of reserved) destinations.release(entry)
          reject(error)
        },
      })
    })
  }

  return (records, { whenFull = 'wait' } = {}) => {
    if (records.length === 0) return Promise.resolve()
    const reserved = reserve(records, destinations)
    if (!reserved) return Promise.reject(tooManyDestinations(records))
    if (whenFull === 'drop') return writeOrDrop(reserved)
    if (room.mustWait(reserved)) return writeInTurn(reserved)
    room.reserve(reserved)
    return write(reserved)
  }
}

/** Holds the destinations, so that they stay while nothing of them is on disk. */
function reserve(
  records: readonly NewRecord[],
  destinations: Destinations,
): readonly ReservedRecord[] | undefined {
  return holdAll(destinations, records, reservedRecord)
}

function reservedRecord(record: NewRecord, entry: DestinationEntry): ReservedRecord {
  const { data, partitionKey, source } = record
  const payloadBytes = source.payload === data ? 0 : source.payload.length
  return { record, entry, partitionKey, bytes: recordOverheadBytes + data.length + payloadBytes }
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

/** Counts records that are dropped because there is no room. Nothing waits for that commit. */
function refuse(
  { ledger, ledgerMetrics, commits }: AppendParts,
  records: readonly HeldRecord[],
): void {
  const sums = createCounterSums<LedgerRow>()
  const refused = records.map(({ record: { ruleName, actionIndex } }) => {
    const row = ledger.rowOf(ruleName, actionIndex)
    // At once: a row that has something to be written is not forgotten when another row is asked
    // for.
    addTo(row.live, moves.refuse)
    sums.add(row, moves.refuse)
    return { move: 'refuse' as const, row, count: 1 }
  })
  ledgerMetrics.moved(sums)
  commits.remove(refused)
}
