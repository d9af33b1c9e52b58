import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import type { GivenUpReason } from './store/dead-letter-codec.ts'
import type { Destination } from './store/destination.ts'
import type { Destinations } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import { heldOnly, holdAll, releaseEntries } from './new-entry.ts'
import type { NewEntries, NewEntry } from './new-entry.ts'
import type { NewRecord } from './store/queued-record.ts'
import type { SourceMessage } from './store/source-message.ts'
import type { Commits, RemovedDeadLetter } from './outbox-commits.ts'
import type { OutboxStore, StoredDeadLetter } from './store/outbox-store.ts'
import { queuedRecord } from './store/queued-record.ts'
import { acceptedAgain, decodeSource, decodeRecord } from './store/record-codec.ts'

/** A record that was given up: its stream did not take it, and no error action replaced it. */
export interface DeadLetter {
  /** A decimal number. Ids grow in the order in which the records were accepted. */
  readonly id: string
  readonly ruleName: string
  /** `errorActionIndex` for the rule's error action. */
  readonly actionIndex: number
  readonly reason: GivenUpReason
  /** How many calls failed, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
  readonly acceptedAtMs: number
  readonly destination: Destination
  readonly partitionKey: string
  readonly explicitHashKey?: string | undefined
  readonly data: Buffer
  readonly source: SourceMessage
}

/** Which dead letters: those of these ids, those of a rule, or all. */
export type DeadLetterSelection =
  { readonly ids: readonly string[] } | { readonly ruleName?: string }

interface DeadLetterQuery {
  /** Absent: of all rules. */
  readonly ruleName?: string | undefined
  /** Of the page before. */
  readonly nextToken?: string | undefined
  readonly maxResults?: number | undefined
}

export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[]
  /** For the next page. Absent on the last page; an earlier page may be short or empty. */
  readonly nextToken?: string | undefined
}

/**
 * The records that the rule, as it is now, makes of the message: they replace the dead letter.
 * Undefined keeps the dead letter.
 */
export type ReplayByRule = (
  deadLetter: DeadLetter,
) => readonly NewRecord[] | undefined | Promise<readonly NewRecord[] | undefined>

/** Called with the ids of the dead letters of one part. The next part waits for it. */
type OnPartDurable = (ids: readonly string[]) => void | Promise<void>

/** How many of the selected dead letters were replayed or deleted, and how many were kept. */
export interface DeadLetterResult {
  readonly count: number
  readonly kept: number
}

export interface DeadLetters {
  list(query?: DeadLetterQuery): DeadLetterPage
  size(): { readonly records: number; readonly bytes: number }
  /**
   * Puts dead letters back into the queue, in the order of their ids: unchanged and for the same
   * destination, or as the rule makes them now. A dead letter is kept when there are too many
   * destinations for its records. Replays in parts, and calls `onDurable` when a part is durable;
   * everything is durable when the promise resolves.
   * @throws SluiceError OutboxWriteFailed, or what `onDurable` throws (rejects): the dead letters of
   *   later parts are kept
   */
  replay(
    selection: DeadLetterSelection,
    how: 'asIs' | ReplayByRule,
    onDurable?: OnPartDurable,
  ): Promise<DeadLetterResult>
  /** Deletes dead letters. The ledger counts them as dropped. Durable when it resolves. */
  delete(selection: DeadLetterSelection): Promise<DeadLetterResult>
}

const nothing = () => {}

const listedDefault = 50
const listedMax = 250
/** Dead letters that one page scans: few of them may belong to the rule. */
const scannedMax = 5_000
/** In one transaction. */
const chunkMax = 200
const chunkBytesMax = 8 * 1024 * 1024

interface DeadLetterParts {
  readonly store: OutboxStore
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly commits: Commits
  readonly clock: Clock
  /** While a replay or a deletion runs, no dead letter is dropped to make room. */
  readonly overflow: { paused: boolean }
  /** The time of acceptance, for records that get their sequences now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
  readonly newEntries: NewEntries
  readonly nextSequence: () => number
}

export function createDeadLetters(parts: DeadLetterParts): DeadLetters {
  const { store, destinations, commits, clock, overflow } = parts
  /** One replay or deletion runs at a time: two must not move the same dead letter. */
  let last: Promise<unknown> = Promise.resolve()

  function inTurn(
    selection: DeadLetterSelection,
    moverFor: MoverFor,
    onDurable: OnPartDurable = nothing,
  ): Promise<DeadLetterResult> {
    const done = last.then(async () => {
      overflow.paused = true
      try {
        // A running commit may drop dead letters: those that are read next must still be there.
        await commits.append({ entries: [], bytes: 0, requestedMs: clock.monotonicMs() })
        return await moveAll(selection, moverFor, onDurable)
      } finally {
        overflow.paused = false
      }
    })
    last = done.catch(() => undefined)
    return done
  }

  async function moveAll(
    selection: DeadLetterSelection,
    moverFor: MoverFor,
    onDurable: OnPartDurable,
  ): Promise<DeadLetterResult> {
    let count = 0
    let kept = 0
    for (const chunk of chunksOf(store, selection)) {
      const move = await moverFor(chunk)
      // Nothing waits between here and the append: records are committed in order of sequence.
      const requestedMs = clock.monotonicMs()
      const acceptedAtMs = parts.acceptedAt(requestedMs)
      const { deadLetters, entries } = movedOf(parts, chunk, (stored) => move(stored, acceptedAtMs))
      const bytes = entries.reduce((sum, { record }) => sum + record.stored.length, 0)
      await commits.append({ entries, deadLetters, bytes, requestedMs })
      await onDurable(deadLetters.map(({ id }) => String(id)))
      count += deadLetters.length
      kept += chunk.length - deadLetters.length
    }
    return { count, kept }
  }

  return {
    list: (query = {}) => listPage(parts, query),
    size() {
      const { deadLetters, deadLetterBytes } = destinations.total()
      return { records: deadLetters, bytes: deadLetterBytes }
    },
    replay: (
      selection: DeadLetterSelection,
      how: 'asIs' | ReplayByRule,
      onDurable?: OnPartDurable,
    ) => inTurn(selection, how === 'asIs' ? asItWas(parts) : byRule(parts, how), onDurable),
    delete: (selection: DeadLetterSelection) => inTurn(selection, dropped(parts)),
  }
}

interface MovedDeadLetter {
  readonly deadLetter: RemovedDeadLetter
  readonly entries: readonly NewEntry[]
}

type Mover = (stored: StoredDeadLetter, acceptedAtMs: number) => MovedDeadLetter | undefined
/** Does all asynchronous work before anything is moved. */
type MoverFor = (chunk: readonly StoredDeadLetter[]) => Promise<Mover>

/** The moves of a part. When one throws, nothing is held. */
function movedOf(
  parts: DeadLetterParts,
  chunk: readonly StoredDeadLetter[],
  move: (stored: StoredDeadLetter) => MovedDeadLetter | undefined,
) {
  const deadLetters: RemovedDeadLetter[] = []
  const entries: NewEntry[] = []
  try {
    for (const stored of chunk) {
      const moved = move(stored)
      if (!moved) continue
      deadLetters.push(moved.deadLetter)
      entries.push(...moved.entries)
    }
    return { deadLetters, entries }
  } catch (thrown) {
    releaseEntries(parts, entries)
    throw thrown
  }
}

function dropped(parts: DeadLetterParts): MoverFor {
  return async () => (stored) => {
    return { deadLetter: removedDeadLetter(parts, stored, 'dropDeadLetter'), entries: [] }
  }
}

/** The same bytes for the same destination, with a new sequence and time: its age starts anew. */
function asItWas(parts: DeadLetterParts): MoverFor {
  const { destinations, ledger, nextSequence } = parts
  return async () => (stored, acceptedAtMs) => {
    const deadLetter = removedDeadLetter(parts, stored, 'replay')
    const value = acceptedAgain(decodeDeadLetter(stored.value).record, acceptedAtMs)
    const { destination, row } = deadLetter
    const record = queuedRecord(nextSequence(), value)
    destinations.holdAgain(destination)
    ledger.holdAgain(row)
    return { deadLetter, entries: [{ record, destination, row, move: 'replay' as const }] }
  }
}

/** The first record of the dead letter's own action counts as its replay; others count as new. */
function byRule(parts: DeadLetterParts, replay: ReplayByRule): MoverFor {
  return async (chunk) => {
    const made = new Map<number, readonly NewRecord[]>()
    for (const stored of chunk) {
      const records = await replay(deadLetterOf(parts, stored))
      if (records !== undefined) made.set(stored.id, records)
    }
    return (stored, acceptedAtMs) => {
      const records = made.get(stored.id)
      return records && replacedBy(parts, stored, records, acceptedAtMs)
    }
  }
}

function replacedBy(
  parts: DeadLetterParts,
  stored: StoredDeadLetter,
  records: readonly NewRecord[],
  acceptedAtMs: number,
): MovedDeadLetter | undefined {
  const { row } = removedDeadLetter(parts, stored, 'replay')
  const held = holdAll(parts.destinations, records, heldOnly)
  if (!held) return undefined
  let replaced = false
  const entries = parts.newEntries(records, held, acceptedAtMs).map((entry) => {
    if (replaced || entry.row !== row) return entry
    replaced = true
    return { ...entry, move: 'replay' as const }
  })
  return {
    deadLetter: removedDeadLetter(parts, stored, replaced ? 'replay' : 'replayAsOther'),
    entries,
  }
}

function removedDeadLetter(
  { destinations, ledger }: DeadLetterParts,
  { id, value }: StoredDeadLetter,
  move: RemovedDeadLetter['move'],
): RemovedDeadLetter {
  const { destinationId, record } = decodeDeadLetter(value)
  const { ruleName, actionIndex } = decodeRecord(record)
  const destination = destinations.entryWithId(destinationId)
  if (!destination) throw withoutDestination(id)
  return { id, destination, row: ledger.rowOf(ruleName, actionIndex), bytes: value.length, move }
}

function deadLetterOf(
  { destinations }: DeadLetterParts,
  { id, value }: StoredDeadLetter,
): DeadLetter {
  const { record, destinationId, ...deadLetter } = decodeDeadLetter(value)
  const entry = destinations.entryWithId(destinationId)
  if (!entry) throw withoutDestination(id)
  return {
    id: String(id),
    ...deadLetter,
    ...decodeRecord(record),
    destination: entry.destination,
    source: decodeSource(record),
  }
}

function listPage(
  parts: DeadLetterParts,
  { ruleName, nextToken = '0', maxResults = listedDefault }: DeadLetterQuery,
): DeadLetterPage {
  const deadLetters: DeadLetter[] = []
  let scanned = 0
  let lastId = idOf(nextToken)
  for (const stored of parts.store.deadLettersAfter(lastId)) {
    if (deadLetters.length >= Math.min(maxResults, listedMax) || scanned >= scannedMax) {
      return { deadLetters, nextToken: String(lastId) }
    }
    scanned += 1
    lastId = stored.id
    if (isOfRule(stored, ruleName)) deadLetters.push(deadLetterOf(parts, stored))
  }
  return { deadLetters }
}

/** The selected dead letters in the order of their ids, in parts of one transaction each. */
function* chunksOf(
  store: OutboxStore,
  selection: DeadLetterSelection,
): Generator<StoredDeadLetter[]> {
  let chunk: StoredDeadLetter[] = []
  let bytes = 0
  for (const stored of selected(store, selection)) {
    chunk.push(stored)
    bytes += stored.value.length
    if (chunk.length < chunkMax && bytes < chunkBytesMax) continue
    yield chunk
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) yield chunk
}

/** Reads page by page: a range of the store must not stay open while the store changes. */
function* selected(
  store: OutboxStore,
  selection: DeadLetterSelection,
): Generator<StoredDeadLetter> {
  if ('ids' in selection) {
    const ids = [...new Set(selection.ids.map(idOf))]
    for (const id of ids.toSorted((left, right) => left - right)) {
      const stored = store.deadLetter(id)
      if (stored) yield stored
    }
    return
  }
  // Later dead letters are not selected: a replay that fails again must not be replayed for ever.
  let lastId = 0
  const endId = store.lastSequence()
  for (;;) {
    const page: StoredDeadLetter[] = []
    for (const stored of store.deadLettersAfter(lastId)) {
      if (page.length >= chunkMax || stored.id > endId) break
      page.push(stored)
    }
    if (page.length === 0) return
    lastId = page.at(-1)?.id ?? lastId
    yield* page.filter((stored) => isOfRule(stored, selection.ruleName))
  }
}

function isOfRule({ value }: StoredDeadLetter, ruleName: string | undefined): boolean {
  return (
    ruleName === undefined || decodeRecord(decodeDeadLetter(value).record).ruleName === ruleName
  )
}

function idOf(text: string): number {
  const id = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(id)) return id
  throw new SluiceError('InvalidRequestException', `${text} is not an id of a dead letter`)
}

function withoutDestination(id: number): SluiceError {
  return new SluiceError('DataFolderUnusable', `Dead letter ${id} lacks its destination`)
}
