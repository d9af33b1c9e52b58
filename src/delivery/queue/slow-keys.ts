import { payloadBytesOf } from '../call/outgoing.ts'
import type { Amount, Outgoing } from '../call/outgoing.ts'
import { amountOf } from './key-queue.ts'
import type { KeyQueue } from './key-queue.ts'

/** Partition keys whose records wait for a delay, or for their turn in the order `strict`. */
export interface SlowKeys {
  has(partitionKey: string): boolean
  /** The records of all of them that are not in flight; bytes of payload. */
  readonly held: Amount
}

/** The key queues that cannot keep up with others. */
interface SlowKeyQueues {
  /** A call of the key queue has ended, and the next one has to wait for a delay or not. */
  ended(keyQueue: KeyQueue, isDelayed: boolean): void
  /** @param size of the whole queue. Undefined when no key is slow. */
  slowKeys(keyQueues: Iterable<KeyQueue>, size: Amount): SlowKeys | undefined
  clear(): void
}

/** With one record of a key in a call, a key that has to wait for so many calls is slow. */
const slowCalls = 100

/** @param perKeyMax records of one key in a call. Without a bound only a delay makes a key slow. */
export function createSlowKeyQueues(perKeyMax: number): SlowKeyQueues {
  /** Key queues whose last call was followed by a delay. */
  const delayedQueues = new Set<KeyQueue>()
  const waitingMax = slowCalls * perKeyMax

  return {
    ended(keyQueue, isDelayed) {
      if (isDelayed) delayedQueues.add(keyQueue)
      else delayedQueues.delete(keyQueue)
    },
    slowKeys(keyQueues, size) {
      if (delayedQueues.size === 0 && size.records <= waitingMax) return undefined
      const slow = new Set(delayedQueues)
      if (size.records > waitingMax) {
        for (const keyQueue of keyQueues) {
          if (keyQueue.waiting.length > waitingMax) slow.add(keyQueue)
        }
      }
      if (slow.size === 0) return undefined
      const keys = new Set(Array.from(slow, ({ partitionKey }) => partitionKey))
      return { has: (partitionKey) => keys.has(partitionKey), held: amountOf([...slow]) }
    },
    clear: () => delayedQueues.clear(),
  }
}

/** The keys of records that wait for a delay, each by itself. Undefined when there are none. */
export function slowKeysOf(delayed: readonly Outgoing[]): SlowKeys | undefined {
  if (delayed.length === 0) return undefined
  const keys = new Set(delayed.map(({ record }) => record.partitionKey))
  const held = { records: delayed.length, bytes: payloadBytesOf(delayed) }
  return { has: (partitionKey) => keys.has(partitionKey), held }
}
