/**
 * A lane that this node owns: it is fed into the outbox, what is delivered is settled in the log,
 * and settled chunks are forgotten. It ends when another node has it, when its lease runs out, or
 * when it is released. Then nothing of it is sent any more, and what the outbox holds of it counts
 * for nothing: the next owner reads it from the log.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { NewRecord, Outbox } from '../../outbox/outbox.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { ReplicatedLog, Watermarks } from '../log/replicated-log.ts'
import type { FeedBudget } from './feed-budget.ts'
import { createForgetting } from './forgetting.ts'
import { createLaneChunks } from './lane-chunks.ts'
import type { LaneChunk, LaneChunks } from './lane-chunks.ts'
import type { LaneLedger, Settlement } from './lane-ledger.ts'
import { encodeLaneState } from './lane-state.ts'
import type { LaneState } from './lane-state.ts'
import { createLaneWriter } from './lane-writer.ts'
import { createLetterRemoval } from './letter-removal.ts'
import type { LetterRemoval } from './letter-removal.ts'
import type { PlacedRecords } from './placed-records.ts'
import { startFeed } from './start-feed.ts'

/** A dead letter, and the record that it settles. */
export interface SettlingLetter {
  readonly data: Buffer
  readonly chunk: LaneChunk
  /** Undefined for a chunk that could not be read. */
  readonly index: number | undefined
  readonly of: Pick<NewRecord, 'ruleName' | 'actionIndex'>
}

export interface OwnedLane {
  readonly lane: number
  /** Whether records of it may be sent now. */
  maySend(): boolean
  /** Records of it that this node has read and that are not settled. */
  lagRecords(): number
  /** Bytes of its dead letters. */
  letterBytes(): number
  /** It has ended: nothing counts any more. */
  isOver(): boolean
  /** A call that holds records of the lane begins; the answer ends it. */
  callStarted(): () => void
  settle(
    chunk: LaneChunk,
    index: number,
    of: Pick<NewRecord, 'ruleName' | 'actionIndex'>,
    how: Settlement,
  ): void
  /**
   * Settles records by dead letters. Resolves when these are in the log.
   *
   * @throws LaneLostError (rejects)
   */
  giveUp(letters: readonly SettlingLetter[]): Promise<void>
  /** The dead letters of the lane that leave. */
  readonly letters: LetterRemoval
  /**
   * Writes the state of the lane.
   *
   * @returns a sequence behind those of all dead letters that there are
   * @throws LaneLostError (rejects)
   */
  writtenNow(): Promise<number>
  /**
   * Sends nothing more, waits a little for calls in flight, and hands the lane over. Resolves when
   * that is in the log, or when the lane is lost.
   */
  release(): Promise<void>
  /** Ends at once, as when the lane is lost. */
  close(): void
}

export interface OwnedLaneDependencies {
  readonly log: Pick<ReplicatedLog, 'read' | 'writeProgress' | 'forget' | 'forgetDeadLetters'>
  readonly outbox: Pick<Outbox, 'append'>
  readonly clock: Clock
  readonly budget: FeedBudget
  readonly placed: PlacedRecords<OwnedLane>
  readonly limitedLog: LimitedLog
  /** What belongs to no lane, such as records that were dropped here: the next write takes it. */
  readonly unsaved: LaneLedger
  /** Called once, when the lane has ended by itself. */
  readonly onLost: (lane: OwnedLane, reason: string) => void
}

/** The write by which this node became the owner. */
export interface Acquired {
  readonly lane: number
  readonly revision: number
  /** When it began, by the monotonic clock. */
  readonly startedMs: number
  readonly state: LaneState
}

/** How long a release waits for the answers of calls: the lease must last until then. */
const releaseMs = 4_000
const releaseCheckMs = 20

export function createOwnedLane(
  dependencies: OwnedLaneDependencies,
  acquired: Acquired,
): OwnedLane {
  const { lane, state } = acquired
  const ending = new AbortController()
  const { signal } = ending
  const calls = createCallCount(dependencies.clock, signal)
  const chunks = createLaneChunks(state)
  const forgetting = createForgetting(dependencies, lane, (upTo) => chunks.forgotten(upTo))
  const held = createHeldChunks(dependencies, chunks, signal)
  const states = createStates(dependencies, state, chunks, () => letters)
  let isReleasing = false

  const writer = createLaneWriter(
    {
      ...dependencies,
      state: () => states.next(),
      onLost(thrown) {
        end()
        dependencies.onLost(owned, messageOf(thrown))
      },
      onWritten: () => forgetting.may(states.watermarks()),
    },
    acquired,
  )

  function end(): void {
    if (signal.aborted) return
    ending.abort()
    forgetting.end()
    held.clear()
  }

  const ofLetters = { ...dependencies, ...chunks, ...writer, signal }
  const letters = createLetterRemoval(ofLetters, lane, state.leavingLetters)

  const owned: OwnedLane = {
    lane,
    maySend: () => !isReleasing && writer.isHeld(),
    lagRecords: () => chunks.lagRecords(),
    letterBytes: () => states.letterBytes(),
    isOver: () => signal.aborted,
    callStarted: () => calls.started(),
    settle(chunk, index, of, how) {
      if (signal.aborted || !chunks.settle(chunk, index, of, how)) return
      held.settled(chunk)
      writer.touched()
    },
    giveUp: (given) => writer.giveUp(given.map(settlingIn(held, states))),
    letters,
    writtenNow: () => writer.flush(),
    async release() {
      isReleasing = true
      await calls.answered()
      states.released()
      await writer.flush().catch(() => undefined)
      owned.close()
    },
    close() {
      writer.close()
      end()
    },
  }

  const hold = (chunk: LaneChunk) => {
    held.add(chunk)
    if (chunk.left === 0) writer.touched()
  }
  startFeed({ ...dependencies, owned, signal, chunks, hold })
  // What a former owner had settled and not removed.
  forgetting.may(state.watermarks)
  return owned
}

/** What the write of a dead letter settles when it is stored. */
function settlingIn(
  held: ReturnType<typeof createHeldChunks>,
  states: Pick<ReturnType<typeof createStates>, 'letterAdded'>,
) {
  return (letter: SettlingLetter) => {
    const settle = () => states.letterAdded(held.settleByLetter(letter))
    return { data: letter.data, settle }
  }
}

/** The states of a lane, one for each write. */
function createStates(
  { unsaved }: Pick<OwnedLaneDependencies, 'unsaved'>,
  { epoch, owner, write, letterBytes }: LaneState,
  chunks: Pick<LaneChunks, 'addToLedger' | 'save'>,
  letters: () => Pick<LetterRemoval, 'leaving' | 'leftBytes'>,
) {
  const last = { owner, write, letterBytes }
  let watermarks: Watermarks = {}
  return {
    /** Those of the last state. */
    watermarks: () => watermarks,
    letterBytes: () => last.letterBytes,
    letterAdded: (bytes: number) => void (last.letterBytes += bytes),
    /** Later states name no owner. */
    released(): void {
      last.owner = undefined
    },
    next(): Buffer {
      chunks.addToLedger(unsaved)
      unsaved.clear()
      last.write += 1
      const said = chunks.save()
      watermarks = said.watermarks
      last.letterBytes -= letters().leftBytes()
      return encodeLaneState({ ...said, ...last, epoch, leavingLetters: letters().leaving() })
    },
  }
}

/** The calls that hold records of a lane. */
function createCallCount(clock: Pick<Clock, 'monotonicMs' | 'sleep'>, signal: AbortSignal) {
  const calls = { inFlight: 0 }
  return {
    started() {
      calls.inFlight += 1
      return () => void (calls.inFlight -= 1)
    },
    /** Resolves when all have ended, or after some time. */
    async answered(): Promise<void> {
      const endMs = clock.monotonicMs() + releaseMs
      // What a call delivered is settled a moment after its answer.
      do await clock.sleep(releaseCheckMs, signal)
      while (calls.inFlight > 0 && clock.monotonicMs() < endMs && !signal.aborted)
    },
  }
}

/** The chunks that are in the outbox and not settled. */
function createHeldChunks(
  { budget, placed }: Pick<OwnedLaneDependencies, 'budget' | 'placed'>,
  chunks: Pick<LaneChunks, 'take' | 'settle' | 'settleDamaged'>,
  signal: AbortSignal,
) {
  const held = new Set<LaneChunk>()

  function settled(chunk: LaneChunk): void {
    if (chunk.left > 0 || !held.delete(chunk)) return
    budget.remove(chunk.destination, chunk.bytes)
    placed.left()
  }

  return {
    settled,
    /** @returns the bytes of the dead letter */
    settleByLetter({ data, chunk, index, of }: SettlingLetter): number {
      if (index === undefined) chunks.settleDamaged(chunk)
      else chunks.settle(chunk, index, of, 'deadLettered')
      settled(chunk)
      return data.length
    },
    add(chunk: LaneChunk): void {
      if (signal.aborted) return
      chunks.take(chunk)
      if (chunk.left === 0) return
      held.add(chunk)
      budget.add(chunk.destination, chunk.bytes)
    },
    clear(): void {
      for (const { destination, bytes } of held) budget.remove(destination, bytes)
      held.clear()
      placed.left()
    },
  }
}
