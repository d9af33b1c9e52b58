import type { CounterSums } from './books/counters.ts'
import { countsOf } from './books/destinations.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import type { RemovedDeadLetter } from './outbox-commits.ts'
import { decodeDeadLetter, destinationIdOf } from './store/dead-letter-codec.ts'
import type { OutboxStore, StoredDeadLetter } from './store/outbox-store.ts'
import { decodeRecord } from './store/record-codec.ts'
import { noDestinationId } from './store/record-key.ts'

/** Bytes of dead letters on disk. Beyond this the oldest are dropped. */
export const deadLetterBytesMaxDefault = 256 * 1024 * 1024

/**
 * The share of failed actions. A rule that fails for every message makes many in a short time: they
 * must not push out records that were accepted.
 */
const failedActionsShare = 0.25
/** While replays are under way, so many times the bytes may be held. */
const heldByReplays = 2

/** Keeps the dead letters within their bytes: the oldest make room for later ones. */
export interface DeadLetterOverflow {
  /** While a part of a replay or a deletion is read and moved, no dead letter is dropped. */
  paused: boolean
  /**
   * Replays and deletions under way. Between two parts a replay may wait long for subscribers: so
   * that what it has selected is not dropped at once, twice as many bytes may be held meanwhile.
   */
  replays: number
  /**
   * The oldest dead letters, as many as must be dropped to make room for those of a commit.
   *
   * @param added what the commit adds to the counters
   * @param leaving the dead letters that the commit removes anyway
   */
  dropped(
    added: CounterSums<DestinationEntry>,
    leaving: readonly RemovedDeadLetter[],
  ): RemovedDeadLetter[]
}

interface DeadLetterOverflowDependencies {
  readonly store: Pick<OutboxStore, 'deadLettersAfter'>
  readonly destinations: Destinations
  readonly ledger: Ledger
}

export function createDeadLetterOverflow(
  { store, destinations, ledger }: DeadLetterOverflowDependencies,
  { bytesMax }: { readonly bytesMax: number },
): DeadLetterOverflow {
  /** No dead letter of a failed action is on disk up to this id. */
  let noneFailedUpTo = 0

  function removed({ id, value }: StoredDeadLetter): RemovedDeadLetter | undefined {
    const { destinationId, record } = decodeDeadLetter(value)
    const destination = destinations.entryWithId(destinationId)
    if (!destination) return undefined
    const { ruleName, actionIndex } = decodeRecord(record)
    const row = ledger.rowOf(ruleName, actionIndex)
    return { id, destination, row, bytes: value.length, move: 'dropDeadLetter' }
  }

  /** The oldest dead letters, as many as are too much. */
  function* oldest(
    tooMuch: number,
    afterId: number,
    isChosen: (stored: StoredDeadLetter) => boolean,
  ): Generator<RemovedDeadLetter> {
    let leftBytes = tooMuch
    if (leftBytes <= 0) return
    for (const stored of store.deadLettersAfter(afterId)) {
      const one = isChosen(stored) ? removed(stored) : undefined
      if (one === undefined) continue
      yield one
      leftBytes -= one.bytes
      if (leftBytes <= 0) return
    }
  }

  const overflow: DeadLetterOverflow = {
    paused: false,
    replays: 0,
    dropped(added, leaving) {
      if (overflow.paused) return []
      const found = new Map<number, RemovedDeadLetter>()
      const gone = new Set(leaving.map(({ id }) => id))
      const heldBytesMax = bytesMax * (overflow.replays > 0 ? heldByReplays : 1)
      const held = amountsAfter(destinations, added, leaving)
      const tooManyFailed = held.failedBytes - heldBytesMax * failedActionsShare
      const isFailed = ({ id, value }: StoredDeadLetter) =>
        destinationIdOf(value) === noDestinationId && !gone.has(id)
      for (const one of oldest(tooManyFailed, noneFailedUpTo, isFailed)) {
        // If this commit fails, they will be found again.
        if (found.size === 0) noneFailedUpTo = one.id - 1
        found.set(one.id, one)
        held.bytes -= one.bytes
      }
      const isThere = ({ id }: StoredDeadLetter) => !gone.has(id) && !found.has(id)
      for (const one of oldest(held.bytes - heldBytesMax, 0, isThere)) found.set(one.id, one)
      return [...found.values()]
    },
  }
  return overflow
}

/** The bytes of all dead letters, and of those of failed actions, once a commit has succeeded. */
function amountsAfter(
  destinations: Destinations,
  added: CounterSums<DestinationEntry>,
  leaving: readonly RemovedDeadLetter[],
): { bytes: number; failedBytes: number } {
  const ofFailed = destinations.ofNone()
  const amounts = {
    bytes: destinations.total().deadLetterBytes,
    failedBytes: countsOf(ofFailed).deadLetterBytes,
  }
  const add = (entry: DestinationEntry, bytes: number): void => {
    amounts.bytes += bytes
    if (entry === ofFailed) amounts.failedBytes += bytes
  }
  for (const [entry, [, , , deadLetterBytes = 0]] of added.entries()) add(entry, deadLetterBytes)
  for (const { destination, bytes } of leaving) add(destination, -bytes)
  return amounts
}
