import type { RetainedMessage, RetainedTable } from './retained-messages.ts'

/**
 * The topics whose retained message this node writes to the store of its cluster, each from its
 * first write until the store has told of the last one. All other topics are as the store tells.
 *
 * Invariants:
 * - Writes of one topic are made one after the other, so the last one that was asked for is the
 *   last one that the store gets. Those that wait are one: only the newest is made.
 * - What this node wrote is not replaced by what the store told before that.
 * - When all is written and told, the table has what the store has.
 */
export interface SharedTopics<Value> {
  /** @returns the number of the write, and a promise for it: see `Wish` */
  write(topic: string, value: Value): { readonly number: number; readonly done: Promise<void> }
  /** Whether no write of the topic was asked for after this one. */
  isNewest(topic: string, number: number): boolean
  /** The message of this write is in the table. */
  shown(topic: string, number: number): void
  /** Keeps the topic until it is released as often. */
  hold(topic: string): void
  release(topic: string): void
  /** The store has told of a change: undefined stands for a removal. */
  told(topic: string, message: RetainedMessage | undefined, revision: number): void
  /** The store has told everything up to this revision, by these topics. */
  present(toldTopics: ReadonlySet<string>, revision: number): void
  /** The topic of a key, while it is not as the store has it. */
  readonly topicOf: (key: string) => string | undefined
  /** Topics with a write that is under way. */
  readonly writingCount: number
  readonly unsettledCount: number
}

interface SharedTopicsDependencies<Value> {
  readonly table: Pick<RetainedTable, 'get' | 'put' | 'list'>
  /** The key of a topic in the store. */
  readonly keyOf: (topic: string) => string
  /** @returns the revision */
  readonly write: (topic: string, value: Value) => Promise<number>
}

/** The newest value that waits. Those who wait are told when it, or one before it, is written. */
interface Wish<Value> {
  value: Value
  number: number
  readonly waiting: { readonly resolve: () => void; readonly reject: (cause: unknown) => void }[]
}

interface Topic<Value> {
  readonly name: string
  /** What the store has, as far as it was told. Revision 0: from before the topic was written. */
  known: { readonly message: RetainedMessage | undefined; readonly revision: number }
  /** The revision of the last write of this node; 0 before the first. */
  revision: number
  /** The number of the newest write that was asked for. */
  newest: number
  /** The number of the write whose message the table has; 0: it has `known`. */
  shown: number
  isWriting: boolean
  wish: Wish<Value> | undefined
  holds: number
}

export function createSharedTopics<Value>(
  dependencies: SharedTopicsDependencies<Value>,
): SharedTopics<Value> {
  const { table, keyOf } = dependencies
  const topics = new Map<string, Topic<Value>>()
  /** A removal is told by its key alone, also that of a topic that had no message. */
  const keys = new Map<string, string>()
  let lastNumber = 0

  function open(name: string): Topic<Value> {
    const found = topics.get(name)
    if (found) return found
    const opened = newTopic<Value>(name, table.get(name))
    topics.set(name, opened)
    keys.set(keyOf(name), name)
    return opened
  }
  const settle = (topic: Topic<Value>): void => {
    if (!isSettled(topic, table)) return
    topics.delete(topic.name)
    keys.delete(keyOf(topic.name))
  }
  const writing = createWriting(dependencies, settle)

  return {
    write(name, value) {
      const topic = open(name)
      const number = (lastNumber += 1)
      topic.newest = number
      return { number, done: writing.ask(topic, value) }
    },
    isNewest: (name, number) => topics.get(name)?.newest === number,
    shown(name, number) {
      const topic = topics.get(name)
      if (topic) topic.shown = number
    },
    hold(name) {
      open(name).holds += 1
    },
    release(name) {
      const topic = topics.get(name)
      if (!topic) return
      topic.holds -= 1
      settle(topic)
    },
    told(name, message, revision) {
      const topic = topics.get(name)
      if (!topic) return put(table, name, message)
      topic.known = { message, revision }
      settle(topic)
    },
    present(toldTopics, revision) {
      for (const { topic: name } of table.list({ max: Number.POSITIVE_INFINITY })) {
        if (!toldTopics.has(name) && !topics.has(name)) put(table, name, undefined)
      }
      for (const topic of topics.values()) {
        // What is not told any more has gone.
        if (!toldTopics.has(topic.name)) topic.known = { message: undefined, revision }
        // A store that was made anew has lower revisions.
        if (topic.revision > revision && !topic.isWriting) topic.revision = revision
        settle(topic)
      }
    },
    topicOf: (key) => keys.get(key),
    get unsettledCount() {
      return topics.size
    },
    get writingCount() {
      return writing.count
    },
  }
}

function newTopic<Value>(name: string, message: RetainedMessage | undefined): Topic<Value> {
  const unwritten = { revision: 0, newest: 0, shown: 0, isWriting: false, holds: 0 }
  return { name, known: { message, revision: 0 }, ...unwritten, wish: undefined }
}

/** Makes the writes of each topic, one after the other. */
function createWriting<Value>(
  { table, write }: SharedTopicsDependencies<Value>,
  settle: (topic: Topic<Value>) => void,
) {
  let count = 0

  async function makeAll(topic: Topic<Value>): Promise<void> {
    topic.isWriting = true
    count += 1
    for (let { wish } = topic; wish !== undefined; { wish } = topic) {
      topic.wish = undefined
      try {
        topic.revision = await write(topic.name, wish.value)
        for (const { resolve } of wish.waiting) resolve()
      } catch (thrown) {
        // The table goes back to what the store has, unless a newer write is there.
        if (topic.newest === wish.number) show(topic, table)
        for (const { reject } of wish.waiting) reject(thrown)
      }
    }
    topic.isWriting = false
    count -= 1
    settle(topic)
  }

  return {
    ask(topic: Topic<Value>, value: Value): Promise<void> {
      const done = new Promise<void>((resolve, reject) => {
        const wish = topic.wish ?? { value, number: 0, waiting: [] }
        Object.assign(wish, { value, number: topic.newest })
        wish.waiting.push({ resolve, reject })
        topic.wish = wish
      })
      if (!topic.isWriting) void makeAll(topic)
      return done
    },
    get count() {
      return count
    },
  }
}

type Table = Pick<RetainedTable, 'get' | 'put'>

/** Puts what the store has into the table. */
function show(topic: Topic<unknown>, table: Table): void {
  topic.shown = 0
  put(table, topic.name, topic.known.message)
}

/**
 * Takes over what the store told meanwhile.
 *
 * @returns whether the topic is as the store has it
 */
function isSettled(topic: Topic<unknown>, table: Table): boolean {
  const { known, revision, holds, isWriting } = topic
  if (isWriting) return false
  const isNewer = known.revision > revision
  // A write whose message never was handed on.
  const isOverdue = known.revision === revision && holds === 0 && topic.shown !== topic.newest
  if (known.revision > 0 && (isNewer || isOverdue)) show(topic, table)
  return holds === 0 && known.revision >= revision
}

function put(table: Table, topic: string, message: RetainedMessage | undefined): void {
  const before = table.get(topic)
  if (message === undefined) {
    if (before) table.put({ ...before, payload: Buffer.alloc(0) })
  } else if (before === undefined || !isSame(before, message)) table.put(message)
}

/** A message that is put again would count as newer for those that read the table. */
const isSame = (one: RetainedMessage, other: RetainedMessage): boolean =>
  one.lastModifiedMs === other.lastModifiedMs &&
  one.qos === other.qos &&
  one.payload.equals(other.payload)
