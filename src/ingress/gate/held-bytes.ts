import { createInspection } from './inspection.ts'
import type { InspectionDependencies, InspectionLimits, PartialFrame } from './inspection.ts'

/**
 * Bounds the memory that the messages of all clients hold together, so that ten thousand clients
 * within their own limits cannot exhaust the process. Three kinds of bytes are counted:
 *
 *   partial: bytes of partial frames
 *   waiting: bytes of whole frames that may not pass yet
 *   passed:  bytes of PUBLISHes that are with Aedes and the engine
 *
 * A PUBLISH that has passed is counted until it is finished. When its connection closes, it stays
 * counted only while the process keeps it: while the engine has it, or while it is distributed to
 * subscribers; both report when they are done. Aedes may drop the others without notice, but only
 * for a connection that closes; if it does distribute one of them, that one is counted again. So
 * two numbers for each connection are enough, and the sum changes only with them:
 *
 *   counted = connection is open ? all that passed and is not finished : the part the process keeps
 *
 * - While the sum of all three is at least `bytesMax`, no connection that publishes is read from;
 *   connections that only subscribe continue. As memory is freed, they are read from again in the
 *   order in which they were stopped, in each turn of the event loop as many as there is room for a
 *   chunk of each.
 * - While `passed` is at least half of `bytesMax`, no PUBLISH passes. Frames that wait are freed
 *   with their connection, and what the process keeps is not, so clients that reconnect again and
 *   again cannot accumulate it.
 * - While any publisher is stopped, `partial` is at most the share at which reading resumes:
 *   connections are ended until it is, the one whose frame has been partial for longest first. The
 *   rest of those frames would never be read, and nothing else frees their memory.
 * - While publishers are held back for seconds and none goes on, connections are ended of which a
 *   message waits for room in the outbox, the one that holds most first, until others may go on.
 *   Answers keep their order, so all that stands behind that message is held, finished or not. The
 *   waiting message is dropped with its connection, and the client sends it again.
 * - The time of a partial frame is limited (inspection.ts).
 *
 * So reading always resumes, whatever clients do, as long as the engine finishes what it has; when
 * it does not, inspection.ts reports a stall. Node may hold one more chunk for each connection that
 * is not read from.
 */
export interface HeldBytes {
  join(events: HeldBytesEvents): HeldShare
  readonly total: number
  /** Publishers are held back, and none of them has gone on for a while. */
  readonly isStalled: boolean
}

type HeldBytesDependencies = Pick<InspectionDependencies, 'clock' | 'stallChanged'>

interface HeldBytesLimits extends InspectionLimits {
  /** Bytes of all clients together. */
  readonly heldBytesMax: number
}

/** `held_bytes`: the partial frame blocks all others. */
export type EvictReason = 'held_bytes' | 'packet_timeout'

export interface HeldBytesEvents {
  /** The connection may be read from again, or may try again to pass a PUBLISH. */
  readonly changed: () => void
  /** Whether bytes that the client sends now would be read. */
  readonly isReading: () => boolean
  /** The connection has to end because of its partial frame. */
  readonly evict: (reason: EvictReason) => void
  /**
   * The connection has to end if one of its messages waits for room in the outbox. Absent: none.
   *
   * @returns whether it ends
   */
  readonly endIfWaiting?: (() => boolean) | undefined
}

/** What one connection holds. */
export interface HeldShare {
  readonly mayRead: boolean
  /**
   * Sets what the connection holds now.
   *
   * @param isNewFrame the partial frame is another one than at the last call
   */
  hold(partialBytes: number, waitingBytes: number, isNewFrame: boolean): void
  /**
   * @returns whether a PUBLISH of so many bytes passes; if not, `changed` is called to try again
   */
  pass(bytes: number): boolean
  /** The engine has a PUBLISH of so many bytes: it is held even if the connection closes. */
  dispatched(bytes: number): HeldPublish
  /** Aedes has to answer it, and drops it if the connection closes: it is held until then. */
  answering(publish: HeldPublish): void
  /** It is being distributed: it is held even if the connection closes, or has closed. */
  distributing(publish: HeldPublish): void
  /** @returns whether it was not finished before */
  finished(publish: HeldPublish): boolean
  /** The connection is gone. */
  connectionGone(): void
}

/** A PUBLISH that the engine has. It is counted once, however often its state changes. */
export interface HeldPublish {
  /** The bytes that it is counted for. */
  readonly bytes: number
  /** Who keeps it. Only the share changes this. */
  holder: 'process' | 'connection' | 'nobody'
}

/**
 * The memory that a PUBLISH takes beside its bytes while the engine has it: its packet, its
 * message, promises and records. With it, many small messages are counted realistically.
 */
export const messageOverheadBytes = 2 * 1024

/** The most that is read from a connection at a time. */
const chunkBytes = 64 * 1024

export function createHeldBytes(parts: HeldBytesDependencies, limits: HeldBytesLimits): HeldBytes {
  const { heldBytesMax: bytesMax } = limits
  const sum: Sum = { partial: 0, waiting: 0, passed: 0 }
  const total = () => sum.partial + sum.waiting + sum.passed
  const isPassable = () => sum.passed < bytesMax / 2
  const turns = createTurns()
  /** Members whose PUBLISH could not pass. */
  const blocked = new Set<Member>()
  const members = () => [...turns.reading, ...turns.stopped]
  const relieve = () => endWaiting(members(), excessOf(sum, bytesMax))
  const areHeldBack = () => turns.stopped.size > 0 || blocked.size > 0
  const inspection = createInspection<Member>({ ...parts, areHeldBack, relieve }, limits)
  let isPlanned = false

  function makeRoom(): void {
    for (const member of inspection.partials) {
      if (turns.stopped.size === 0 || sum.partial <= bytesMax * resumeShare) break
      inspection.ended(member)
      member.events.evict('held_bytes')
    }
  }

  function goOn(): void {
    isPlanned = false
    for (const member of blocked) {
      if (!isPassable()) break
      blocked.delete(member)
      inspection.moved()
      member.events.changed()
    }
    if (turns.resume(Math.ceil((bytesMax - total()) / chunkBytes))) inspection.moved()
    look()
  }

  function look(): void {
    if (total() >= bytesMax) turns.stopAll()
    if (turns.stopped.size > 0) makeRoom()
    inspection.plan()
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
      inspection.plan()
      return false
    },
    began(member) {
      if (member.partial > 0) inspection.began(member)
      else inspection.ended(member)
    },
    remove(member) {
      for (const set of [turns.reading, turns.stopped, blocked]) set.delete(member)
      inspection.ended(member)
    },
  }
  return {
    join: (events) => createShare(events, pool),
    get total() {
      return total()
    },
    get isStalled() {
      return inspection.isStalled
    },
  }
}

/** What has to be freed until all publishers may go on. */
const excessOf = ({ partial, waiting, passed }: Sum, bytesMax: number): number =>
  Math.max(
    passed - bytesMax * 0.5 * resumeShare,
    partial + waiting + passed - bytesMax * resumeShare,
  )

/** Ends members of which a message waits for room, until so many bytes are freed. */
function endWaiting(members: Member[], excessBytes: number): void {
  const heldBy = ({ partial, waiting, passed }: Member) => partial + waiting + passed
  members.sort((one, other) => heldBy(other) - heldBy(one))
  let left = excessBytes
  for (const member of members) {
    if (left <= 0) break
    const held = heldBy(member)
    if (member.events.endIfWaiting?.() === true) left -= held
  }
}

/** Which publishers are read from, and which are stopped, in the order of stopping. */
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
    /** @returns whether any was resumed */
    resume(count: number): boolean {
      let left = count
      for (const member of stopped) {
        if (left <= 0) break
        left--
        stopped.delete(member)
        reading.add(member)
        member.mayRead = true
        member.events.changed()
      }
      return left < count
    },
  }
}

/**
 * Reading resumes below this share of `bytesMax`, so that the next chunk does not stop it again.
 */
const resumeShare = 7 / 8

interface Sum {
  partial: number
  waiting: number
  passed: number
}

interface Member extends PartialFrame {
  readonly events: HeldBytesEvents
  mayRead: boolean
  partial: number
  waiting: number
  /** Bytes that passed and are not finished. */
  passed: number
  /** The part of `passed` that the process keeps when the connection closes. */
  kept: number
  isGone: boolean
}

interface Pool {
  readonly sum: Sum
  readonly look: () => void
  /** The member publishes, so it can be stopped and resumed. */
  readonly publishes: (member: Member) => void
  readonly tryPass: (member: Member) => boolean
  /** The partial frame of the member began, or became whole. */
  readonly began: (member: Member) => void
  readonly remove: (member: Member) => void
}

const costOf = (bytes: number): number => bytes + messageOverheadBytes

const countedOf = ({ isGone, passed, kept }: Member): number => (isGone ? kept : passed)

const createMember = (events: HeldBytesEvents): Member => ({
  events,
  mayRead: true,
  partial: 0,
  waitedMs: 0,
  waiting: 0,
  passed: 0,
  kept: 0,
  isGone: false,
})

const createShare = (events: HeldBytesEvents, pool: Pool): HeldShare =>
  new Share(createMember(events), pool)

/** A class, because every connection has one: see OpenConnection. */
class Share implements HeldShare {
  private readonly member: Member
  private readonly pool: Pool

  constructor(member: Member, pool: Pool) {
    this.member = member
    this.pool = pool
  }

  get mayRead(): boolean {
    return this.member.mayRead
  }

  hold(partialBytes: number, waitingBytes: number, isNewFrame: boolean): void {
    const { member, pool } = this
    if (member.isGone) return
    const heldBefore = member.partial + member.waiting
    if (partialBytes + waitingBytes > 0) pool.publishes(member)
    else if (heldBefore === 0) return
    const begins = isNewFrame || member.partial === 0 || partialBytes === 0
    this.set(partialBytes, waitingBytes)
    if (begins) pool.began(member)
    pool.look()
  }

  pass(bytes: number): boolean {
    const { member, pool } = this
    if (member.isGone) return false
    pool.publishes(member)
    if (!pool.tryPass(member)) return false
    this.change(costOf(bytes), 0)
    return true
  }

  dispatched(bytes: number): HeldPublish {
    const publish: HeldPublish = { bytes: costOf(bytes), holder: 'connection' }
    this.hand(publish, 'process')
    return publish
  }

  answering(publish: HeldPublish): void {
    this.hand(publish, 'connection')
  }

  distributing(publish: HeldPublish): void {
    this.hand(publish, 'process')
  }

  finished(publish: HeldPublish): boolean {
    return this.hand(publish, 'nobody')
  }

  connectionGone(): void {
    const { member, pool } = this
    if (member.isGone) return
    this.set(0, 0)
    this.change(0, 0, true)
    pool.remove(member)
    pool.look()
  }

  private set(partialBytes: number, waitingBytes: number): void {
    const { member, pool } = this
    pool.sum.partial += partialBytes - member.partial
    pool.sum.waiting += waitingBytes - member.waiting
    member.partial = partialBytes
    member.waiting = waitingBytes
  }

  /** The only code that changes the bytes that passed. @returns whether the sum changed, too */
  private change(passedBytes: number, keptBytes: number, isGone = this.member.isGone): boolean {
    const { member, pool } = this
    const countedBefore = countedOf(member)
    member.passed += passedBytes
    member.kept += keptBytes
    member.isGone = isGone
    const difference = countedOf(member) - countedBefore
    pool.sum.passed += difference
    return difference !== 0
  }

  private hand(publish: HeldPublish, holder: HeldPublish['holder']): boolean {
    if (publish.holder === 'nobody') return false
    const keptBefore = publish.holder === 'process' ? publish.bytes : 0
    const kept = holder === 'process' ? publish.bytes : 0
    publish.holder = holder
    if (this.change(holder === 'nobody' ? -publish.bytes : 0, kept - keptBefore)) this.pool.look()
    return true
  }
}
