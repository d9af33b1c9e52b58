/**
 * The managed outbox of a cluster, as any of its nodes answers for it.
 *
 * - Ledger and sizes are sums of what the owners of the lanes wrote last.
 * - Dead letters are read in the log. The owner of a lane moves its own, so replays and deletions
 *   go to the owners, in parts, each with a bounded time.
 */
import { SluiceError } from '../../base/errors.ts'
import type { Destination, LedgerCounts, Outbox } from '../../outbox/outbox.ts'
import type { DestinationState, ManagedOutbox } from '../../outbox/managed-outbox.ts'
import { canonicalText, parseDestination } from '../../outbox/store/destination.ts'
import type { WaitingRow } from '../lanes/lane-state.ts'
import type { Lanes } from '../lanes/lanes.ts'
import { answerRequest, createLetterMoves } from './letter-moves.ts'
import type { LetterMovesDependencies } from './letter-moves.ts'

export interface ClusterOutboxDependencies extends LetterMovesDependencies {
  readonly lanes: LetterMovesDependencies['lanes'] &
    Pick<
      Lanes,
      | 'bytes'
      | 'deadLetterBytes'
      | 'ledger'
      | 'ledgerTotals'
      | 'nodes'
      | 'waiting'
      | 'furtherWaiting'
    >
  /** That of this node. */
  readonly outbox: Pick<Outbox, 'destinations'>
  readonly limits: Outbox['limits']
  /** How the delivery of this node to a destination of its outbox goes. */
  readonly deliveryOf: (destinationId: number) => DestinationState | undefined
}

interface ClusterOutbox extends ManagedOutbox {
  /**
   * Answers what other nodes ask this one.
   *
   * @returns stops it
   */
  serve(): () => void
}

/** How long an overview waits for how other nodes deliver. */
const deliveriesMsMax = 1_000
/** Destinations of which one node tells how it delivers. */
const deliveriesMax = 200

/** A destination, by its canonical text, and how a node delivers to it. */
type Deliveries = readonly (readonly [json: string, state: DestinationState])[]

export function createClusterOutbox(dependencies: ClusterOutboxDependencies): ClusterOutbox {
  const { lanes, requests, clock, limits } = dependencies
  const moves = createLetterMoves(dependencies)

  async function deliveriesOf(node: string): Promise<Deliveries> {
    try {
      const answer = await requests.ask(node, { ask: 'deliveries' }, deliveriesMsMax)
      return answer.kind === 'answer' ? (answer.value as Deliveries) : []
    } catch {
      // The figures are whole without it.
      return []
    }
  }

  return {
    async overview() {
      const others = lanes.nodes().filter((node) => node !== lanes.node)
      const told = await Promise.all(others.map(deliveriesOf))
      // Everything else is read in one turn of the event loop, so that the figures fit each other.
      const deliveries = worstOf([ownDeliveries(dependencies), ...told])
      const ledger: LedgerCounts = lanes.ledgerTotals()
      return {
        records: ledger.queued,
        bytes: lanes.bytes(),
        limits,
        deadLetters: { records: ledger.deadLettered, bytes: lanes.deadLetterBytes() },
        destinations: overviewsOf(lanes.waiting(), deliveries, clock.wallMs()),
        furtherDestinations: lanes.furtherWaiting(),
        ledger,
      }
    },
    ledger: async (ruleName) => lanes.ledger(ruleName),
    deadLetters: {
      async list(query) {
        if (!lanes.isLost()) return lanes.deadLetters.list(query)
        throw new SluiceError(
          'ServiceUnavailableException',
          'The log of the cluster, which has the dead letters, cannot be reached',
        )
      },
      replay: (selection, how) => moves.move({ ask: 'replay', how }, selection),
      delete: (selection) => moves.move({ ask: 'delete' }, selection),
    },
    serve: () =>
      requests.serve(lanes.node, (request) =>
        answerRequest(async () =>
          request.ask === 'deliveries'
            ? ownDeliveries(dependencies)
            : moves.moveHere(request, { ids: request.ids }),
        ),
      ),
  }
}

function ownDeliveries({
  outbox,
  deliveryOf,
}: Pick<ClusterOutboxDependencies, 'outbox' | 'deliveryOf'>): Deliveries {
  return outbox
    .destinations()
    .filter(({ records }) => records > 0)
    .toSorted((left, right) => right.records - left.records)
    .slice(0, deliveriesMax)
    .flatMap(({ id, destination }) => {
      const state = deliveryOf(id)
      return state === undefined ? [] : [[canonicalText(destination), state] as const]
    })
}

/** Of the nodes that deliver to a destination, one that fails is told of first. */
function worstOf(all: readonly Deliveries[]): ReadonlyMap<string, DestinationState> {
  const worst = new Map<string, DestinationState>()
  for (const [json, state] of all.flat()) {
    const known = worst.get(json)
    if (known === undefined || known.state === 'delivering') worst.set(json, state)
  }
  return worst
}

interface WaitingSum {
  readonly destination: Destination
  records: number
  bytes: number
  acceptedAtMs: number
}

function overviewsOf(
  rows: readonly WaitingRow[],
  deliveries: ReadonlyMap<string, DestinationState>,
  nowMs: number,
) {
  const sums = new Map<string, WaitingSum>()
  for (const [json, records, bytes, acceptedAtMs] of rows) {
    const sum = sums.get(json)
    if (sum === undefined) {
      sums.set(json, { destination: parseDestination(json), records, bytes, acceptedAtMs })
    } else {
      sum.records += records
      sum.bytes += bytes
      sum.acceptedAtMs = Math.min(sum.acceptedAtMs, acceptedAtMs)
    }
  }
  return Array.from(sums, ([json, { destination, records, bytes, acceptedAtMs }]) => {
    // It was accepted by the clock of another machine, which may be ahead.
    const oldestAgeMs = Math.max(0, Math.round(nowMs - acceptedAtMs))
    return { destination, records, bytes, oldestAgeMs, delivery: deliveries.get(json) }
  }).toSorted((left, right) => right.oldestAgeMs - left.oldestAgeMs)
}
