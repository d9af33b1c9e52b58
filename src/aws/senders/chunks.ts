/** What one call takes at most. */
interface ChunkLimits<Item> {
  readonly countMax: number
  /** What an item counts as: 1 by default. */
  readonly countOf?: ((item: Item) => number) | undefined
  readonly bytesMax?: number | undefined
  readonly bytesOf?: ((item: Item) => number) | undefined
}

/** An entry of a batch, and the index of the record that it belongs to. */
export interface EntryOf<Entry> {
  readonly entry: Entry
  readonly record: number
}

/**
 * Cuts items into calls, in their order. A single item that is over the limit makes a call of its
 * own, which the service refuses.
 */
export function chunksOf<Item>(
  items: readonly Item[],
  { countMax, countOf = () => 1, bytesMax = Infinity, bytesOf = () => 0 }: ChunkLimits<Item>,
): Item[][] {
  const chunks: Item[][] = []
  let current: Item[] = []
  let count = 0
  let bytes = 0
  for (const item of items) {
    const itemBytes = bytesOf(item)
    const itemCount = countOf(item)
    const isOver = count + itemCount > countMax || bytes + itemBytes > bytesMax
    if (current.length > 0 && isOver) {
      chunks.push(current)
      current = []
      count = 0
      bytes = 0
    }
    current.push(item)
    count += itemCount
    bytes += itemBytes
  }
  if (current.length > 0) chunks.push(current)
  return chunks
}
