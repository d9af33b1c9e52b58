import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { deadLetterOf } from './dead-letter.ts'
import type { DeadLetter, ReplayByRule } from './dead-letter.ts'
import type { DeadLetterOverflow } from './dead-letter-overflow.ts'
import { asItWas, byRule, dropped, movedOf } from './dead-letter-moves.ts'
import type { MoveParts, MoverFor } from './dead-letter-moves.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import type { Commits } from './outbox-commits.ts'
import type { OutboxStore, StoredDeadLetter } from './store/outbox-store.ts'
import { decodeRecord } from './store/record-codec.ts'

/** Which dead letters: those of these ids, those of a rule, or all. */
export type DeadLetterSelection =
  { readonly ids: readonly string[] } | { readonly ruleName?: string }

export interface DeadLetterQuery {
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
 * Called with the ids of the dead letters of one part. The next part waits for it. Other replays
 * and deletions go on meanwhile.
 */
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
   * @throws SluiceError OutboxWriteFailed, or what `onDurable` throws (rejects): the dead letters
   *   of later parts are kept
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

interface DeadLetterParts extends MoveParts {
  readonly store: OutboxStore
  readonly commits: Commits
  readonly clock: Clock
  readonly overflow: Pick<DeadLetterOverflow, 'paused' | 'replays'>
  /** The time of acceptance, for records that get their sequences now; `nowMs` is monotonic. */
  readonly acceptedAt: (nowMs: number) => number
}

export function createDeadLetters(parts: DeadLetterParts): DeadLetters {
  const { store, destinations, commits, clock, overflow } = parts
  /** One part is moved at a time: two must not move the same dead letter. */
  let last: Promise<unknown> = Promise.resolve()

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }

  /** Moves the next part. Undefined when there is none. */
  async function moveNext(
    chunks: Generator<StoredDeadLetter[], void>,
    moverFor: MoverFor,
  ): Promise<MovedPart | undefined> {
    overflow.paused = true
    try {
      // A running commit may drop dead letters: those that are read next must still be there.
      await commits.append({ entries: [], bytes: 0, requestedMs: clock.monotonicMs() })
      const next = chunks.next()
      if (next.done === true) return undefined
      // The part may have been read before the turns of others, which may have moved some of it.
      const chunk = next.value.filter(({ id }) => store.deadLetter(id) !== undefined)
      const move = await moverFor(chunk)
      // Nothing waits between here and the append: records are committed in order of sequence.
      const requestedMs = clock.monotonicMs()
      const acceptedAtMs = parts.acceptedAt(requestedMs)
      const { deadLetters, entries } = movedOf(parts, chunk, (stored) => move(stored, acceptedAtMs))
      const bytes = entries.reduce((sum, { record }) => sum + record.stored.length, 0)
      await commits.append({ entries, deadLetters, bytes, requestedMs })
      const ids = deadLetters.map(({ id }) => String(id))
      return { ids, kept: chunk.length - deadLetters.length }
    } finally {
      overflow.paused = false
    }
  }

  async function moveAll(
    selection: DeadLetterSelection,
    moverFor: MoverFor,
    onDurable: OnPartDurable = nothing,
  ): Promise<DeadLetterResult> {
    const chunks = chunksOf(store, selection)
    let count = 0
    let kept = 0
    overflow.replays += 1
    try {
      for (;;) {
        const moved = await inTurn(() => moveNext(chunks, moverFor))
        if (moved === undefined) return { count, kept }
        count += moved.ids.length
        kept += moved.kept
        await onDurable(moved.ids)
      }
    } finally {
      overflow.replays -= 1
    }
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
    ) => moveAll(selection, how === 'asIs' ? asItWas(parts) : byRule(parts, how), onDurable),
    delete: (selection: DeadLetterSelection) => moveAll(selection, dropped(parts)),
  }
}

interface MovedPart {
  readonly ids: readonly string[]
  readonly kept: number
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
    if (isOfRule(stored, ruleName)) deadLetters.push(deadLetterOf(parts.destinations, stored))
  }
  return { deadLetters }
}

/** The selected dead letters in the order of their ids, in parts of one transaction each. */
function* chunksOf(
  store: OutboxStore,
  selection: DeadLetterSelection,
): Generator<StoredDeadLetter[], void> {
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
