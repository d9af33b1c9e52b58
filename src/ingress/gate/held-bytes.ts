/**
 * The memory that the messages of all clients hold together, so that ten thousand clients within
 * their own limits cannot fill the process. Three kinds of bytes are counted:
 *
 *   partial: of a frame that is not whole yet
 *   waiting: of whole frames that may not pass yet
 *   passed:  of PUBLISHes that are with Aedes and the engine
 *
 * What has passed is counted with its connection until it is finished. When the connection goes, that
 * part of it stays which the process keeps: it is with the engine, or on its way to the subscribers, and
 * both say when they have done. What else Aedes has it may drop without a word, but only of a
 * connection that goes; should it come to it all the same, it is kept again from then on. So for each
 * connection two numbers tell all, and the sum changes with them alone:
 *
 *   counted = is there ? all that passed and is not finished : what of that the process keeps
 *
 * - While all three reach `bytesMax`, no connection that publishes is read from; those that only
 *   subscribe go on. As room comes back they are read from again in the order in which they were
 *   stopped, as many in a turn of the event loop as there is room for a chunk of each.
 * - While `passed` reaches half of that, no PUBLISH passes: what waits goes with its connection,
 *   what the process keeps does not, so clients that come back again and again cannot pile it up.
 * - While nearly all of it is `partial`, the connection whose frame is the longest under way is
 *   ended: the rest of it would never be read, and nothing else makes room.
 *
 * So reading goes on again whatever clients do, as long as the engine finishes what it has. Node
 * may keep one chunk more for each connection that is not read from.
 */
export interface HeldBytes {
  join(events: HeldBytesEvents): HeldShare
  readonly total: number
}

interface HeldBytesEvents {
  /** May be read from again, or may try again to pass a PUBLISH. */
  readonly changed: () => void
  /** Its frame that is not whole is in the way of everybody. */
  readonly evict: () => void
}

/** What one connection holds. */
export interface HeldShare {
  readonly mayRead: boolean
  /**
   * What it holds now.
   *
   * @param isNewFrame the frame that is not whole is another than the last time
   */
  hold(partialBytes: number, waitingBytes: number, isNewFrame: boolean): void
  /** @returns whether a PUBLISH of so many bytes passes; if not, `changed` says when to try again */
  pass(bytes: number): boolean
  /** The engine has a PUBLISH of so many bytes: it is held even if the connection goes. */
  dispatched(bytes: number): HeldPublish
  /** Aedes is to answer it, and drops it where the connection goes: it is held as long as that. */
  answering(publish: HeldPublish): void
  /** It is on its way to the subscribers: it is held even if the connection goes, or has gone. */
  distributing(publish: HeldPublish): void
  /** @returns whether it was not finished before */
  finished(publish: HeldPublish): boolean
  /** The connection is gone. */
  connectionGone(): void
}

/** A PUBLISH that the engine got. It is counted once, whatever is said of it how often. */
export interface HeldPublish {
  /** What it is counted for. */
  readonly bytes: number
  /** For the share alone to change: with whom it goes. */
  holder: 'process' | 'connection' | 'nobody'
}

/**
 * What a PUBLISH holds beside its bytes while the engine has it: its packet, its message, promises,
 * its records. So that many small messages count for what they take.
 */
export const messageOverheadBytes = 2 * 1024

/** What is read from a connection at a time, at most. */
const chunkBytes = 64 * 1024

export function createHeldBytes(bytesMax: number): HeldBytes {
  const sum: Sum = { partial: 0, waiting: 0, passed: 0 }
  const total = () => sum.partial + sum.waiting + sum.passed
  const isPassable = () => sum.passed < bytesMax / 2
  const turns = createTurns()
  /** Those that had a PUBLISH to pass. */
  const blocked = new Set<Member>()
  /** In the order in which their frames began. */
  const partials = new Set<Member>()
  let isPlanned = false

  function evict(): void {
    for (const member of partials) {
      if (total() < bytesMax || sum.partial <= bytesMax * resumeShare) break
      partials.delete(member)
      member.events.evict()
    }
  }

  function goOn(): void {
    isPlanned = false
    for (const member of blocked) {
      if (!isPassable()) break
      blocked.delete(member)
      member.events.changed()
    }
    turns.resume(Math.ceil((bytesMax - total()) / chunkBytes))
    look()
  }

  function look(): void {
    if (total() >= bytesMax) {
      turns.stopAll()
      evict()
    }
    const mayPass = blocked.size > 0 && isPassable()
    const mayRead = turns.stopped.size > 0 && total() <= bytesMax * resumeShare
    if (isPlanned || (!mayPass && !mayRead)) return
    isPlanned = true
    setImmediate(goOn)
  }

  const pool: Pool = {
    sum,
    look,
    publishes: turns.add,
    tryPass(member) {
      if (isPassable()) return true
      blocked.add(member)
      return false
    },
    began(member) {
      partials.delete(member)
      if (member.partial > 0) partials.add(member)
    },
    remove(member) {
      for (const set of [turns.reading, turns.stopped, blocked, partials]) set.delete(member)
    },
  }
  return {
    join: (events) => createShare(events, pool),
    get total() {
      return total()
    },
  }
}

/** Who of those that publish is read from, and who waits for that, in the order of stopping. */
function createTurns() {
  const reading = new Set<Member>()
  const stopped = new Set<Member>()
  return {
    reading,
    stopped,
    add(this: void, member: Member) {
      if (member.mayRead) reading.add(member)
    },
    stopAll() {
      for (const member of reading) {
        member.mayRead = false
        stopped.add(member)
        member.events.changed()
      }
      reading.clear()
    },
    resume(count: number) {
      let left = count
      for (const member of stopped) {
        if (left-- <= 0) return
        stopped.delete(member)
        reading.add(member)
        member.mayRead = true
        member.events.changed()
      }
    },
  }
}

/** Reading goes on below this, so that it does not stop again at the next chunk. */
const resumeShare = 7 / 8

interface Sum {
  partial: number
  waiting: number
  passed: number
}

interface Member {
  readonly events: HeldBytesEvents
  mayRead: boolean
  partial: number
  waiting: number
  /** All that passed and is not finished. */
  passed: number
  /** Of `passed`, what the process keeps when the connection goes. */
  kept: number
  isGone: boolean
}

interface Pool {
  readonly sum: Sum
  readonly look: () => void
  /** It takes part in stopping and going on. */
  readonly publishes: (member: Member) => void
  readonly tryPass: (member: Member) => boolean
  /** Its frame that is not whole began, or is whole. */
  readonly began: (member: Member) => void
  readonly remove: (member: Member) => void
}

const costOf = (bytes: number): number => bytes + messageOverheadBytes

const countedOf = ({ isGone, passed, kept }: Member): number => (isGone ? kept : passed)

const createMember = (events: HeldBytesEvents): Member => ({
  events,
  mayRead: true,
  partial: 0,
  waiting: 0,
  passed: 0,
  kept: 0,
  isGone: false,
})

function createShare(events: HeldBytesEvents, pool: Pool): HeldShare {
  const { sum } = pool
  const member = createMember(events)

  function set(partialBytes: number, waitingBytes: number): void {
    sum.partial += partialBytes - member.partial
    sum.waiting += waitingBytes - member.waiting
    member.partial = partialBytes
    member.waiting = waitingBytes
  }

  /** The only way in which what has passed changes. @returns whether the sum did, too */
  function change(passedBytes: number, keptBytes: number, isGone = member.isGone): boolean {
    const countedBefore = countedOf(member)
    member.passed += passedBytes
    member.kept += keptBytes
    member.isGone = isGone
    const difference = countedOf(member) - countedBefore
    sum.passed += difference
    return difference !== 0
  }

  function hand(publish: HeldPublish, holder: HeldPublish['holder']): boolean {
    if (publish.holder === 'nobody') return false
    const keptBefore = publish.holder === 'process' ? publish.bytes : 0
    const kept = holder === 'process' ? publish.bytes : 0
    publish.holder = holder
    if (change(holder === 'nobody' ? -publish.bytes : 0, kept - keptBefore)) pool.look()
    return true
  }

  return {
    get mayRead() {
      return member.mayRead
    },
    hold(partialBytes, waitingBytes, isNewFrame) {
      if (member.isGone) return
      const heldBefore = member.partial + member.waiting
      if (partialBytes + waitingBytes > 0) pool.publishes(member)
      else if (heldBefore === 0) return
      const begins = isNewFrame || member.partial === 0 || partialBytes === 0
      set(partialBytes, waitingBytes)
      if (begins) pool.began(member)
      pool.look()
    },
    pass(bytes) {
      if (member.isGone) return false
      pool.publishes(member)
      if (!pool.tryPass(member)) return false
      change(costOf(bytes), 0)
      return true
    },
    dispatched(bytes) {
      const publish: HeldPublish = { bytes: costOf(bytes), holder: 'connection' }
      hand(publish, 'process')
      return publish
    },
    answering: (publish) => void hand(publish, 'connection'),
    distributing: (publish) => void hand(publish, 'process'),
    finished: (publish) => hand(publish, 'nobody'),
    connectionGone() {
      if (member.isGone) return
      set(0, 0)
      change(0, 0, true)
      pool.remove(member)
      pool.look()
    },
  }
}
