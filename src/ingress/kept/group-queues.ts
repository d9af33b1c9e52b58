import type { StoredPacket } from './subscriber-queues.ts'

/**
 * The queue of a group of a shared subscription stands among those of sessions, under a key that no
 * client id is: U+FFFD is refused in client ids, because it stands for invalid UTF-8.
 */
const keyPrefix = '\ufffd'

export const groupKeyOf = (name: string): string => keyPrefix + name
export const isGroupKey = (key: string): boolean => key.startsWith(keyPrefix)

/** A packet on its way to the subscribers, and the groups whose queue had no room for it. */
type Distributed = object & { unqueued?: Set<string> }

export function markUnqueued(packet: StoredPacket, key: string): void {
  const marked: Distributed = packet
  marked.unqueued = (marked.unqueued ?? new Set()).add(key)
}

export const isUnqueued = (packet: Distributed, key: string): boolean =>
  packet.unqueued?.has(key) === true
