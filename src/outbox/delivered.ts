import type { Clock } from '../base/clock.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import { addTo, createCounterSums } from './books/counters.ts'
import { recordsRemoved } from './books/destinations.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import { moves } from './books/ledger.ts'
import type { Ledger, LedgerMetrics, LedgerRow } from './books/ledger.ts'
import type { Commits, Delivered } from './outbox-commits.ts'
import type { PendingRemovals } from './queue-reader.ts'
import type { Room } from './room.ts'
import type { QueuedRecord } from './store/queued-record.ts'
import { timestampMsOf } from './store/record-codec.ts'

interface DeliveredParts {
  readonly ledger: Ledger
  readonly ledgerMetrics: LedgerMetrics
  readonly pendingRemovals: PendingRemovals
  readonly commits: Pick<Commits, 'remove'>
  readonly destinations: Destinations
  readonly metrics: Pick<Metrics, 'publishToDelivered'>
  readonly clock: Pick<Clock, 'wallMs'>
  readonly room: Pick<Room, 'roomMade'>
}

/** Memory counts delivered records at once; a commit soon writes the same to disk. */
export function countDelivered(
  parts: DeliveredParts,
  destination: DestinationEntry,
  records: readonly QueuedRecord[],
): void {
  const { ledger, ledgerMetrics, pendingRemovals, commits, destinations, room } = parts
  const sums = createCounterSums<LedgerRow>()
  for (const gone of deliveredOf(destination, ledger, records)) {
    sums.add(gone.row, moves.deliver, gone.count)
    destinations.count(destination, recordsRemoved(gone.count, gone.bytes))
    pendingRemovals.add(gone)
    commits.remove([gone])
  }
  for (const [row, delta] of sums.entries()) addTo(row.live, delta)
  ledgerMetrics.moved(sums)
  room.roomMade([destination])
  observeLatencies(parts, destination, records)
}

/** Records whose messages arrived in one millisecond, as they often did, are observed together. */
function observeLatencies(
  { metrics, clock }: DeliveredParts,
  { destination }: DestinationEntry,
  records: readonly QueuedRecord[],
): void {
  const tally = metrics.publishToDelivered.of(destination.kind)
  const nowMs = clock.wallMs()
  let arrivedMs = 0
  let count = 0
  for (const { stored } of records) {
    const ofRecordMs = timestampMsOf(stored)
    if (ofRecordMs === arrivedMs) {
      count += 1
      continue
    }
    if (count > 0) tally.observe(Math.max(0, nowMs - arrivedMs) / 1_000, count)
    arrivedMs = ofRecordMs
    count = 1
  }
  tally.observe(Math.max(0, nowMs - arrivedMs) / 1_000, count)
}

/** The delivered records, grouped by action. */
function deliveredOf(
  destination: DestinationEntry,
  ledger: Ledger,
  records: readonly QueuedRecord[],
): readonly Delivered[] {
  const byRow = new Map<LedgerRow, { sequences: number[]; bytes: number; messageIds?: number[] }>()
  for (const { ruleName, actionIndex, sequence, stored, message } of records) {
    const row = ledger.rowOf(ruleName, actionIndex)
    const known = byRow.get(row) ?? { sequences: [], bytes: 0 }
    byRow.set(row, known)
    known.sequences.push(sequence)
    known.bytes += stored.length
    if (message !== undefined) (known.messageIds ??= []).push(message.id)
  }
  return Array.from(byRow, ([row, { sequences, bytes, messageIds }]) => {
    const count = sequences.length
    return { move: 'deliver', destination, row, sequences, count, bytes, messageIds }
  })
}
