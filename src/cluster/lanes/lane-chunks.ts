/**
 * What is settled of a lane: its chunks from the watermark of each destination on.
 *
 * Invariants:
 * - A chunk counts towards the watermark of its destination when all its records are settled, and
 *   those of all chunks before it.
 * - A record is settled once, and counts in the ledger in the state that first says so.
 * - What a state says holds for ever once it is written: a chunk below the watermark is not read
 *   again, and may be forgotten.
 */
import type { Watermarks } from '../log/replicated-log.ts'
import { createLaneLedger } from './lane-ledger.ts'
import type { LaneLedger, LaneLedgerRow, Settlement } from './lane-ledger.ts'
import type { LaneState, SettledPart } from './lane-state.ts'
import { waitingOf } from './waiting-of.ts'

/** A chunk that the owner of its lane has read. */
export interface LaneChunk {
  /** Its token. */
  readonly destination: string
  /** In the log. */
  readonly sequence: number
  readonly bytes: number
  /** The canonical text of its destination; none for a chunk whose records wait for none. */
  readonly json: string
  /** Of its first record, in epoch milliseconds. */
  readonly acceptedAtMs: number
  /** For each record 1 when it is settled. */
  readonly settled: Uint8Array
  /** Records that are not settled. */
  left: number
  isTaken: boolean
  /** What it adds to the ledger when it is taken. */
  readonly queued: LaneLedger
  /** What the written states do not count yet. */
  readonly unsaved: LaneLedger
}

/** The action of a record. */
interface OfAction {
  readonly ruleName: string
  readonly actionIndex: number
}

/** The action of each record, or the number of records whose actions are not known. */
export type OfRecords = readonly OfAction[] | number

/** What the chunks add to the state of their lane. */
type ChunksState = Pick<
  LaneState,
  | 'watermarks'
  | 'settled'
  | 'ledger'
  | 'damagedChunks'
  | 'queuedBytes'
  | 'waiting'
  | 'furtherWaiting'
>

/** What is known of a chunk that is read. */
type ReadChunk = Pick<LaneChunk, 'destination' | 'sequence' | 'bytes'> &
  Partial<Pick<LaneChunk, 'json' | 'acceptedAtMs'>>

export interface LaneChunks {
  /** The sequence of the last chunk of a destination that was taken; 0: of none. */
  lastTaken(destination: string): number
  /** Where to read on: after what was taken of each destination. */
  taken(): Watermarks
  /** Makes a chunk. Those of its records that an earlier owner has settled are marked. */
  read(chunk: ReadChunk, of: OfRecords): LaneChunk
  /** Takes a chunk, the next one of its destination. Its records may be settled already. */
  take(chunk: LaneChunk): void
  /** @returns false when the record was settled before */
  settle(chunk: LaneChunk, index: number, of: OfAction, how: Settlement): boolean
  /** Settles a chunk that cannot be read. */
  settleDamaged(chunk: LaneChunk): void
  /** Records come to those that were read and not taken, or with a negative number go. */
  passedOver(records: number): void
  /** Records that were read from the log and are not settled. */
  lagRecords(): number
  /** Adds to the ledger what belongs to no chunk. */
  addToLedger(ledger: LaneLedger): void
  /** What is settled now. It counts as saved: when it cannot be written, the lane is lost. */
  save(): ChunksState
  /** The chunks up to these watermarks are gone from the log. */
  forgotten(upTo: Watermarks): void
}

/** Numbers of ranges in one state. What is beyond them waits for a later one. */
const rangeNumbersMax = 20_000
/** Destinations whose watermarks are kept. Of more, those go first that have nothing in the log. */
const watermarksMax = 2_000

interface OfDestination {
  watermark: number
  lastTaken: number
  readonly chunks: LaneChunk[]
  /** What an earlier owner had settled of chunks that are still to be taken. */
  readonly earlier: Map<number, readonly number[]>
}

export function createLaneChunks(state: LaneState): LaneChunks {
  const destinations = new Map<string, OfDestination>()
  const ledger = createLaneLedger(state.ledger.map(withoutQueued))
  let { damagedChunks } = state
  let queuedBytes = 0
  let lagRecords = 0

  function ofToken(token: string): OfDestination {
    const known = destinations.get(token)
    if (known !== undefined) return known
    const watermark = state.watermarks[token] ?? 0
    const parts = state.settled[token] ?? []
    const earlier = new Map(parts.map(({ sequence, ranges }) => [sequence, ranges]))
    const added = { watermark, lastTaken: watermark, chunks: [], earlier }
    destinations.set(token, added)
    return added
  }

  for (const token of Object.keys({ ...state.watermarks, ...state.settled })) ofToken(token)

  function settleIn(chunk: LaneChunk, count: number): void {
    chunk.left -= count
    if (!chunk.isTaken) return
    lagRecords -= count
    if (chunk.left === 0) queuedBytes -= chunk.bytes
  }

  return {
    lastTaken: (destination) => ofToken(destination).lastTaken,
    taken: () =>
      Object.fromEntries(Array.from(destinations, ([token, of]) => [token, of.lastTaken])),
    read: (chunk, records) =>
      readChunk(chunk, records, ofToken(chunk.destination).earlier.get(chunk.sequence) ?? []),
    take(chunk) {
      const of = ofToken(chunk.destination)
      chunk.isTaken = true
      of.lastTaken = chunk.sequence
      of.chunks.push(chunk)
      ledger.addAll(chunk.queued.rows())
      chunk.queued.clear()
      lagRecords += chunk.left
      if (chunk.left > 0) queuedBytes += chunk.bytes
    },
    settle(chunk, index, { ruleName, actionIndex }, how) {
      if (chunk.settled[index] !== 0) return false
      chunk.settled[index] = 1
      chunk.unsaved.add(ruleName, actionIndex, how)
      chunk.unsaved.add(ruleName, actionIndex, 'queued', -1)
      settleIn(chunk, 1)
      return true
    },
    settleDamaged(chunk) {
      chunk.settled.fill(1)
      settleIn(chunk, chunk.left)
      damagedChunks += 1
    },
    passedOver: (records) => void (lagRecords += records),
    lagRecords: () => lagRecords,
    addToLedger: (other) => ledger.addAll(other.rows()),
    save() {
      const saved = saveChunks(destinations, ledger)
      return { ...saved, ledger: ledger.rows(), damagedChunks, queuedBytes }
    },
    forgotten(upTo) {
      for (const [token, of] of destinations) {
        if (destinations.size <= watermarksMax) return
        const isIdle = of.chunks.length === 0 && of.lastTaken === of.watermark
        if (isIdle && upTo[token] === of.watermark) destinations.delete(token)
      }
    },
  }
}

/** @param earlier the ranges that an earlier owner has settled */
function readChunk(
  { json = '', acceptedAtMs = 0, ...chunk }: ReadChunk,
  records: OfRecords,
  earlier: readonly number[],
): LaneChunk {
  const count = typeof records === 'number' ? records : records.length
  const settled = settledOf(earlier, count)
  const left = count - settled.reduce((sum, one) => sum + one, 0)
  const [unsaved, queued] = [createLaneLedger(), createLaneLedger()]
  for (const [index, of] of (typeof records === 'number' ? [] : records).entries()) {
    if (settled[index] === 0) queued.add(of.ruleName, of.actionIndex, 'queued')
  }
  const facts = { ...chunk, json, acceptedAtMs, isTaken: false }
  return { ...facts, settled, left, unsaved, queued }
}

function withoutQueued(row: LaneLedgerRow): LaneLedgerRow {
  const [ruleName, actionIndex, delivered, handedOver, deadLettered, dropped] = row
  return [ruleName, actionIndex, delivered, handedOver, deadLettered, dropped, 0]
}

/** Moves the watermarks on, and counts in the ledger what the state says of settled records. */
function saveChunks(
  destinations: ReadonlyMap<string, OfDestination>,
  ledger: LaneLedger,
): Pick<LaneState, 'watermarks' | 'settled' | 'waiting' | 'furtherWaiting'> {
  const settled: Record<string, SettledPart[]> = {}
  const watermarks: Record<string, number> = {}
  let numbersLeft = rangeNumbersMax
  for (const [token, of] of destinations) {
    moveWatermark(of, ledger)
    if (of.watermark > 0) watermarks[token] = of.watermark
    const parts: SettledPart[] = []
    for (const [sequence, ranges] of of.earlier) {
      if (sequence <= of.lastTaken) of.earlier.delete(sequence)
      else parts.push({ sequence, ranges })
    }
    for (const chunk of of.chunks) {
      if (chunk.left === chunk.settled.length) continue
      const ranges = rangesOf(chunk.settled)
      numbersLeft -= ranges.length
      if (numbersLeft < 0) break
      parts.push({ sequence: chunk.sequence, ranges })
      saveLedger(chunk, ledger)
    }
    if (parts.length > 0) settled[token] = parts
  }
  const chunks = [...destinations.values()].flatMap((of) => of.chunks)
  return { watermarks, settled, ...waitingOf(chunks) }
}

function moveWatermark(of: OfDestination, ledger: LaneLedger): void {
  let count = 0
  for (const chunk of of.chunks) {
    if (chunk.left > 0) break
    of.watermark = chunk.sequence
    saveLedger(chunk, ledger)
    count += 1
  }
  of.chunks.splice(0, count)
}

function saveLedger({ unsaved }: LaneChunk, ledger: LaneLedger): void {
  ledger.addAll(unsaved.rows())
  unsaved.clear()
}

/** For each record 1 when it is within the ranges. */
function settledOf(ranges: readonly number[], count: number): Uint8Array {
  const settled = new Uint8Array(count)
  for (let at = 0; at < ranges.length; at += 2) {
    const first = ranges[at] ?? 0
    settled.fill(1, first, first + (ranges[at + 1] ?? 0))
  }
  return settled
}

/** Index and number for each run of settled records. */
function rangesOf(settled: Uint8Array): number[] {
  const ranges: number[] = []
  for (let at = 0; at < settled.length; at++) {
    if (settled[at] === 0) continue
    const first = at
    while (settled[at + 1] === 1) at += 1
    ranges.push(first, at + 1 - first)
  }
  return ranges
}
