/** Items in the order in which they came, of which any may leave. */
export interface ArrivalLine<Item> {
  readonly size: number
  add(item: Item): void
  delete(item: Item): void
  /** The item that came first; undefined when there is none. */
  first(): Item | undefined
}

/**
 * `first` takes the same time however many items there are. A Set alone does not give that: what
 * was deleted stays in its table for a while, and each search for the first item begins in front.
 */
export function createArrivalLine<Item extends object>(): ArrivalLine<Item> {
  const items = new Set<Item>()
  /** Behind `head`; an iterator passes what was deleted once. */
  let following = items.values()
  let head: Item | undefined

  return {
    get size() {
      return items.size
    },
    add: (item) => void items.add(item),
    delete: (item) => void items.delete(item),
    first() {
      if (items.size === 0) {
        // An iterator that has reached its end gives nothing that is added later.
        following = items.values()
        head = undefined
      } else if (head === undefined || !items.has(head)) {
        head = following.next().value
      }
      return head
    },
  }
}
