/**
 * Each node tells the others of each client that it accepts, and a node that has an earlier
 * connection of the client ends it. Nobody waits for an answer: two connections may stand side by
 * side for as long as the message takes.
 *
 * When two nodes accept a client at about the same time, each gets the claim of the other one while
 * it has a connection itself. Claims have an order, as the clock of Lamport gives it: the node with
 * the later claim keeps its connection and tells its claim again. A connection that is older than
 * `concurrentMs` ends at any claim, whatever the order says, because a node that has just started,
 * or was cut off, does not know how far the numbers have come.
 *
 * When a node is cut off no more, it tells all clients that it has and for how long it has had
 * them, by its own monotonic clock. Of two connections, the younger one stays.
 */
import type { Clock } from '../../base/clock.ts'
import type { ClaimedClients, ClientClaims } from '../../ingress/relay/client-claims.ts'
import { decodeClaims, encodeClaims } from './claim-codec.ts'
import type { Claim, Held } from './claim-codec.ts'

interface ClaimDependencies {
  readonly bus: ClaimBus
  readonly clock: Pick<Clock, 'monotonicMs'>
}

/** The way to all other nodes. */
export interface ClaimBus {
  /** Tells all other nodes, at most once. Never throws. */
  readonly publish: (data: Uint8Array) => void
  /**
   * @param receive gets what the others tell, what one tells in order
   * @param reconnected this node was cut off, and is so no more
   */
  readonly listen: (receive: (data: Uint8Array) => void, reconnected: () => void) => void
}

const concurrentMs = 5_000
/** In one message, after an outage. */
const clientsMax = 500

interface OwnClient {
  order: number
  readonly sinceMs: number
  readonly versionNumber: number | undefined
}

/** @param origin the name of this process, which no other one ever has */
export function createClientClaims(
  { bus, clock }: ClaimDependencies,
  origin: string,
): ClientClaims {
  const own = new Map<string, OwnClient>()
  let latest = 0

  /**
   * Before anything that the client does here can be seen at another node: a client that goes there
   * next has a later claim.
   */
  function claim(clientId: string, client: OwnClient, isClean: boolean): void {
    const { order, versionNumber } = client
    const claims = [{ clientId, order, isClean, versionNumber }]
    bus.publish(encodeClaims({ origin, claims, held: [] }))
  }

  function taken(host: ClaimedClients, from: string, claimed: Claim): void {
    const { clientId, order, isClean, versionNumber } = claimed
    latest = Math.max(latest, order)
    if (versionNumber !== undefined) host.versionTold(clientId, versionNumber)
    const mine = own.get(clientId)
    if (mine !== undefined) {
      const isOld = clock.monotonicMs() - mine.sinceMs > concurrentMs
      const isLater = order > mine.order || (order === mine.order && from > origin)
      if (!isOld && !isLater) return claim(clientId, mine, false)
      host.takeOver(clientId)
    }
    if (isClean) host.discardSession(clientId)
  }

  function compared(host: ClaimedClients, from: string, { clientId, ageMs }: Held): void {
    const mine = own.get(clientId)
    if (mine === undefined) return
    const myAgeMs = clock.monotonicMs() - mine.sinceMs
    if (myAgeMs > ageMs || (myAgeMs === ageMs && from > origin)) return host.takeOver(clientId)
    mine.order = ++latest
    claim(clientId, mine, false)
  }

  function tellAll(): void {
    const nowMs = clock.monotonicMs()
    const held = Array.from(own, ([clientId, { sinceMs }]) => ({
      clientId,
      ageMs: nowMs - sinceMs,
    }))
    for (let at = 0; at < held.length; at += clientsMax) {
      bus.publish(encodeClaims({ origin, claims: [], held: held.slice(at, at + clientsMax) }))
    }
  }

  return {
    connected(clientId, isClean, versionNumber) {
      const client = { order: ++latest, sinceMs: clock.monotonicMs(), versionNumber }
      own.set(clientId, client)
      claim(clientId, client, isClean)
    },
    gone: (clientId) => void own.delete(clientId),
    start(host) {
      bus.listen((data) => {
        const told = decodeClaims(data)
        if (told === undefined || told.origin === origin) return
        for (const each of told.claims) taken(host, told.origin, each)
        for (const each of told.held) compared(host, told.origin, each)
      }, tellAll)
    },
  }
}
