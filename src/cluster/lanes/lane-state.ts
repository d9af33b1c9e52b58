/**
 * What the progress message of a lane says, as JSON: who owns the lane, what is settled, and the
 * ledger. Its layout has a version: a node leaves alone a lane that a later release has written.
 */
import type { LaneLedgerRow } from './lane-ledger.ts'

const version = 1

/** The settled records of a chunk that is not wholly settled, or that stands behind such a one. */
export interface SettledPart {
  readonly sequence: number
  /** Index of the first record and number of records, for each range. */
  readonly ranges: readonly number[]
}

/** What waits for a destination: its canonical text, records, bytes, and when the oldest came. */
export type WaitingRow = readonly [
  json: string,
  records: number,
  bytes: number,
  acceptedAtMs: number,
]

export interface LaneState {
  /** The node that owns the lane. Undefined: none does. */
  readonly owner: string | undefined
  /** Grows with each owner. */
  readonly epoch: number
  /** Counts the writes of an owner: no two progress messages are the same. */
  readonly write: number
  /** For each destination, the sequence of the last chunk that is wholly settled. */
  readonly watermarks: Readonly<Record<string, number>>
  readonly settled: Readonly<Record<string, readonly SettledPart[]>>
  readonly ledger: readonly LaneLedgerRow[]
  /** Chunks that could not be read, and are among the dead letters as they were. */
  readonly damagedChunks: number
  /** Dead letters that count no more, and are about to be removed from the log. */
  readonly leavingLetters: readonly number[]
  /** Of the chunks that the owner has read and that are not settled. */
  readonly queuedBytes: number
  /** The destinations for which most records wait. */
  readonly waiting: readonly WaitingRow[]
  /** Further destinations for which records wait. */
  readonly furtherWaiting: number
  /** Of the dead letters of the lane. */
  readonly letterBytes: number
}

/** A lane that nobody has owned yet. */
export const newLane: LaneState = Object.freeze({
  owner: undefined,
  epoch: 0,
  write: 0,
  watermarks: {},
  settled: {},
  ledger: [],
  damagedChunks: 0,
  leavingLetters: [],
  queuedBytes: 0,
  waiting: [],
  furtherWaiting: 0,
  letterBytes: 0,
})

export function encodeLaneState(state: LaneState): Buffer {
  return Buffer.from(JSON.stringify({ version, ...state }))
}

/**
 * @param data that of a `LaneProgress`; none for a lane without progress
 * @returns undefined when a later release wrote it, or when it cannot be read
 */
export function decodeLaneState(data: Uint8Array): LaneState | undefined {
  if (data.length === 0) return newLane
  try {
    const { version: found, ...state } = JSON.parse(Buffer.from(data).toString()) as LaneState & {
      readonly version: number
    }
    return found === version ? { ...newLane, ...state } : undefined
  } catch {
    return undefined
  }
}
