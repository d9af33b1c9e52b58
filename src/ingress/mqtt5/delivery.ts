import type { Duplex } from 'node:stream'
import type { AedesPublishPacket, PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { RetainedMessage } from '../kept/retained-messages.ts'
import { wasRetained } from '../kept/subscriber-queues.ts'
import type { StoredPacket, SubscriberQueues } from '../kept/subscriber-queues.ts'
import type { Outlet } from '../sharing/member.ts'
import { matchOptions } from './matched-options.ts'
import type { MatchedOptions } from './matched-options.ts'
import type { SubscriptionOptions } from './packets-in.ts'
import type { Profile } from './profile.ts'
import { createSender, outgoingOf, withoutOptions } from './sender.ts'
import type { Outgoing, SenderLimits } from './sender.ts'

/**
 * Delivers messages to one client of MQTT 5. A message of QoS 1 or 2 is in the queue of its session
 * before it comes here. It is sent at once while fewer than the client's receive maximum are
 * unanswered, and waits in the queue otherwise; each answer lets the next one go. On a connection
 * that stands, nothing is sent again, [MQTT-4.4.0-1].
 */
export interface Delivery {
  /** For the broker: called for each filter of the client that matches a message. */
  readonly deliver: (packet: AedesPublishPacket, done: () => void) => void
  /** Sends a message because of a SUBSCRIBE. @param sent called when it is, or never will be */
  retained(message: RetainedMessage, options: MatchedOptions, sent: () => void): void
  /** Sends a message of QoS 0, whatever the client is subscribed to. */
  send(packet: PublishPacket, sent: () => void): void
  /** Sends a message of QoS 1, whatever the client is subscribed to. */
  sendConfirmed(packet: PublishPacket, acknowledged: () => void): void
  /** Sends what the session still owes, first what was sent before: [MQTT-4.4.0-1]. */
  resume(): void
  /** PUBACK or PUBCOMP, or a PUBREC that refuses the message. */
  completed(packetId: number): void
  /** PUBREC. */
  received(packetId: number): void
  /** Messages that were sent, and those of QoS 1 and 2 that are not answered. */
  readonly messagesOut: () => number
  readonly unanswered: () => number
  /** For messages of shared subscriptions. */
  readonly outlet: () => Outlet
}

interface DeliveryDependencies {
  readonly clientId: string
  readonly stream: Duplex
  readonly queues: SubscriberQueues
  readonly subscriptions: ReadonlyMap<string, SubscriptionOptions>
  readonly mayForward: (topic: string) => boolean
  readonly filterMatches: Profile['filterMatches']
  readonly clock: Clock
  /** A retained message is not sent, because too many wait. */
  readonly notKept: () => void
}

/** Retained messages of QoS 1 and 2 that wait for the client to answer others. */
const retainedWaitingMax = 1_000

const nothing = (): void => {}

interface WaitingRetained {
  readonly outgoing: Outgoing
  readonly sent: () => void
  readonly acknowledged?: (() => void) | undefined
}

export function createDelivery(dependencies: DeliveryDependencies, limits: SenderLimits): Delivery {
  const { clientId, queues, subscriptions, mayForward, filterMatches, notKept } = dependencies
  const sender = createSender(dependencies, limits)
  const backlog = createBacklog(dependencies, sender)
  let latestCounter = -1

  function deliver(packet: AedesPublishPacket, done: () => void): void {
    const { brokerCounter, topic, qos } = packet
    // The filters of one client that match are called one right after the other.
    if (brokerCounter === latestCounter) return done()
    latestCounter = brokerCounter
    const { clientId: publisher } = packet as { readonly clientId?: string }
    const options = matchOptions(subscriptions, topic, filterMatches, publisher === clientId)
    if (options === undefined || !mayForward(topic)) return done()
    const outgoing = outgoingOf(packet, options, packet.retain && options.retainAsPublished)
    const isQueued = qos > 0 && queues.isUnsent(clientId, brokerCounter)
    if (outgoing.qos > 0 && (backlog.isWaiting || !sender.hasRoom)) {
      // One that is not in the queue was counted as not kept.
      backlog.isWaiting ||= isQueued
      done()
    } else if (isQueued) {
      sender.sendQueued(outgoing, brokerCounter, done)
    } else {
      sender.send(outgoing, done)
    }
  }

  return {
    deliver,
    retained({ topic, payload, qos, carried }, options, sent) {
      const outgoing = outgoingOf({ topic, payload, qos }, options, true, carried)
      if (!mayForward(topic)) {
        sent()
      } else if (outgoing.qos === 0 || (sender.hasRoom && !backlog.hasAgain)) {
        sender.send(outgoing, sent)
      } else if (!backlog.addRetained({ outgoing, sent })) {
        notKept()
        sent()
      }
    },
    send(packet, sent) {
      if (mayForward(packet.topic))
        sender.send(outgoingOf(packet, withoutOptions({ qos: 0 }), false), sent)
      else sent()
    },
    sendConfirmed(packet, acknowledged) {
      const outgoing = outgoingOf(packet, withoutOptions({ qos: 1 }), false)
      if (sender.hasRoom && !backlog.hasAgain) sender.send(outgoing, nothing, acknowledged)
      else backlog.addRetained({ outgoing, sent: nothing, acknowledged })
    },
    resume: () => backlog.resume(),
    completed(packetId) {
      if (sender.completed(packetId)) backlog.pump()
    },
    received: (packetId) => sender.received(packetId),
    messagesOut: sender.sentCount,
    unanswered: sender.unanswered,
    outlet: () => outletOf(sender, dependencies.stream),
  }
}

const outletOf = (sender: ReturnType<typeof createSender>, stream: Duplex): Outlet => ({
  get isOpen() {
    return !stream.destroyed
  },
  get hasWindow() {
    return sender.hasRoom
  },
  get isFull() {
    return sender.isFull
  },
  send({ packet, qos, retain, options: { identifier } }, as, done) {
    const identifiers = identifier === undefined ? [] : [identifier]
    const outgoing = outgoingOf(packet, { qos, retainAsPublished: retain, identifiers }, retain)
    return sender.sendAs(outgoing, as, done)
  },
  whenRead: (read) => void stream.once('drain', read),
})

/** What waits for one client: to be sent again, because of a SUBSCRIBE, and in its queue. */
function createBacklog(
  { clientId, queues, subscriptions, mayForward, filterMatches, stream }: DeliveryDependencies,
  sender: ReturnType<typeof createSender>,
) {
  /** What was sent on an earlier connection. */
  let again: StoredPacket[] = []
  /** One for each SUBSCRIBE, those that were replaced while it waited, and confirmed ones. */
  const retainedWaiting: WaitingRetained[] = []
  let isDraining = false

  function sendStored(packet: StoredPacket): void {
    if (packet.cmd !== 'publish' || !mayForward(packet.topic)) {
      queues.drop(clientId, packet.brokerCounter)
      return
    }
    // The subscription may have ended since; what was queued for it is still delivered.
    const options =
      matchOptions(subscriptions, packet.topic, filterMatches, false) ?? withoutOptions(packet)
    const outgoing = outgoingOf(packet, options, wasRetained(packet) && options.retainAsPublished)
    sender.sendQueued(outgoing, packet.brokerCounter, () => {})
  }

  /** @returns whether anything waited */
  function sendNext(): boolean {
    const sentBefore = again.shift()
    if (sentBefore !== undefined) {
      const isAllowed = sentBefore.cmd !== 'publish' || mayForward(sentBefore.topic)
      sender.sendAgain(sentBefore, isAllowed)
      return true
    }
    const retained = retainedWaiting.shift()
    if (retained !== undefined) {
      sender.send(retained.outgoing, retained.sent, retained.acknowledged)
      return true
    }
    const next = queues.nextUnsent(clientId)
    if (next !== undefined) sendStored(next)
    return next !== undefined
  }

  function drained(): void {
    isDraining = false
    backlog.pump()
  }

  const backlog = {
    /** Messages of the queue wait, so that later ones have to, too. */
    isWaiting: false,
    get hasAgain() {
      return again.length > 0
    },
    /** @returns false when too many wait */
    addRetained(waiting: WaitingRetained): boolean {
      if (retainedWaiting.length >= retainedWaitingMax) return false
      retainedWaiting.push(waiting)
      return true
    },
    resume(): void {
      const queued = queues.list(clientId)
      again = queued.filter(({ messageId }) => messageId !== undefined)
      for (const { messageId = 0 } of again) sender.reserve(messageId)
      backlog.isWaiting = queued.length > 0
      backlog.pump()
    },
    /** Sends what waits, as far as the client takes it. */
    pump(): void {
      while (sender.hasRoom) {
        if (sender.isFull) {
          if (!isDraining) stream.once('drain', drained)
          isDraining = true
          return
        }
        if (sendNext()) continue
        backlog.isWaiting = false
        return
      }
    },
  }
  return backlog
}
