import type { CounterSums } from './books/counters.ts'
import type { DestinationEntry, Destinations } from './books/destinations.ts'
import type { Ledger } from './books/ledger.ts'
import type { RemovedDeadLetter } from './outbox-commits.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import type { OutboxStore } from './store/outbox-store.ts'
import { decodeRecord } from './store/record-codec.ts'

/** Bytes of dead letters on disk. Beyond this the oldest are dropped. */
export const deadLetterBytesMaxDefault = 256 * 1024 * 1024

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
  const overflow: DeadLetterOverflow = {
    paused: false,
    replays: 0,
    dropped(added, leaving) {
      let bytes =
        destinations.total().deadLetterBytes -
        leaving.reduce((sum, deadLetter) => sum + deadLetter.bytes, 0)
      for (const [, [, , , deadLetterBytes = 0]] of added.entries()) bytes += deadLetterBytes
      const found: RemovedDeadLetter[] = []
      const heldBytesMax = bytesMax * (overflow.replays > 0 ? heldByReplays : 1)
      if (bytes <= heldBytesMax || overflow.paused) return found
      const gone = new Set(leaving.map(({ id }) => id))
      for (const { id, value } of store.deadLettersAfter(0)) {
        if (bytes <= heldBytesMax) break
        const { destinationId, record } = decodeDeadLetter(value)
        const destination = destinations.entryWithId(destinationId)
        if (gone.has(id) || !destination) continue
        const { ruleName, actionIndex } = decodeRecord(record)
        const row = ledger.rowOf(ruleName, actionIndex)
        found.push({ id, destination, row, bytes: value.length, move: 'dropDeadLetter' })
        bytes -= value.length
      }
      return found
    },
  }
  return overflow
}
