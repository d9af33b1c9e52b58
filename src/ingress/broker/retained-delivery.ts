import type { Aedes, AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes'
import { subscriptionMatches } from '../../topics/topic-filter.ts'
import type { RetainedMessage, RetainedMessages } from '../kept/retained-messages.ts'

/**
 * Retained messages between their store and Aedes, which would read them ahead of what a subscriber
 * takes, and so send it values that are older than those that it got from publishers meanwhile.
 *
 * - A message becomes the retained one of its topic when it is handed to the subscribers, before
 *   the first of them: what is retained is never ahead of what subscribers got.
 * - A client that subscribes gets what is retained at that moment, [MQTT-3.3.1-6], one after the
 *   other as it takes them. One that is about to be replaced is sent at once, so that it goes before
 *   the message that takes its place.
 */
export function deliverRetained(
  broker: Aedes,
  { retained, notKept }: { readonly retained: RetainedMessages; readonly notKept: () => void },
): void {
  // Of all who are told of a message, the first to subscribe to `#` is the first.
  broker.subscribe(
    '#',
    (packet: AedesPublishPacket, done) => {
      if (packet.retain && !retained.store(packet)) notKept()
      done()
    },
    () => {},
  )
  // Not emitted for the subscriptions of a session that goes on, which get nothing.
  broker.on('subscribe', (subscriptions, client) => {
    const granted = subscriptions.filter(({ qos }) => (qos as number) !== refused)
    if (granted.length > 0) sendRetained(retained, client, granted)
  })
}

/** What SUBACK says of a subscription that is refused. */
const refused = 0x80

function sendRetained(
  retained: RetainedMessages,
  client: Client,
  granted: readonly Subscription[],
): void {
  const send = (message: RetainedMessage, sent: () => void) =>
    (client as DeliveringClient).deliverQoS(packetFor(granted, message), sent)
  const filters = granted.map(({ topic }) => topic)
  const snapshot = retained.snapshot(filters, (message) => send(message, () => {}))
  const sendNext = () => {
    const message = client.closed ? undefined : snapshot.next()
    if (message === undefined) snapshot.close()
    else send(message, sendNext)
  }
  sendNext()
}

/** At the QoS of the subscription at most, [MQTT-3.8.4-6]. */
function packetFor(
  granted: readonly Subscription[],
  { topic, payload, qos }: RetainedMessage,
): PublishPacket {
  const matching = granted.filter((subscription) => subscriptionMatches(subscription.topic, topic))
  const grantedQos = Math.max(...matching.map((subscription) => subscription.qos))
  const lower = Math.min(qos, grantedQos) as RetainedMessage['qos']
  return { cmd: 'publish', topic, payload, qos: lower, retain: true, dup: false }
}

/** As Aedes itself hands a message to a client; its declared type leaves it out. */
interface DeliveringClient extends Client {
  /** @param done called when the client has taken it, or is gone */
  deliverQoS(packet: PublishPacket, done: () => void): void
}
