import type { AedesPublishPacket } from 'aedes'
import type { Group } from './group.ts'

/** How messages of groups reach one connected client, by its version of MQTT. */
export interface Outlet {
  /** The connection stands. */
  readonly isOpen: boolean
  /** Whether the client takes another message of QoS 1 or 2. */
  readonly hasWindow: boolean
  /** What is written waits for the client to read. */
  readonly isFull: boolean
  /**
   * Sends a message.
   *
   * @param done called when more may be written, also when the message is not sent
   * @returns the packet id that the client has to acknowledge; undefined when the message is done:
   *   it is of QoS 0, its time is over, or it is too large for the client
   */
  send(message: SharedMessage, as: SentAs, done: () => void): number | undefined
  /** Calls back once, when the client has read what is written, or is gone. */
  whenRead(read: () => void): void
}

interface SharedMessage {
  readonly packet: AedesPublishPacket
  /** At most that of the subscription. */
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly options: SharedOptions
}

/** The options of a shared subscription; No Local is not among them, [MQTT-3.8.3-4]. */
export interface SharedOptions {
  readonly qos: 0 | 1 | 2
  readonly retainAsPublished: boolean
  readonly identifier: number | undefined
}

interface SentAs {
  readonly dup: boolean
  /** The packet id that an earlier connection gave it; a free one if it is taken. */
  readonly packetId?: number | undefined
}

/** A connected client that has shared subscriptions. */
export interface Member {
  readonly clientId: string
  /** The same for all connections of a session; undefined for a client without one. */
  readonly session: object | undefined
  /** How long its session waits for it, in milliseconds; 0: it ends with the connection. */
  readonly sessionExpiryMs: number
  /** The groups, the one that waits longest for room of this client first. */
  readonly groups: Set<Group>
  readonly outlet: Outlet
  /** Whether it takes a message now; `isForced`: also one that has to wait for it to read. */
  takes(qos: 0 | 1 | 2, isForced: boolean): boolean
  /** Whether its policies let it have a message of the group. */
  readonly mayReceive: (topic: string, group: string) => boolean
  /**
   * A message was sent under this packet id.
   *
   * @param number its number in the group, if it has one
   */
  sent(packetId: number, group: Group, number: number | undefined): void
  /** The client has acknowledged a packet, perhaps of a plain subscription. */
  completed(packetId: number): void
  /** Whether a message of a group was sent under this packet id and is not acknowledged. */
  readonly isAwaited: (packetId: number) => boolean
  /** The client may take another message. */
  readonly hasRoom: () => void
  /** @returns the groups of which it was a member, or has messages */
  readonly leaveAll: () => ReadonlySet<Group>
}

interface MemberDependencies extends Pick<
  Member,
  'clientId' | 'session' | 'sessionExpiryMs' | 'mayReceive'
> {
  readonly outletFor: (isAwaited: Member['isAwaited']) => Outlet
  /** Messages that are sent at most before the client acknowledges one of them. */
  readonly unansweredMax: number
}

interface Flight {
  readonly group: Group
  readonly number: number | undefined
}

export function createMember(dependencies: MemberDependencies): Member {
  const { clientId, session, sessionExpiryMs, mayReceive, unansweredMax } = dependencies
  const groups = new Set<Group>()
  const flights = new Map<number, Flight>()
  const isAwaited = (packetId: number): boolean => flights.has(packetId)
  const outlet = dependencies.outletFor(isAwaited)

  function hasRoom(): void {
    // A group that gets the room goes to the end, so that all groups of the client have their turn.
    let left = groups.size
    for (const group of groups) {
      if (left-- === 0) return
      if (!group.isWaiting) continue
      groups.delete(group)
      groups.add(group)
      group.pump(member)
    }
  }

  const member: Member = {
    clientId,
    session,
    sessionExpiryMs,
    mayReceive,
    groups,
    outlet,
    isAwaited,
    takes(qos, isForced) {
      if (!outlet.isOpen || (qos > 0 && !outlet.hasWindow)) return false
      return isForced || (!outlet.isFull && (qos === 0 || flights.size < unansweredMax))
    },
    sent: (packetId, group, number) => void flights.set(packetId, { group, number }),
    completed(packetId) {
      const flight = flights.get(packetId)
      flights.delete(packetId)
      if (flight?.number !== undefined) flight.group.completed(flight.number)
      hasRoom()
    },
    hasRoom,
    leaveAll() {
      const involved = new Set(groups)
      for (const { group } of flights.values()) involved.add(group)
      groups.clear()
      flights.clear()
      return involved
    },
  }
  return member
}
