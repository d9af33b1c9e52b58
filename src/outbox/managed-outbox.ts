/**
 * The outbox as operators see and manage it: what the HTTP API, and through it the commands and the
 * console, ask about records and do with dead letters. The path of a message does not come here: it
 * asks the `Outbox`, which answers at once.
 *
 * All answers are promises, because in a cluster no node holds all of the outbox. There the records
 * are divided among lanes, each lane has an owner, and any node answers for all of them:
 * - What waits and the ledger are sums over the lanes, of what the owner of each lane wrote last
 *   with its progress. The figures of a lane are of one moment, so that its ledger adds up, and
 *   with it the sum.
 * - Dead letters are in the log that the nodes share, and any node reads them there. Their ids are
 *   their sequences in the log.
 * - Replays and deletions are requests to the owners of the lanes, because only an owner may change
 *   what its lane holds. That is why a replay is named here and not given as a function: the owner
 *   runs the rule.
 *
 * Metrics and health are not asked for here. Each node tells its own, and Prometheus adds them up.
 */
import type { Message } from '../message.ts'
import type {
  DeadLetterPage,
  DeadLetterQuery,
  DeadLetterResult,
  DeadLetterSelection,
} from './dead-letters.ts'
import type { DeadLetter, ReplayByRule } from './dead-letter.ts'
import type { ActionLedger, LedgerCounts } from './books/ledger.ts'
import type { Outbox } from './outbox.ts'
import type { Destination } from './store/destination.ts'
import type { NewRecord } from './store/queued-record.ts'

/** What operators ask the outbox. */
export interface ManagedOutbox {
  /** What waits, and what became of all records. The figures fit each other. */
  overview(): Promise<OutboxOverview>
  /**
   * What became of the records of a rule, for each action that ever had one, in the order of the
   * actions. A rule that no longer exists has its ledger, too.
   */
  ledger(ruleName: string): Promise<readonly ActionLedger[]>
  readonly deadLetters: ManagedDeadLetters
}

/** `records` equals `ledger.queued`, and `deadLetters.records` equals `ledger.deadLettered`. */
interface OutboxOverview {
  readonly records: number
  /** On disk. A message that records of several destinations share counts once. */
  readonly bytes: number
  readonly limits: Outbox['limits']
  readonly deadLetters: { readonly records: number; readonly bytes: number }
  /**
   * All destinations for which records wait, and others up to 200 in all. Those with the oldest
   * records come first.
   */
  readonly destinations: readonly DestinationOverview[]
  /** Destinations for which nothing waits, beyond those of `destinations`. */
  readonly furtherDestinations: number
  /** The sums over all rules, also over those that no longer exist. */
  readonly ledger: LedgerCounts
}

/**
 * A destination and what waits for it. In a cluster it stands here once, however many lanes have
 * records for it: records and bytes are sums, and age and delivery are those of the lane whose
 * oldest record is the oldest of all.
 */
interface DestinationOverview {
  readonly destination: Destination
  readonly records: number
  readonly bytes: number
  /** A whole number; 0 when nothing waits. */
  readonly oldestAgeMs: number
  /** Undefined until the delivery begins. */
  readonly delivery: DestinationState | undefined
}

/** The state of the delivery to a destination, as the API shows it. */
export interface DestinationState {
  /**
   * `delivering`: its records are sent as they come; `throttled`: shards of the stream, or keys,
   * wait; `retrying`: calls fail for a reason that passes; `refusing`: the destination takes
   * nothing until the cause is fixed.
   */
  readonly state: 'delivering' | 'throttled' | 'retrying' | 'refusing'
  readonly callsInFlight: number
  /** The shards that are throttled. */
  readonly throttledShards: number
  /** The latest failure of a call; absent while calls succeed. */
  readonly reason?: { readonly code: string; readonly message: string } | undefined
  /** What an operator can do about it. */
  readonly advice?: string | undefined
  /** Milliseconds since a destination that refuses refused for the first time. */
  readonly refusingMs?: number | undefined
  /** Milliseconds until the next call may try a destination that fails. */
  readonly nextTryMs?: number | undefined
}

/**
 * The dead letters of all destinations. Ids are decimal numbers below 2^53, and no id is given
 * twice. Of the records of one partition key, the one that was accepted first has the lowest id.
 */
interface ManagedDeadLetters {
  /**
   * A page, in the order of ids. Pages are stable: a dead letter that is there from the first page
   * to the last is on exactly one of them, whatever is added, replayed or deleted meanwhile. One
   * that is added meanwhile may be on none. A token stays good when the dead letter at which the
   * page ended is gone.
   * @throws SluiceError InvalidRequestException when `nextToken` is not a token (rejects)
   */
  list(query?: DeadLetterQuery): Promise<DeadLetterPage>
  /**
   * Puts dead letters back into the queue, in the order of their ids, and resolves when all of them
   * are durable there. Dead letters that are added meanwhile are not selected.
   *
   * Of replays and deletions that run at the same time, one moves each dead letter and counts it,
   * and the others pass it over. So those who got no answer may ask for the same ids again: what
   * was moved is not moved twice.
   *
   * @param how `rule`: as the rule makes it now; subscribers get the messages that it republishes
   *   once the records are durable. `asIs`: the same record for the same destination.
   * @throws SluiceError OutboxWriteFailed, or what the disk refuses of republished messages
   *   (rejects): what was moved before stays moved, and the other dead letters are kept
   */
  replay(selection: DeadLetterSelection, how: 'rule' | 'asIs'): Promise<DeadLetterResult>
  /**
   * Deletes dead letters. The ledger counts them as dropped. Durable when it resolves.
   * @throws SluiceError OutboxWriteFailed (rejects): as for `replay`
   */
  delete(selection: DeadLetterSelection): Promise<DeadLetterResult>
}

interface ManagedOutboxDependencies {
  readonly outbox: Pick<
    Outbox,
    'destinations' | 'size' | 'limits' | 'oldestAgeMs' | 'ledger' | 'ledgerTotals' | 'deadLetters'
  >
  /** How the delivery to a destination of the outbox goes. */
  readonly deliveryOf: (destinationId: number) => DestinationState | undefined
  readonly engine: ReplayingEngine
}

/** What a replay by rule asks of the engine. */
export interface ReplayingEngine {
  /** Undefined: the rule makes nothing of the message, and the dead letter is kept. */
  replay(deadLetter: DeadLetter): Promise<Replacement | undefined>
  /** Hands republished messages to subscribers; resolves when there is room for more. */
  distribute(messages: readonly Message[]): Promise<void>
}

interface Replacement {
  readonly records: readonly NewRecord[]
  /** For subscribers, once the records are durable. */
  readonly messages: readonly Message[]
}

/** Destinations that an overview shows; it shows more when records wait for more. */
const shownMax = 200

/** The managed outbox of a node that has all of the outbox. */
export function createManagedOutbox({
  outbox,
  deliveryOf,
  engine,
}: ManagedOutboxDependencies): ManagedOutbox {
  const { deadLetters } = outbox
  return {
    async overview() {
      // Everything is read in one turn of the event loop: that is why the figures fit each other.
      const { shown, further } = shownDestinations(outbox.destinations())
      return {
        ...outbox.size(),
        limits: outbox.limits,
        deadLetters: deadLetters.size(),
        destinations: shown
          .map(({ id, destination, records, bytes }) => {
            const oldestAgeMs = Math.round(outbox.oldestAgeMs(id) ?? 0)
            return { destination, records, bytes, oldestAgeMs, delivery: deliveryOf(id) }
          })
          .toSorted((left, right) => right.oldestAgeMs - left.oldestAgeMs),
        furtherDestinations: further,
        ledger: outbox.ledgerTotals(),
      }
    },
    ledger: async (ruleName) => outbox.ledger(ruleName),
    deadLetters: {
      list: async (query) => deadLetters.list(query),
      replay: (selection, how) =>
        how === 'asIs'
          ? deadLetters.replay(selection, how)
          : replayByRule(deadLetters, selection, engine),
      delete: (selection) => deadLetters.delete(selection),
    },
  }
}

function shownDestinations(destinations: ReturnType<Outbox['destinations']>) {
  const known = destinations.toSorted((left, right) => right.records - left.records)
  const waiting = known.filter(({ records }) => records > 0).length
  const shown = known.slice(0, Math.max(waiting, shownMax))
  return { shown, further: known.length - shown.length }
}

/** Dead letters that a function replays. */
interface ReplayedDeadLetters<Result> {
  replay(
    selection: DeadLetterSelection,
    how: ReplayByRule,
    onDurable: (ids: readonly string[]) => Promise<void>,
  ): Promise<Result>
}

/** Replays dead letters as their rules make them now, and tells subscribers what is durable. */
export function replayByRule<Result>(
  deadLetters: ReplayedDeadLetters<Result>,
  selection: DeadLetterSelection,
  engine: ReplayingEngine,
): Promise<Result> {
  const republished = new Map<string, readonly Message[]>()
  return deadLetters.replay(
    selection,
    async (letter) => {
      const replacement = await engine.replay(letter)
      if (replacement) republished.set(letter.id, replacement.messages)
      return replacement?.records
    },
    async (ids) => {
      // What came of a dead letter that stays is not sent: it comes again when it is replayed.
      const messages = ids.flatMap((id) => republished.get(id) ?? [])
      republished.clear()
      await engine.distribute(messages)
    },
  )
}
