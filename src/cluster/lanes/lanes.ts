/**
 * What is accepted, on more than one machine: the replicated log in front of the outbox, and the
 * lanes of it that this node delivers.
 *
 * Invariants:
 * - A record whose `append` resolved is in the log until it is settled: delivered, replaced by the
 *   records of its error action, or among the dead letters. All records of one `append` are in the
 *   log, or none.
 * - Records of one partition key are delivered in the order in which the log has them, by one node
 *   at a time: no call begins when this node may no longer deliver its lane.
 * - A record counts in the ledger once, in the write that settles it.
 * - The outbox of a node is a cache. It begins empty, and what it holds of a lane counts for
 *   nothing once the lane has another owner.
 */
import type { Clock } from '../../base/clock.ts'
import type { ActionLedger, LedgerCounts, NewRecord, Outbox } from '../../outbox/outbox.ts'
import type { ClusterMetrics } from '../../telemetry/cluster-metrics.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import type { ReplicatedLog } from '../log/replicated-log.ts'
import { createFeedBudget } from './feed-budget.ts'
import { actionOfLetter, createLaneDeadLetters } from './lane-dead-letters.ts'
import type { LaneDeadLetters } from './lane-dead-letters.ts'
import { createLaneGuard } from './lane-guard.ts'
import type { LaneGuard } from './lane-guard.ts'
import { actionsOfRule, countsOfRows, createLaneLedger } from './lane-ledger.ts'
import { createLaneOutbox } from './lane-outbox.ts'
import { createLaneOwnership } from './lane-ownership.ts'
import type { LaneView, LiveNode } from './lane-ownership.ts'
import { createLogAppend } from './log-append.ts'
import type { LaneState, WaitingRow } from './lane-state.ts'
import { createLetterOverflow, letterBytesMaxDefault } from './letter-overflow.ts'
import { createOwnedLane } from './owned-lane.ts'
import type { OwnedLane, OwnedLaneDependencies } from './owned-lane.ts'
import { createPlacedRecords } from './placed-records.ts'

export interface Lanes extends LaneGuard {
  /** The outbox as the engine and the producer use it: appends go into the log. */
  readonly outbox: Outbox
  /** Takes part: from here on this node owns its share of the lanes. */
  start(): Promise<void>
  /**
   * Stores what was appended, hands all lanes over, and takes part no more. The producer must have
   * stopped. While the log cannot be reached it waits.
   */
  stop(): Promise<void>
  /** The lanes that this node owns now, in order. */
  owned(): readonly number[]
  /** Of each of them, the records that were read from the log and are not settled. */
  lag(): ReadonlyMap<number, number>
  /** The names of the live nodes of the cluster. */
  nodes(): readonly string[]
  /** The live nodes with what they tell of themselves. */
  members(): readonly LiveNode[]
  /** All lanes that are known, in order. */
  views(): readonly LaneView[]
  /** This node. */
  readonly node: string
  /** The node that owns a lane, as it was last told; undefined when none does. */
  ownerOf(lane: number): string | undefined
  /** Whether the log has told nothing for some seconds, though this node takes part. */
  isLost(): boolean
  /** What waits for each destination, of all lanes, as their owners have last written. */
  waiting(): readonly WaitingRow[]
  /** Destinations for which records wait, and which `waiting` leaves out. */
  furtherWaiting(): number
  /** What became of all records of the cluster, as its owners have last written. */
  ledgerTotals(): LedgerCounts
  /** The same for the actions of a rule. */
  ledger(ruleName: string): readonly ActionLedger[]
  /** Bytes of the chunks that the owners of all lanes have read and that are not settled. */
  bytes(): number
  readonly deadLetters: LaneDeadLetters
  /** Bytes of the dead letters of all lanes. */
  deadLetterBytes(): number
  /** The same, with what the log takes for each beside its data. */
  deadLetterBytesInLog(): number
  /** Chunks that could not be read, of all lanes. */
  damagedChunks(): number
}

interface LanesDependencies {
  readonly log: ReplicatedLog
  /** The outbox of this node, which is empty: what it would hold is in the log. */
  readonly outbox: Outbox
  readonly clock: Clock
  readonly logger: WarningLog
  /** Undefined: nothing is measured. */
  readonly metrics?: Omit<ClusterMetrics, 'logRetries'> | undefined
}

interface LanesOptions {
  /** The name of this node, which no other process ever has: letters, digits, `-` and `_`. */
  readonly node: string
  /** What it tells the others of itself. Default: nothing. */
  readonly about?: Uint8Array | undefined
  /** Bytes of chunks that this node reads ahead. */
  readonly readAheadBytesMax?: number | undefined
  /** Bytes of dead letters that all lanes keep; the oldest ones beyond are dropped. */
  readonly letterBytesMax?: number | undefined
}

/** What a dead letter takes in the log beside its data: its subject, headers and checksums. */
const letterOverheadBytes = 128
const readAheadBytesMaxDefault = 128 * 1024 * 1024

export function createLanes(
  { log, outbox, clock, logger, metrics }: LanesDependencies,
  {
    node,
    about,
    readAheadBytesMax = readAheadBytesMaxDefault,
    letterBytesMax = letterBytesMaxDefault,
  }: LanesOptions,
): Lanes {
  const limitedLog = createLimitedLog({ logger, clock })
  const unsaved = createLaneLedger()
  const placed = createPlacedRecords<OwnedLane>((lane) => lane.isOver())
  const budget = createFeedBudget(clock, readAheadBytesMax)
  const ofLanes = { log, outbox, clock, budget, placed, limitedLog, unsaved }
  const ownership = createOwnership(ofLanes, node, about)
  const appending = createLogAppend({ log, clock, onDropped: countDropped, metrics })
  const append: Outbox['append'] = (records, options) => appending.append(records, options)

  const { owned } = ownership
  const states = () => ownership.states()
  const letterParts = { log, clock, limitedLog, owned, states, actionOf: actionOfLetter }
  const overflow = createLetterOverflow(letterParts, letterBytesMax)

  const lag = () =>
    new Map(Array.from(ownership.owned, ([lane, of]) => [lane, of.lagRecords()] as const))
  metrics?.lanesOwned.readFrom(() => ownership.owned.size)
  metrics?.laneLagRecords.readFrom(() => samplesOf(lag()))

  function countDropped(records: readonly NewRecord[]): void {
    for (const { ruleName, actionIndex } of records) unsaved.add(ruleName, actionIndex, 'dropped')
  }

  return {
    ...createLaneGuard(placed),
    outbox: createLaneOutbox({ ...appending, outbox, placed, append }),
    start() {
      overflow.start()
      return ownership.start()
    },
    async stop() {
      overflow.stop()
      await appending.close()
      await ownership.stop()
    },
    owned: () => [...ownership.owned.keys()].toSorted((left, right) => left - right),
    lag,
    nodes: () => ownership.nodes(),
    members: () => ownership.members(),
    views: () => ownership.views(),
    node,
    ownerOf: (lane) => ownership.ownerOf(lane),
    isLost: () => ownership.isSilent(),
    ...createSums(() => ownership.states()),
    deadLetters: createLaneDeadLetters({
      log,
      owned: ownership.owned,
      append,
      leaving: () => new Set(ownership.states().flatMap((state) => state.leavingLetters)),
    }),
  }
}

/** Takes lanes for a node, and lets go of those that end by themselves. */
function createOwnership(
  parts: Omit<OwnedLaneDependencies, 'onLost'> & { readonly log: ReplicatedLog },
  node: string,
  about: Uint8Array | undefined,
) {
  const { limitedLog } = parts
  const ownership: ReturnType<typeof createLaneOwnership> = createLaneOwnership(
    {
      ...parts,
      own: (acquired) => createOwnedLane({ ...parts, onLost }, acquired),
    },
    node,
    about,
  )
  function onLost(lane: OwnedLane, reason: string): void {
    limitedLog.warn('lane', { lane: lane.lane, reason }, 'this node delivers a lane no more')
    ownership.lost(lane)
  }
  return ownership
}

/** What the owners of all lanes have last written, added up. */
function createSums(
  states: () => readonly LaneState[],
): Pick<
  Lanes,
  | 'waiting'
  | 'furtherWaiting'
  | 'ledger'
  | 'ledgerTotals'
  | 'bytes'
  | 'deadLetterBytes'
  | 'deadLetterBytesInLog'
  | 'damagedChunks'
> {
  const rows = () => states().flatMap(({ ledger }) => ledger)
  const sumOf = (member: 'queuedBytes' | 'letterBytes' | 'damagedChunks' | 'furtherWaiting') =>
    states().reduce((sum, state) => sum + state[member], 0)
  return {
    waiting: () => states().flatMap(({ waiting }) => waiting),
    furtherWaiting: () => sumOf('furtherWaiting'),
    ledger: (ruleName) => actionsOfRule(rows(), ruleName),
    ledgerTotals: () => countsOfRows(rows()),
    bytes: () => sumOf('queuedBytes'),
    deadLetterBytes: () => sumOf('letterBytes'),
    deadLetterBytesInLog: () =>
      sumOf('letterBytes') + countsOfRows(rows()).deadLettered * letterOverheadBytes,
    damagedChunks: () => sumOf('damagedChunks'),
  }
}

function* samplesOf(lag: ReadonlyMap<number, number>) {
  for (const [lane, value] of lag) yield { labels: { lane }, value }
}
