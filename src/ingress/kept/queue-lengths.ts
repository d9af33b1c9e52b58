/**
 * Queues by their length, so that a long one is found at once. Those of one power of two count as
 * equally long.
 */
interface QueueLengths<Queue> {
  changed(queue: Queue, before: number, after: number): void
  /** One of the longest; undefined when all are empty. */
  longest(): Queue | undefined
}

export function createQueueLengths<Queue>(): QueueLengths<Queue> {
  const byPower = new Map<number, Set<Queue>>()
  return {
    changed(queue, before, after) {
      const [from, to] = [powerOf(before), powerOf(after)]
      if (from === to) return
      const old = byPower.get(from)
      old?.delete(queue)
      if (old?.size === 0) byPower.delete(from)
      if (after === 0) return
      const queues = byPower.get(to) ?? new Set()
      byPower.set(to, queues.add(queue))
    },
    longest() {
      if (byPower.size === 0) return undefined
      const [longest] = byPower.get(Math.max(...byPower.keys())) ?? []
      return longest
    },
  }
}

const powerOf = (length: number): number => (length === 0 ? -1 : Math.floor(Math.log2(length)))
