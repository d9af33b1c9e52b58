/** What one call takes at most. */
interface ChunkLimits<Item> {
  readonly countMax: number
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
  { countMax, bytesMax = Infinity, bytesOf = () => 0 }: ChunkLimits<Item>,
): Item[][] {
  const chunks: Item[][] = []
  let current: Item[] = []
  let bytes = 0
  for (const item of items) {
    const itemBytes = bytesOf(item)
    if (current.length > 0 && (current.length >= countMax || bytes + itemBytes > bytesMax)) {
      chunks.push(current)
      current = []
      bytes = 0
    }
    current.push(item)
    bytes += itemBytes
  }
  if (current.length > 0) chunks.push(current)
  return chunks
}
