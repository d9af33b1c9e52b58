import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { createTokenBuckets } from '../base/token-buckets.ts'
import { propertiesBytes } from '../storage/stored-properties.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Room, Reservation } from './room.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger, LedgerMetrics, LedgerRow } from './books/ledger.ts'
import { moves } from './books/ledger.ts'
import type { SharedMessages } from './books/shared-messages.ts'
import { holdAll } from './new-entry.ts'
import type { NewEntries, NewEntry } from './new-entry.ts'
import { targetOf } from './store/destination.ts'
import type { NewRecord, SharedMessage } from './store/queued-record.ts'
import type { Commits } from './outbox-commits.ts'
import { ownDataBytes, sharingOf } from './sharing.ts'
import type { Place } from './sharing.ts'

export interface AppendOptions {
  /**
   * What becomes of records whose destination's share is full, or whose key or destination an
   * earlier append waits for. `wait`, the default: the whole message waits. `drop`: these records
   * are dropped and counted, and the others are appended.
   */
  readonly whenFull?: 'wait' | 'drop' | undefined
  /**
   * Ends the waiting for room: nobody needs the answer any more. The append is then refused. It is
   * read only when the append has to wait.
   */
  readonly signal?: AbortSignal | undefined
  /** Gets the records that are dropped because of `whenFull`. */
  readonly onDropped?: ((records: readonly NewRecord[]) => void) | undefined
  /**
   * Gets the sequences of the records, in their order, before they are on disk: they may never be.
   */
  readonly onPlaced?: ((sequences: readonly number[]) => void) | undefined
}

interface AppendParts {
  readonly sharedMessages: Pick<SharedMessages, 'hasRoom'>
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly metrics: Pick<Metrics, 'ruleStatistics'>
  readonly commits: Commits
  readonly room: Room
  readonly clock: Clock
  /** The time of acceptance, for records that get their sequences now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
}

type AppendRecords = (records: readonly NewRecord[], options?: AppendOptions) => Promise<void>

/** Roughly what a record takes on disk beside its bytes: names, times, lengths. */
const recordOverheadBytes = 160

export function createAppend(parts: AppendParts): AppendRecords {
  const { destinations, commits, room, clock, acceptedAt, newEntries } = parts

  /** Gives the records their sequences, synchronously: their turn has come. */
  function write(
    records: readonly NewRecord[],
    reserved: readonly Reserved[],
    onPlaced?: AppendOptions['onPlaced'],
  ): Promise<void> {
    try {
      const requestedMs = clock.monotonicMs()
      const entries = newEntries(records, reserved, acceptedAt(requestedMs))
      onPlaced?.(entries.map(({ record }) => record.sequence))
      return commits.append({ entries, bytes: bytesOfEntries(entries), requestedMs, reserved })
    } catch (thrown) {
      room.released(reserved)
      return Promise.reject(thrown)
    }
  }

  function writeOrDrop(
    records: readonly NewRecord[],
    reserved: readonly Reserved[],
    onDropped: AppendOptions['onDropped'],
  ): Promise<void> {
    if (!room.mustWait(reserved)) {
      room.reserve(reserved)
      return write(records, reserved)
    }
    const mustWait = reserved.map((reservation) => room.mustWait([reservation]))
    const dropped = reserved.filter((_, index) => mustWait[index])
    for (const { entry } of dropped) destinations.release(entry)
    const droppedRecords = records.filter((_, index) => mustWait[index])
    refuse(parts, droppedRecords)
    countThrottled(parts, droppedRecords)
    onDropped?.(droppedRecords)
    const keptRecords = records.filter((_, index) => !mustWait[index])
    const kept = withSharing(
      parts,
      keptRecords,
      reserved.filter((_, index) => !mustWait[index]),
    )
    room.reserve(kept)
    return write(keptRecords, kept)
  }

  function writeInTurn(
    records: readonly NewRecord[],
    reserved: readonly Reserved[],
    { signal, onPlaced }: AppendOptions = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      enterRoom(room, reserved, signal, {
        admit: () => void write(records, reserved, onPlaced).then(resolve, reject),
        refuse(error) {
          for (const { entry } of reserved) destinations.release(entry)
          reject(error)
        },
      })
    })
  }

  const failedActions = createFailedActionRate(clock)

  return (given, options) => {
    const records = hasFailed(given) ? withinRate(parts, given, failedActions) : given
    if (records.length === 0) return Promise.resolve()
    const reserved = reserve(parts, records)
    if (!reserved) return Promise.reject(tooManyDestinations(records))
    if (options?.whenFull === 'drop') return writeOrDrop(records, reserved, options.onDropped)
    if (room.mustWait(reserved)) return writeInTurn(records, reserved, options)
    room.reserve(reserved)
    return write(records, reserved, options?.onPlaced)
  }
}

const nothing = (): void => undefined

/** Enters the room, and leaves it when the signal aborts. */
function enterRoom(
  room: Pick<Room, 'enter'>,
  reserved: readonly Reservation[],
  signal: AbortSignal | undefined,
  { admit, refuse: refuseTurn }: Parameters<Room['enter']>[1],
): void {
  // The room may refuse at once, before it has returned how to leave it.
  let endWaiting = nothing
  const leave = () => endWaiting()
  const stopListening = () => signal?.removeEventListener('abort', leave)
  signal?.addEventListener('abort', leave, { once: true })
  endWaiting = room.enter(reserved, {
    admit() {
      stopListening()
      admit()
    },
    refuse(error) {
      stopListening()
      refuseTurn(error)
    },
  })
  if (signal?.aborted) leave()
}

/**
 * Dead letters of one failed action in a row, and in each window after that. A rule that fails for
 * every message would otherwise write as many as there are messages.
 */
const failedActionsMax = 1_000
const failedActionsWindowMs = 10_000
/** Actions whose rate is remembered. */
const failingActionsMax = 10_000

/** Drops and counts failed actions beyond their rate. */
function withinRate(
  parts: AppendParts,
  records: readonly NewRecord[],
  rate: ReturnType<typeof createFailedActionRate>,
): readonly NewRecord[] {
  const dropped = new Set(records.filter((record) => isFailed(record) && !rate.take(record)))
  if (dropped.size === 0) return records
  refuse(parts, [...dropped])
  return records.filter((record) => !dropped.has(record))
}

/** Limits how many dead letters each action makes by failing. */
function createFailedActionRate(clock: Clock) {
  const buckets = createTokenBuckets({
    tokens: failedActionsMax,
    windowMs: failedActionsWindowMs,
    keysMax: failingActionsMax,
  })
  return {
    /** @returns false when the action has failed too often */
    take({ ruleName, actionIndex }: NewRecord): boolean {
      const key = `${ruleName} ${actionIndex}`
      const nowMs = clock.monotonicMs()
      if (buckets.waitMs(key, nowMs) > 0) return false
      buckets.take(key, nowMs)
      return true
    },
  }
}

const isFailed = ({ failed }: NewRecord) => failed !== undefined

/** Of a message that made one record, which nearly every message is, without a call of `some`. */
const hasFailed = (records: readonly NewRecord[]): boolean =>
  records.length === 1 ? records[0]?.failed !== undefined : records.some(isFailed)

/** The room of a record, and what the record shares with others of its message. */
interface Reserved extends Reservation {
  readonly place?: Place | undefined
}

/** Holds the destinations, so that they stay while nothing of them is on disk. */
function reserve(parts: AppendParts, records: readonly NewRecord[]) {
  const reserved = holdAll(parts.destinations, records, reservationOf)
  return reserved && records.length > 1 ? withSharing(parts, records, reserved) : reserved
}

function reservationOf(record: NewRecord, entry: DestinationEntry): Reserved {
  if (record.encoded !== undefined) {
    return { entry, partitionKey: record.partitionKey, bytes: record.encoded.length }
  }
  const { data, partitionKey, source, call = '' } = record
  let sourceBytes = source.payload === data ? 0 : source.payload.length
  if (source.mqtt5 !== undefined) sourceBytes += propertiesBytes(source.mqtt5)
  return {
    entry,
    partitionKey,
    bytes: recordOverheadBytes + data.length + sourceBytes + call.length,
  }
}

/**
 * The room of records that share their messages. A message counts with its first record, and for
 * each further destination.
 */
function withSharing(
  { sharedMessages }: AppendParts,
  records: readonly NewRecord[],
  reserved: readonly Reserved[],
): readonly Reserved[] {
  const sharing = sharedMessages.hasRoom() ? sharingOf(records) : undefined
  if (!sharing && !reserved.some(({ place }) => place)) return reserved
  const sharers = new Map<Place['share'], Set<DestinationEntry>>()
  return records.flatMap((record, index): Reserved[] => {
    const { entry, partitionKey } = reserved[index] ?? {}
    if (entry === undefined || partitionKey === undefined) return []
    const place = sharing?.[index]
    if (place === undefined) return [reservationOf(record, entry)]
    const { share } = place
    const { call = '' } = record
    const own = recordOverheadBytes + ownDataBytes(record, place) + call.length
    const known = sharers.get(share)
    const bytes = known === undefined ? own + share.bytes : own
    const messageBytes = known === undefined || known.has(entry) ? 0 : share.bytes
    sharers.set(share, (known ?? new Set()).add(entry))
    return [{ entry, partitionKey, bytes, messageBytes, place }]
  })
}

/** With the messages that they share, each once. */
function bytesOfEntries(entries: readonly NewEntry[]): number {
  let bytes = 0
  let last: SharedMessage | undefined
  for (const { record } of entries) {
    const { stored, message } = record
    bytes += stored.length
    if (message !== undefined && message !== last) bytes += message.value.length
    last = message
  }
  return bytes
}

function tooManyDestinations(records: readonly NewRecord[]): SluiceError {
  const targets = [...new Set(records.map(({ destination }) => targetOf(destination)))]
  const [first = ''] = targets
  const further = targets.length > 1 ? ` and ${targets.length - 1} more` : ''
  return new SluiceError(
    'ActionFailed',
    `Records wait for as many destinations as there may be: none is left for ${first}${further}`,
  )
}

/** Counts the message of these records as throttled, once for each of its rules. */
function countThrottled({ metrics }: AppendParts, records: readonly NewRecord[]): void {
  const rules = new Set(records.map(({ ruleName }) => ruleName))
  for (const rule of rules) metrics.ruleStatistics.of(rule).throttled += 1
}

/** Counts records that are dropped because there is no room. Nothing waits for that commit. */
function refuse(
  { ledger, ledgerMetrics, commits }: AppendParts,
  records: readonly NewRecord[],
): void {
  const sums = createCounterSums<LedgerRow>()
  const refused = records.map(({ ruleName, actionIndex }) => {
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
