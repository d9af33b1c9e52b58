/**
 * Which rules a topic concerns: a trie of the filters' levels.
 *
 * Each node stands for the levels on the path to it. Its children are the nodes of literal levels
 * and of `+`. A node holds the entries whose filter ends at it, and those whose filter ends in `#`
 * below it. A lookup visits only nodes that can still match, independent of the number of rules.
 *
 * An entry is found exactly for the topics that `ruleFilterMatches` says its filter matches, or
 * `subscriptionMatches` where `#` matches the parent, too.
 */
interface TopicIndex<Entry extends NamedEntry> {
  add(filter: string, entry: Entry): void
  /** Removes the entry of that name, if there is one. */
  remove(filter: string, name: string): void
  /** The entries whose filter matches, in the order of their names. */
  readonly match: (topic: string) => readonly Entry[]
}

interface NamedEntry {
  /** Unique among the entries of a filter. */
  readonly name: string
}

interface Node<Entry> {
  readonly literal: Map<string, Node<Entry>>
  anyLevel: Node<Entry> | undefined
  /** Filters that end at this node. */
  readonly ending: Map<string, Entry>
  /** Filters that end in `#` below this node. */
  readonly endingInRest: Map<string, Entry>
}

/** @param hashMatchesParent whether `a/#` matches `a`, as it does for clients of MQTT */
export function createTopicIndex<Entry extends NamedEntry>({
  hashMatchesParent = false,
}: { readonly hashMatchesParent?: boolean } = {}): TopicIndex<Entry> {
  const root: Node<Entry> = createNode()

  return {
    add(filter, entry) {
      const { levels, rest } = splitFilter(filter)
      let node = root
      for (const level of levels) node = childFor(node, level)
      const entries = rest ? node.endingInRest : node.ending
      entries.set(entry.name, entry)
    },

    remove(filter, name) {
      const { levels, rest } = splitFilter(filter)
      const path: Node<Entry>[] = [root]
      for (const level of levels) {
        const child = childOf(path.at(-1), level)
        if (!child) return
        path.push(child)
      }
      const last = path.at(-1)
      const entries = rest ? last?.endingInRest : last?.ending
      entries?.delete(name)
      prune(path, levels)
    },

    match(topic) {
      const found: Entry[] = []
      collect(root, { levels: topic.split('/'), hashMatchesParent }, 0, found)
      // Maps keep insertion order; sorting by name makes the order of rules deterministic.
      return found.length < 2 ? found : found.toSorted(byName)
    },
  }
}

interface Lookup {
  readonly levels: readonly string[]
  readonly hashMatchesParent: boolean
}

function collect<Entry>(node: Node<Entry>, lookup: Lookup, depth: number, found: Entry[]): void {
  const level = lookup.levels[depth]
  if (level === undefined) {
    for (const entry of node.ending.values()) found.push(entry)
    if (!lookup.hashMatchesParent) return
    for (const entry of node.endingInRest.values()) found.push(entry)
    return
  }
  const wildcardsApply = depth > 0 || !level.startsWith('$')
  if (wildcardsApply) {
    for (const entry of node.endingInRest.values()) found.push(entry)
    if (node.anyLevel) collect(node.anyLevel, lookup, depth + 1, found)
  }
  const literal = node.literal.get(level)
  if (literal) collect(literal, lookup, depth + 1, found)
}

function splitFilter(filter: string): { levels: readonly string[]; rest: boolean } {
  const levels = filter.split('/')
  return levels.at(-1) === '#'
    ? { levels: levels.slice(0, -1), rest: true }
    : { levels, rest: false }
}

function createNode<Entry>(): Node<Entry> {
  return { literal: new Map(), anyLevel: undefined, ending: new Map(), endingInRest: new Map() }
}

function childFor<Entry>(node: Node<Entry>, level: string): Node<Entry> {
  const present = childOf(node, level)
  if (present) return present
  const child: Node<Entry> = createNode()
  if (level === '+') node.anyLevel = child
  else node.literal.set(level, child)
  return child
}

function childOf<Entry>(node: Node<Entry> | undefined, level: string): Node<Entry> | undefined {
  return level === '+' ? node?.anyLevel : node?.literal.get(level)
}

/**
 * Cuts the nodes at the end of `path` that hold nothing any more; `levels[i]` leads to `path[i +
 * 1]`.
 */
function prune<Entry>(path: readonly Node<Entry>[], levels: readonly string[]): void {
  for (let depth = levels.length; depth > 0; depth -= 1) {
    const node = path[depth]
    const parent = path[depth - 1]
    const level = levels[depth - 1]
    if (!node || !parent || level === undefined || !isEmpty(node)) return
    if (level === '+') parent.anyLevel = undefined
    else parent.literal.delete(level)
  }
}

function isEmpty<Entry>(node: Node<Entry>): boolean {
  return (
    node.ending.size === 0 &&
    node.endingInRest.size === 0 &&
    node.literal.size === 0 &&
    node.anyLevel === undefined
  )
}

function byName(left: NamedEntry, right: NamedEntry): number {
  if (left.name === right.name) return 0
  return left.name < right.name ? -1 : 1
}
