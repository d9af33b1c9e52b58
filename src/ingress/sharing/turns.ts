import type { AedesPublishPacket } from 'aedes'
import type { Member, SharedOptions } from './member.ts'

/** The connected members of a group, and whose turn it is. */
export interface Turns {
  readonly members: readonly Membership[]
  /** Adds a member, or changes its options. */
  add(member: Member, options: SharedOptions): void
  remove(member: Member): void
  memberOf(clientId: string): Member | undefined
  /**
   * Chooses the member for a message, after the one that was chosen last.
   *
   * @param isForced also one that has to wait before it gets it
   * @param preferred the one that may have room, where the others have none
   */
  choose(packet: Chosen, isForced: boolean, preferred?: Member): Membership | undefined
  /** Whether the policies let no member have a message of this topic. */
  isForbidden(topic: string): boolean
}

export interface Membership {
  readonly member: Member
  options: SharedOptions
}

type Chosen = Pick<AedesPublishPacket, 'topic' | 'qos'>

export function createTurns(group: string): Turns {
  const members: Membership[] = []
  let next = 0

  const find = (member: Member) => members.findIndex((each) => each.member === member)
  const fits = (
    { member, options }: Membership,
    { topic, qos }: Chosen,
    isForced: boolean,
  ): boolean => member.takes(lower(qos, options.qos), isForced) && member.mayReceive(topic, group)

  return {
    members,
    add(member, options) {
      const its = members[find(member)]
      if (its === undefined) members.push({ member, options })
      else its.options = options
    },
    remove(member) {
      const at = find(member)
      if (at === -1) return
      members.splice(at, 1)
      if (at < next) next--
    },
    memberOf: (clientId) => members.find(({ member }) => member.clientId === clientId)?.member,
    choose(packet, isForced, preferred) {
      const its = preferred && members[find(preferred)]
      if (its !== undefined && fits(its, packet, isForced)) return its
      for (let step = 0; step < members.length; step++) {
        const at = (next + step) % members.length
        const membership = members[at]
        if (membership === undefined || !fits(membership, packet, isForced)) continue
        next = at + 1
        return membership
      }
      return undefined
    },
    isForbidden: (topic) =>
      members.length > 0 && members.every(({ member }) => !member.mayReceive(topic, group)),
  }
}

export const lower = (left: 0 | 1 | 2, right: 0 | 1 | 2): 0 | 1 | 2 => (left < right ? left : right)
