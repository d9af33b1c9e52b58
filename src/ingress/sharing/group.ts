import type { Aedes, AedesPublishPacket } from 'aedes'
import { carriedBy } from '../kept/carried-properties.ts'
import { isUnqueued } from '../kept/group-queues.ts'
import { wasRetained } from '../kept/subscriber-queues.ts'
import type { SubscriberQueues } from '../kept/subscriber-queues.ts'
import { subscriptionMatches } from '../../topics/topic-filter.ts'
import type { SharedFilter } from '../../topics/shared-filter.ts'
import { createGroupFlights } from './group-flights.ts'
import type { GroupFlights, Remembering } from './group-flights.ts'
import type { Member, SharedOptions } from './member.ts'
import { createTurns, lower } from './turns.ts'
import type { Membership, Turns } from './turns.ts'

/**
 * The members of one shared subscription, and the messages that are for one of them.
 *
 * A message of QoS 1 or 2 is in the queue of the group until a member has acknowledged it, so that
 * it belongs to nobody who leaves: when the connection of a member ends, the next member gets what
 * it had, in the old order. A member whose session comes back before gets it again under its packet
 * id, with DUP. A message of QoS 2 that was sent stays with its member: [MQTT-4.8.2-4],
 * [MQTT-4.8.2-5].
 */
export interface Group {
  readonly name: string
  /** Messages wait for a member that has room. */
  readonly isWaiting: boolean
  /** Sends what waits to the member that may have room, and to others. */
  pump(member: Member): void
  /** A member has acknowledged the message with this number. */
  completed(number: number): void
  join(member: Member, options: SharedOptions): void
  /** The member has unsubscribed. What it was sent stays with it while it is connected. */
  leave(member: Member): void
  /** The connection of the member is gone. */
  gone(member: Member): void
  memberOf(clientId: string): Member | undefined
  /** The session of the client has the subscription, whether the client is connected or not. */
  store(clientId: string, qos: 0 | 1 | 2): void
  forget(clientId: string): void
}

export interface GroupDependencies {
  readonly broker: Pick<Aedes, 'subscribe' | 'unsubscribe'>
  readonly queues: SubscriberQueues
  /** A number that the broker has given to no message. */
  readonly nextCounter: () => number
  /** Whether messages of QoS 1 and 2 are queued for the group. */
  readonly setQueued: (key: string, filter: string, isQueued: boolean) => void
  /** It has no members any more, and ends. */
  readonly ended: (key: string) => void
}

interface About extends SharedFilter {
  readonly name: string
  /** Of its queue. */
  readonly key: string
}

const nothing = (): void => {}

export function createGroup(dependencies: GroupDependencies, about: About): Group {
  const { broker, queues } = dependencies
  const { name, key, group, filter } = about
  const turns = createTurns(group)
  const flights = createGroupFlights(dependencies, key, () => self)
  /** Client id -> QoS. */
  const stored = new Map<string, 0 | 1 | 2>()
  let hasEnded = false
  const dispatch = createDispatch({
    queues,
    key,
    turns,
    flights,
    group: () => self,
    hasAbsent: () => [...stored.keys()].some((id) => turns.memberOf(id) === undefined),
  })
  const deliver = (packet: AedesPublishPacket, done: () => void) =>
    isFor(filter, packet) ? dispatch.deliver(packet, done) : done()

  /** The subscriptions have changed. */
  function changed(): void {
    if (hasEnded) return
    if (turns.members.length === 0 && stored.size === 0) {
      hasEnded = true
      broker.unsubscribe(filter, deliver, nothing)
      flights.handAll()
      dependencies.ended(key)
      return
    }
    const all = [...turns.members.map(({ options }) => options.qos), ...stored.values()]
    const isQueued = all.some((qos) => qos > 0)
    if (isQueued === dispatch.isQueued) return
    dispatch.isQueued = isQueued
    dependencies.setQueued(key, filter, isQueued)
  }

  function left(member: Member): void {
    turns.remove(member)
    member.groups.delete(self)
    changed()
    if (!hasEnded) dispatch.pump()
  }

  const self: Group = {
    name,
    get isWaiting() {
      return dispatch.isWaiting
    },
    pump: (member) => dispatch.pump(member),
    completed: (number) => flights.completed(number),
    join(member, options) {
      turns.add(member, options)
      member.groups.add(self)
      changed()
      flights.takeAsideBack()
      dispatch.pump(member)
    },
    leave: left,
    gone(member) {
      flights.takeFrom(member)
      left(member)
    },
    memberOf: (clientId) => turns.memberOf(clientId),
    store(clientId, qos) {
      stored.set(clientId, qos)
      changed()
    },
    forget(clientId) {
      if (stored.delete(clientId)) changed()
    },
  }
  broker.subscribe(filter, deliver, nothing)
  return self
}

/** A message of another node is dealt out by the groups there. */
const isFor = (filter: string, packet: AedesPublishPacket): boolean =>
  subscriptionMatches(filter, packet.topic) && carriedBy(packet)?.isRelayed !== true

interface DispatchParts {
  readonly queues: SubscriberQueues
  readonly key: string
  readonly turns: Turns
  readonly flights: GroupFlights
  readonly group: () => Group
  /** Whether the session of a client that is away has the subscription. */
  readonly hasAbsent: () => boolean
}

/** Hands messages to members. */
function createDispatch({ queues, key, turns, flights, group, hasAbsent }: DispatchParts) {
  function sendQueued(
    { member, options }: Membership,
    packet: AedesPublishPacket & Remembering,
  ): void {
    const { sentTo, brokerCounter } = packet
    const message = messageOf(packet, options, wasRetained(packet))
    const isAgain = message.qos === 1 && sentTo !== undefined && sentTo.session === member.session
    const as = isAgain ? { dup: true, packetId: sentTo.packetId } : { dup: false }
    const packetId = member.outlet.send(message, as, nothing)
    if (packetId === undefined) queues.drop(key, brokerCounter)
    else if (message.qos === 2) flights.hand(packet, member, packetId)
    else flights.give(packet, member, packetId)
  }

  /** Sends what is queued, as far as members take it. */
  function pump(preferred?: Member, isForced = false): void {
    dispatch.isWaiting = false
    for (;;) {
      const packet = queues.nextUnsent(key)
      if (packet?.cmd !== 'publish') return
      const chosen = turns.choose(packet, isForced, preferred)
      if (chosen !== undefined) sendQueued(chosen, packet)
      else if (!turns.isForbidden(packet.topic)) break
      else if (hasAbsent()) flights.setAside(packet)
      else queues.drop(key, packet.brokerCounter)
    }
    dispatch.isWaiting = true
    for (const { member } of turns.members) {
      if (member.outlet.isFull) member.outlet.whenRead(member.hasRoom)
    }
  }

  const dispatch = {
    isWaiting: false,
    /** Whether messages of QoS 1 and 2 are queued before they come here. */
    isQueued: false,
    pump,
    deliver(packet: AedesPublishPacket, done: () => void): void {
      if (packet.qos > 0 && dispatch.isQueued && !isUnqueued(packet, key)) {
        if (!dispatch.isWaiting) pump()
        return done()
      }
      // What is not queued does not overtake what is.
      if (packet.qos > 0 && dispatch.isWaiting) pump(undefined, true)
      const chosen = turns.choose(packet, false) ?? turns.choose(packet, true)
      if (chosen === undefined) return done()
      const { member, options } = chosen
      const message = messageOf(packet, options, packet.retain)
      const packetId = member.outlet.send(message, { dup: false }, done)
      if (packetId !== undefined) member.sent(packetId, group(), undefined)
    },
  }
  return dispatch
}

const messageOf = (packet: AedesPublishPacket, options: SharedOptions, wasRetain: boolean) => ({
  packet,
  options,
  qos: lower(packet.qos, options.qos),
  retain: wasRetain && options.retainAsPublished,
})
