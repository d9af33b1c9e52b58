import type { Aedes } from 'aedes'

/**
 * Whether anybody may get a message. Devices that feed streams often have no subscriber at all, and
 * to look for one in Aedes costs as much as a rule: two searches, two promises and a copy.
 */
export interface Receivers {
  any(): boolean
}

/**
 * Watches a broker's `subscribe` and `unsubscribe`, through which all subscriptions of connected
 * clients go, those of a resumed session too. They are known by what delivers, one for each, so that
 * nothing has to be counted up and down.
 *
 * @param isAnyStored whether an absent client is subscribed
 */
export function watchReceivers(broker: Aedes, isAnyStored: () => boolean): Receivers {
  const delivering = new Set<unknown>()
  const subscribe = broker.subscribe.bind(broker)
  const unsubscribe = broker.unsubscribe.bind(broker)
  broker.subscribe = (topic, deliver, done) => {
    delivering.add(deliver)
    subscribe(topic, deliver, done)
  }
  broker.unsubscribe = (topic, deliver, done) => {
    delivering.delete(deliver)
    unsubscribe(topic, deliver, done)
  }
  return { any: () => delivering.size > 0 || isAnyStored() }
}
