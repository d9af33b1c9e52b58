/** Items in the order of their keys, the least first. */
interface MinHeap<Item> {
  /** The item with the least key; undefined when there is none. */
  least(): Item | undefined
  /** Call it when the key of the least item has grown. */
  sink(): void
  removeLeast(): void
}

/**
 * A binary heap. Building it takes time in proportion to the items, and each change in proportion
 * to their logarithm.
 *
 * @param keyOf the key of an item; only the key of the least item may change
 */
export function createMinHeap<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => number,
): MinHeap<Item> {
  const heap = [...items]
  const keyAt = (index: number): number => {
    const item = heap[index]
    return item === undefined ? Infinity : keyOf(item)
  }

  function sinkFrom(index: number): void {
    for (let at = index; ;) {
      const left = 2 * at + 1
      const child = keyAt(left + 1) < keyAt(left) ? left + 1 : left
      if (child >= heap.length || keyAt(at) <= keyAt(child)) return
      const lower = heap[child]
      const upper = heap[at]
      if (lower === undefined || upper === undefined) return
      heap[at] = lower
      heap[child] = upper
      at = child
    }
  }
  for (let index = heap.length >> 1; index >= 0; index--) sinkFrom(index)

  return {
    least: () => heap[0],
    sink: () => sinkFrom(0),
    removeLeast() {
      const last = heap.pop()
      if (last === undefined || heap.length === 0) return
      heap[0] = last
      sinkFrom(0)
    },
  }
}
