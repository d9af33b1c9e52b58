import type { Subscription } from 'aedes'
import { groupKeyOf } from '../kept/group-queues.ts'
import { isShared, parseSharedFilter } from '../../topics/shared-filter.ts'
import { createGroup } from './group.ts'
import type { Group, GroupDependencies } from './group.ts'
import type { Member, SharedOptions } from './member.ts'

/**
 * The shared subscriptions of all clients. Each name, `$share/<group>/<filter>`, has one group. It
 * begins with its first member, and ends when no client is subscribed and no session has the
 * subscription: the sum of all subscriptions bounds the number of groups.
 */
export interface SharedSubscriptions {
  /** A connected client has subscribed, or has come back to the subscription of its session. */
  join(member: Member, name: string, options: SharedOptions): void
  /** It has unsubscribed. Other filters have no effect. */
  leave(member: Member, name: string): void
  /** The connection is gone: what it was sent and has not acknowledged goes to other members. */
  gone(member: Member): void
  /** The session does not have the subscription any more. Other filters have no effect. */
  readonly forget: (clientId: string, name: string) => void
  readonly sessionEnded: (clientId: string) => void
}

interface SharedDependencies extends Omit<GroupDependencies, 'ended'> {
  /** The subscriptions of sessions, which an earlier process may have stored. */
  readonly storedFilters: ReadonlyMap<string, ReadonlyMap<string, Pick<Subscription, 'qos'>>>
  /**
   * Begins or goes on with the queue of a group.
   *
   * @param keepMs how long the sessions of its members outlive their connections
   */
  readonly keep: (key: string, keepMs: number) => void
  readonly end: (key: string) => void
}

function gone(member: Member): void {
  for (const group of member.leaveAll()) group.gone(member)
}

export function createSharedSubscriptions(dependencies: SharedDependencies): SharedSubscriptions {
  const { keep, storedFilters } = dependencies
  const groups = new Map<string, Group>()
  /** Client id -> the subscriptions of its session. */
  const namesOf = new Map<string, Set<string>>()

  function groupOf(name: string, keepMs: number): Group | undefined {
    const known = groups.get(name)
    const shared = parseSharedFilter(name)
    if (shared === undefined) return undefined
    const key = groupKeyOf(name)
    keep(key, keepMs)
    if (known !== undefined) return known
    const ended = () => {
      groups.delete(name)
      dependencies.end(key)
    }
    const group = createGroup({ ...dependencies, ended }, { ...shared, name, key })
    groups.set(name, group)
    return group
  }

  function store(clientId: string, group: Group, qos: 0 | 1 | 2): void {
    const names = namesOf.get(clientId) ?? new Set()
    namesOf.set(clientId, names.add(group.name))
    group.store(clientId, qos)
  }

  for (const [clientId, filters] of storedFilters) {
    for (const [name, { qos }] of filters) {
      const group = isShared(name) ? groupOf(name, Infinity) : undefined
      if (group !== undefined) store(clientId, group, qos)
    }
  }

  return {
    join(member, name, options) {
      const group = groupOf(name, member.sessionExpiryMs)
      if (group === undefined) return
      const earlier = group.memberOf(member.clientId)
      if (earlier !== undefined && earlier !== member) gone(earlier)
      if (member.session !== undefined) store(member.clientId, group, options.qos)
      group.join(member, options)
    },
    leave(member, name) {
      this.forget(member.clientId, name)
      groups.get(name)?.leave(member)
    },
    gone,
    forget(clientId, name) {
      namesOf.get(clientId)?.delete(name)
      groups.get(name)?.forget(clientId)
    },
    sessionEnded(clientId) {
      for (const name of namesOf.get(clientId) ?? []) groups.get(name)?.forget(clientId)
      namesOf.delete(clientId)
    },
  }
}
