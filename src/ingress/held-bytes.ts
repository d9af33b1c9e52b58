/**
 * The memory that the messages of all clients hold together, so that ten thousand clients within
 * their own limits cannot fill the process. Three kinds of bytes are counted:
 *
 *   partial: of a frame that is not whole yet
 *   waiting: of whole frames that may not pass yet
 *   passed:  of PUBLISHes that are with Aedes and the engine, also after their connection has gone
 *
 * - While all three reach `bytesMax`, no connection that publishes is read from; those that only
 *   subscribe go on. As room comes back they are read from again in the order in which they were
 *   stopped, as many in a turn of the event loop as there is room for a chunk of each.
 * - While `passed` reaches half of that, no PUBLISH passes: what waits goes with its connection,
 *   what has passed does not, so clients that come back again and again cannot pile it up.
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

export interface HeldBytesEvents {
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
  /** The engine has it: it is held until it is finished, even if the connection goes. */
  dispatched(bytes: number): void
  finished(bytes: number): void
  leave(): void
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

  const house: House = {
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
    join: (events) => createShare(events, house),
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

interface Member extends Sum {
  readonly events: HeldBytesEvents
  mayRead: boolean
  /** Of `passed`, what the engine has. */
  dispatched: number
  hasLeft: boolean
}

interface House {
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

function createShare(events: HeldBytesEvents, house: House): HeldShare {
  const { sum } = house
  const member: Member = {
    events,
    mayRead: true,
    partial: 0,
    waiting: 0,
    passed: 0,
    dispatched: 0,
    hasLeft: false,
  }

  function set(partialBytes: number, waitingBytes: number): void {
    sum.partial += partialBytes - member.partial
    sum.waiting += waitingBytes - member.waiting
    member.partial = partialBytes
    member.waiting = waitingBytes
  }

  function release(bytes: number): void {
    sum.passed -= bytes
    member.passed -= bytes
  }

  return {
    get mayRead() {
      return member.mayRead
    },
    hold(partialBytes, waitingBytes, isNewFrame) {
      if (member.hasLeft) return
      const heldBefore = member.partial + member.waiting
      if (partialBytes + waitingBytes > 0) house.publishes(member)
      else if (heldBefore === 0) return
      const begins = isNewFrame || member.partial === 0 || partialBytes === 0
      set(partialBytes, waitingBytes)
      if (begins) house.began(member)
      house.look()
    },
    pass(bytes) {
      house.publishes(member)
      if (!house.tryPass(member)) return false
      release(-costOf(bytes))
      return true
    },
    dispatched(bytes) {
      // Nobody was to finish it when the connection went; now somebody will.
      if (member.hasLeft) release(-costOf(bytes))
      member.dispatched += costOf(bytes)
    },
    finished(bytes) {
      member.dispatched -= costOf(bytes)
      release(costOf(bytes))
      house.look()
    },
    leave() {
      if (member.hasLeft) return
      member.hasLeft = true
      set(0, 0)
      // Nobody will finish what has not come to the engine.
      release(member.passed - member.dispatched)
      house.remove(member)
      house.look()
    },
  }
}
