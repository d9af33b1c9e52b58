import type { AedesPublishPacket } from 'aedes'
import type { StoredPacket, SubscriberQueues } from '../kept/subscriber-queues.ts'
import type { Group } from './group.ts'
import type { Member } from './member.ts'

/**
 * Which member has which message of the queue of a group. The message is numbered in the queue
 * meanwhile, and unsent again when the connection of its member ends.
 */
export interface GroupFlights {
  /** A message of QoS 1 was sent to a member under this packet id. */
  give(packet: AedesPublishPacket, member: Member, packetId: number): void
  /** A message of QoS 2 was: it is the member's own from now on, in the queue of its session. */
  hand(packet: AedesPublishPacket, member: Member, packetId: number): void
  completed(number: number): void
  /** Takes everything back that the member has. */
  takeFrom(member: Member): void
  /** No connected member may have the message; it waits for another one. */
  setAside(packet: AedesPublishPacket): void
  takeAsideBack(): void
  /** The group ends: what members have becomes their own. */
  handAll(): void
}

/** A packet of the queue, with the session that was sent it last. */
export interface Remembering {
  sentTo?: { readonly session: object; readonly packetId: number } | undefined
}

interface FlightsDependencies {
  readonly queues: SubscriberQueues
  /** A number that the broker has given to no message. */
  readonly nextCounter: () => number
}

interface Flight {
  readonly member: Member
  readonly packetId: number
}

/** Numbers are packet ids of the queue. */
const numberMax = 65_535

export function createGroupFlights(
  { queues, nextCounter }: FlightsDependencies,
  key: string,
  group: () => Group,
): GroupFlights {
  const flights = new Map<number, Flight>()
  let aside: number[] = []
  let lastNumber = 0

  /** @returns the number of the packet in the queue, from now on */
  function number(packet: AedesPublishPacket): number {
    lastNumber = (lastNumber % numberMax) + 1
    const { brokerCounter } = packet
    queues.update(key, { cmd: 'publish', brokerCounter, messageId: lastNumber } as StoredPacket)
    return (lastNumber = packet.messageId ?? lastNumber)
  }

  function hand(packet: AedesPublishPacket, member: Member, packetId: number): void {
    queues.drop(key, packet.brokerCounter)
    member.sent(packetId, group(), undefined)
    if (member.session === undefined) return
    const own = { ...packet, brokerCounter: nextCounter() }
    delete own.messageId
    queues.enqueue([member.clientId], own)
    queues.update(member.clientId, { ...own, messageId: packetId })
  }

  // An earlier process has sent these to members that are gone.
  for (const { messageId } of queues.list(key)) {
    if (messageId !== undefined) queues.unsend(key, messageId)
  }

  return {
    give(packet, member, packetId) {
      const its = number(packet)
      flights.set(its, { member, packetId })
      member.sent(packetId, group(), its)
    },
    hand,
    completed(its) {
      flights.delete(its)
      queues.acknowledge(key, its)
    },
    takeFrom(member) {
      for (const [its, flight] of flights) {
        if (flight.member !== member) continue
        flights.delete(its)
        const packet: (StoredPacket & Remembering) | undefined = queues.unsend(key, its)
        const { session } = member
        if (packet && session) packet.sentTo = { session, packetId: flight.packetId }
      }
    },
    setAside: (packet) => void aside.push(number(packet)),
    takeAsideBack() {
      for (const its of aside) queues.unsend(key, its)
      aside = []
    },
    handAll() {
      for (const [its, { member, packetId }] of flights) {
        const packet = queues.unsend(key, its)
        if (packet?.cmd === 'publish') hand(packet, member, packetId)
      }
      flights.clear()
    },
  }
}
