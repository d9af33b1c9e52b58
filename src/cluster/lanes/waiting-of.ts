import type { LaneChunk } from './lane-chunks.ts'
import type { LaneState, WaitingRow } from './lane-state.ts'

/** Destinations that one state names: those for which most records wait. */
const shownMax = 100

/**
 * What waits for each destination, by the chunks that are not wholly settled. It fits the ledger of
 * the same state: a settled record that the state does not count yet still waits.
 */
export function waitingOf(
  chunks: readonly LaneChunk[],
): Pick<LaneState, 'waiting' | 'furtherWaiting'> {
  const sums = new Map<string, { records: number; bytes: number; acceptedAtMs: number }>()
  for (const { json, left, bytes, acceptedAtMs, unsaved } of chunks) {
    const unsavedRecords = unsaved.rows().reduce((sum, row) => sum - row[6], 0)
    const records = left + unsavedRecords
    if (json === '' || records === 0) continue
    const sum = sums.get(json)
    if (sum === undefined) sums.set(json, { records, bytes, acceptedAtMs })
    else {
      sum.records += records
      sum.bytes += bytes
    }
  }
  const rows = Array.from(sums, ([json, { records, bytes, acceptedAtMs }]): WaitingRow => [
    json,
    records,
    bytes,
    acceptedAtMs,
  ]).toSorted(([, left], [, right]) => right - left)
  return { waiting: rows.slice(0, shownMax), furtherWaiting: Math.max(0, rows.length - shownMax) }
}
