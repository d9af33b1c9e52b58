import type { Subscription } from 'aedes'
import type { RelayInterest } from '../relay/relay.ts'
import { createTopicIndex } from '../../topics/topic-index.ts'

/** The subscriptions of sessions, of absent clients too. */
export interface SessionSubscriptions {
  /** By client id and filter. */
  readonly filtersOf: ReadonlyMap<string, ReadonlyMap<string, Subscription>>
  add(clientId: string, subscriptions: readonly Subscription[]): void
  remove(clientId: string, filters: readonly string[]): void
  /** The session, or the queue of the group, has ended. */
  clean(clientId: string): void
  /** Whether messages of QoS 1 and 2 are queued for the group of a shared subscription. */
  readonly setQueued: (key: string, filter: string, isQueued: boolean) => void
  /** Those of QoS 1 and 2 whose filter matches: their messages are queued. */
  readonly match: (topic: string) => readonly QueuedSubscription[]
}

export interface QueuedSubscription {
  readonly clientId: string
  /** No Local: the client does not get what it has published itself. */
  readonly noLocal: boolean
}

/**
 * @param hashMatchesParent whether `a/#` matches `a`
 * @param interest is told which filters the sessions have
 */
export function createSessionSubscriptions(
  { hashMatchesParent }: { readonly hashMatchesParent: boolean },
  interest?: RelayInterest,
): SessionSubscriptions {
  const filtersOf = new Map<string, Map<string, Subscription>>()
  const queued = createTopicIndex<QueuedSubscription & { readonly name: string }>({
    hashMatchesParent,
  })

  /** The key of the queue of a group -> its filter. */
  const groupFilters = new Map<string, string>()

  function setQueued(key: string, filter: string, isQueued: boolean): void {
    if (isQueued) {
      groupFilters.set(key, filter)
      queued.add(filter, { name: key, clientId: key, noLocal: false })
    } else {
      groupFilters.delete(key)
      queued.remove(filter, key)
    }
  }

  function add(clientId: string, subscription: Subscription): void {
    const { topic: filter, qos } = subscription
    const known = filtersOf.get(clientId) ?? new Map<string, Subscription>()
    if (!known.has(filter)) interest?.want(filter)
    filtersOf.set(clientId, known.set(filter, subscription))
    if (qos === 0) queued.remove(filter, clientId)
    else queued.add(filter, { name: clientId, clientId, noLocal: subscription.nl === true })
  }

  function remove(clientId: string, filters: Iterable<string>): void {
    const known = filtersOf.get(clientId)
    for (const filter of filters) {
      if (known?.delete(filter) !== true) continue
      interest?.unwant(filter)
      queued.remove(filter, clientId)
    }
    if (known?.size === 0) filtersOf.delete(clientId)
  }

  return {
    filtersOf,
    add(clientId, subscriptions) {
      for (const subscription of subscriptions) add(clientId, subscription)
    },
    remove,
    clean(clientId) {
      remove(clientId, [...(filtersOf.get(clientId)?.keys() ?? [])])
      const groupFilter = groupFilters.get(clientId)
      if (groupFilter !== undefined) setQueued(clientId, groupFilter, false)
    },
    setQueued,
    match: queued.match,
  }
}
