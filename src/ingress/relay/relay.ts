import type { Mqtt5Properties } from '../../message.ts'
import { isShared } from '../../topics/shared-filter.ts'

/** A message on its way to the subscribers of another node. */
export interface RelayedMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  /** The client id of its publisher, for No Local. Absent: no client has published it. */
  readonly publisher?: string | undefined
  /** The expiry in it is what is left of it. */
  readonly mqtt5?: Mqtt5Properties | undefined
}

/** The other nodes of a cluster, for the broker. A single engine has none. */
export interface Relay {
  /** Hands a message to the subscribers at other nodes, at most once. Never throws. */
  readonly send: (message: RelayedMessage) => void
  /** A subscription here begins; a filter counts as often as it is wanted. */
  readonly want: (filter: string) => void
  /** A subscription here ends. */
  readonly unwant: (filter: string) => void
  /**
   * Begins to hand over the messages of other nodes, those of a node in the order in which it sent
   * them.
   *
   * @param deliver resolves when the message is handed to the subscribers here; never rejects
   */
  readonly start: (deliver: (message: RelayedMessage) => Promise<void>) => void
}

/** What an engine counts of its subscriptions. */
export type RelayInterest = Pick<Relay, 'want' | 'unwant'>

/**
 * Leaves out the subscriptions that other nodes have nothing for: those of the broker itself, and
 * shared ones, whose groups deal out what is published at their own node.
 */
export function relayInterest(relay: RelayInterest): RelayInterest {
  return {
    want(filter) {
      if (isForOthers(filter)) relay.want(filter)
    },
    unwant(filter) {
      if (isForOthers(filter)) relay.unwant(filter)
    },
  }
}

const isForOthers = (filter: string): boolean => !filter.startsWith('$SYS/') && !isShared(filter)
