import type { Aedes } from 'aedes'

/**
 * Lets `a/#` not match `a`, as on AWS IoT [AWS IoT Developer Guide, "MQTT differences"]. Aedes
 * matches as the standard says, so what it finds for the parent is left out. What sessions queue
 * does not pass it.
 */
export function leaveOutParents(broker: Pick<Aedes, 'subscribe' | 'unsubscribe'>): void {
  const { subscribe, unsubscribe } = broker
  const wrapped = new WeakMap<Deliver, Deliver>()
  broker.subscribe = (filter, deliver, done) => {
    const toChildren = filter.endsWith('/#') ? withoutParent(filter, deliver) : deliver
    if (toChildren !== deliver) wrapped.set(deliver, toChildren)
    subscribe.call(broker, filter, toChildren, done)
  }
  broker.unsubscribe = (filter, deliver, done) => {
    unsubscribe.call(broker, filter, wrapped.get(deliver) ?? deliver, done)
  }
}

type Deliver = Parameters<Aedes['subscribe']>[1]

const withoutParent =
  (filter: string, deliver: Deliver): Deliver =>
  (packet, done) => {
    if (isParent(filter, packet.topic)) done()
    else deliver(packet, done)
  }

/** @param filter one that matches the topic: as the standard says, also with a level less */
const isParent = (filter: string, topic: string): boolean =>
  filter.endsWith('/#') && slashesOf(topic) < slashesOf(filter)

function slashesOf(text: string): number {
  let count = 0
  for (let at = text.indexOf('/'); at !== -1; at = text.indexOf('/', at + 1)) count++
  return count
}
