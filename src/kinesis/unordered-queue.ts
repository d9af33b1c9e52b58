import type { QueuedRecord } from '../outbox/outbox.ts'
import type { Amount, CallLimits, Outgoing, Returned, SendQueue } from './send-queue.ts'
import { countThatFits, listIn, memoryBytesOf, newOutgoing, payloadBytesOf } from './outgoing.ts'

/**
 * The queue of the order `none`: records go as they come, whatever is in flight or has failed. One
 * that failed goes again when its time has come, before those that were not sent yet.
 */
export function createUnorderedQueue(): SendQueue {
  let waiting: Outgoing[] = []
  let waitingBytes = 0
  /** By the time at which they may go. */
  const paused = new Map<number, Outgoing[]>()
  const held = { records: 0, bytes: 0 }

  function putFirst(outgoing: readonly Outgoing[]): void {
    waiting = [...outgoing, ...waiting]
    waitingBytes += payloadBytesOf(outgoing)
  }

  function wakeDue(nowMs: number): void {
    for (const [dueMs, due] of paused) {
      if (dueMs > nowMs) continue
      paused.delete(dueMs)
      putFirst(due)
    }
  }

  return Object.freeze({
    add(records: readonly QueuedRecord[]) {
      const added = records.map(newOutgoing)
      for (const outgoing of added) waiting.push(outgoing)
      waitingBytes += payloadBytesOf(added)
      held.records += added.length
      held.bytes += memoryBytesOf(added)
    },
    take(nowMs: number, { recordsMax, bytesMax }: CallLimits) {
      wakeDue(nowMs)
      const count = Math.max(1, countThatFits(waiting, recordsMax, bytesMax))
      const taken = waiting.splice(0, count)
      waitingBytes -= payloadBytesOf(taken)
      return taken
    },
    release(taken: readonly Outgoing[], returned: readonly Returned[]) {
      putFirst(returned.filter(({ dueMs }) => dueMs === 0))
      for (const outgoing of returned) {
        if (outgoing.dueMs > 0) listIn(paused, outgoing.dueMs).push(outgoing)
      }
      held.records += returned.length - taken.length
      held.bytes += memoryBytesOf(returned) - memoryBytesOf(taken)
    },
    clear() {
      waiting = []
      waitingBytes = 0
      paused.clear()
      Object.assign(held, { records: 0, bytes: 0 })
    },
    nextDueMs: () => (paused.size === 0 ? undefined : Math.min(...paused.keys())),
    ready(nowMs: number): Amount {
      wakeDue(nowMs)
      return { records: waiting.length, bytes: waitingBytes }
    },
    size: () => ({ ...held }),
  })
}
