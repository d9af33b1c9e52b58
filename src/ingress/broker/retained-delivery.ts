import type { Aedes, AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes'
import { isShared } from '../../topics/shared-filter.ts'
import { subscriptionMatches } from '../../topics/topic-filter.ts'
import { recarry } from '../kept/carried-properties.ts'
import type { RetainedMessage, RetainedMessages } from '../kept/retained-messages.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import type { ReportNarrowed } from './narrowing.ts'

/**
 * Stores and sends retained messages in place of Aedes. Aedes would read them ahead of a slow
 * subscriber, and so send values older than those that the subscriber got from publishers
 * meanwhile.
 *
 * - A message becomes the retained one of its topic right before it is handed to the first
 *   subscriber, so the retained message is never newer than what subscribers get.
 * - A client that subscribes gets the messages retained at that moment, [MQTT-3.3.1-6], one after
 *   the other as it reads them. A message that is about to be replaced is sent at once, before its
 *   replacement.
 */
export function deliverRetained(
  broker: Aedes,
  {
    retained,
    notKept,
    retainedFilters,
  }: {
    readonly retained: RetainedMessages
    readonly notKept: () => void
    readonly retainedFilters: RetainedFilters
  },
): void {
  // Aedes calls the first subscriber of `#` before all others.
  broker.subscribe(
    '#',
    (packet: AedesPublishPacket, done) => {
      if (packet.retain && !retained.store(packet)) notKept()
      done()
    },
    () => {},
  )
  // Not emitted for subscriptions of a resumed session, which get no retained messages.
  broker.on('subscribe', (subscriptions, client) => {
    // Retained messages do not come for a shared subscription, MQTT 5 section 4.8.2.
    const granted = subscriptions.filter(
      ({ topic, qos }) => (qos as number) !== refused && !isShared(topic),
    )
    const names = granted.map(({ topic }) => topic)
    const filters = retainedFilters(client.id, names)
    if (filters.length > 0) sendRetained(retained, client, { granted, filters })
  })
}

/**
 * Chooses, of the filters of one SUBSCRIBE, those for which retained messages are sent. AWS IoT
 * sends them for a filter without wildcards alone; the log tells of those that it would not send.
 */
export type RetainedFilters = (clientId: string, filters: readonly string[]) => readonly string[]

export function createRetainedFilters(
  retained: RetainedMessages,
  { retainedByWildcard }: Profile,
  narrowed: ReportNarrowed,
): RetainedFilters {
  return (clientId, filters) => {
    if (retainedByWildcard) return filters
    const [exact, wild] = partition(filters, (filter) => !/[+#]/.test(filter))
    for (const filter of retained.count > 0 ? wild : []) {
      const snapshot = retained.snapshot([filter], () => undefined)
      const isMissed = snapshot.next() !== undefined
      snapshot.close()
      if (!isMissed) continue
      const does = 'sends retained messages for a filter without wildcards alone'
      narrowed('retained_by_wildcard', clientId, asOnAws(`retained messages for ${filter}`, does))
    }
    return exact
  }
}

function partition<T>(all: readonly T[], test: (each: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter((each) => !test(each))]
}

interface Granted {
  readonly granted: readonly Subscription[]
  /** Those of them for which retained messages are sent. */
  readonly filters: readonly string[]
}

/** The return code of SUBACK for a refused subscription. */
const refused = 0x80

function sendRetained(
  retained: RetainedMessages,
  client: Client,
  { granted, filters }: Granted,
): void {
  const send = (message: RetainedMessage, sent: () => void) =>
    (client as DeliveringClient).deliverQoS(packetFor(granted, message), sent)
  sendSnapshot(retained, filters, { send, isClosed: () => client.closed })
}

interface RetainedReceiver {
  /** @param sent called when the client has taken the message, or is gone */
  readonly send: (message: RetainedMessage, sent: () => void) => void
  readonly isClosed: () => boolean
}

/** Sends the messages that are retained at this moment, one after the other. */
export function sendSnapshot(
  retained: RetainedMessages,
  filters: readonly string[],
  { send, isClosed }: RetainedReceiver,
): void {
  const snapshot = retained.snapshot(filters, (message) => send(message, () => {}))
  const sendNext = () => {
    const message = isClosed() ? undefined : snapshot.next()
    if (message === undefined) snapshot.close()
    else send(message, sendNext)
  }
  sendNext()
}

/** The QoS is at most that of the subscription, [MQTT-3.8.4-6]. */
function packetFor(
  granted: readonly Subscription[],
  { topic, payload, qos, carried }: RetainedMessage,
): PublishPacket {
  const matching = granted.filter((subscription) => subscriptionMatches(subscription.topic, topic))
  const grantedQos = Math.max(...matching.map((subscription) => subscription.qos))
  const lower = Math.min(qos, grantedQos) as RetainedMessage['qos']
  const packet: PublishPacket = {
    cmd: 'publish',
    topic,
    payload,
    qos: lower,
    retain: true,
    dup: false,
  }
  recarry(packet, carried)
  return packet
}

/** The method by which Aedes sends a message to a client; its declared type leaves it out. */
interface DeliveringClient extends Client {
  /** @param done called when the client has taken the message, or is gone */
  deliverQoS(packet: PublishPacket, done: () => void): void
}
