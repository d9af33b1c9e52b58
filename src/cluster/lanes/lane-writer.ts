/**
 * Writes the progress of a lane that this node owns: the lease, what is settled, dead letters.
 *
 * The lease lasts 10 s for others, from the moment at which they see a write, and 8 s for its
 * owner, from the moment at which it began that write. Both count by their own monotonic clocks: no
 * time of day is compared. One write is in flight at a time.
 */
import type { Clock } from '../../base/clock.ts'
import { LaneLostError, batchMessagesMax } from '../log/replicated-log.ts'
import type { ReplicatedLog } from '../log/replicated-log.ts'

/** How long the owner of a lane may deliver after it began the last write that succeeded. */
const heldMs = 8_000
/** A lease is renewed when nothing was written for this time. */
const renewMs = 2_500
/** What is settled is written after this time: it is delivered twice when the node dies first. */
const settleMs = 200
/** Bytes of dead letters in one write; one may be larger. */
const letterBytesMax = 2 * 1024 * 1024

const notOwned = 'this node owns the lane no more'

interface LaneLetter {
  readonly data: Buffer
  /** Settles the record, in the state that is written with the dead letter. */
  readonly settle: () => void
}

/** A dead letter on its way into the log. */
interface WaitingLetter extends LaneLetter {
  readonly resolve: () => void
  readonly reject: (thrown: unknown) => void
}

interface LaneWriter {
  /** Whether this node may still deliver records of the lane. When it may not, the lane is lost. */
  isHeld(): boolean
  /** Something was settled: it is written soon. */
  touched(): void
  /**
   * Writes dead letters. Resolves when they are in the log.
   *
   * @param settle settles their records; it is called for each when it is written
   * @throws LaneLostError (rejects)
   */
  giveUp(letters: readonly LaneLetter[]): Promise<void>
  /**
   * Writes now. Resolves when everything that was settled before the call is in the log.
   *
   * @returns the revision of that write
   * @throws LaneLostError (rejects)
   */
  flush(): Promise<number>
  /** Writes no more. Those who wait are refused. */
  close(): void
}

interface LaneWriterDependencies {
  readonly log: Pick<ReplicatedLog, 'writeProgress'>
  readonly clock: Clock
  /** The state that is to be written now. */
  readonly state: () => Buffer
  /** Another node has the lane, or the lease could not be renewed in time. */
  readonly onLost: (thrown: unknown) => void
  readonly onWritten: () => void
}

/** @param acquired the write by which this node became the owner */
export function createLaneWriter(
  { log, clock, state, onLost, onWritten }: LaneWriterDependencies,
  acquired: { readonly lane: number; readonly revision: number; readonly startedMs: number },
): LaneWriter {
  let { revision } = acquired
  const lease = createLease(clock, acquired.startedMs, () => {
    if (isHeld()) void write()
  })
  const letters = createWaitingLetters()
  lease.wakeAfter(renewMs)

  function isHeld(): boolean {
    if (lease.hasRunOut()) lose(new LaneLostError('the lease has run out'))
    return !lease.isClosed()
  }

  const write = createRepeatedWork(async () => {
    if (lease.isClosed()) return
    await writeOnce()
    if (!letters.isEmpty()) void write()
    lease.wakeAfter(renewMs)
  })

  async function writeOnce(): Promise<void> {
    const batch = letters.next()
    for (const { settle } of batch) settle()
    const startedMs = clock.monotonicMs()
    try {
      const progress = { lane: acquired.lane, revision, data: state() }
      const data = batch.map((letter) => letter.data)
      revision = (await log.writeProgress(progress, data)).revision
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown)
      lose(thrown)
      return
    }
    lease.renewed(startedMs)
    for (const { resolve } of batch) resolve()
    if (!lease.isClosed()) onWritten()
  }

  function lose(thrown: unknown): void {
    if (lease.isClosed()) return
    close(thrown)
    onLost(thrown)
  }

  function close(thrown: unknown): void {
    lease.close()
    letters.refuse(thrown)
  }

  return {
    isHeld,
    touched: () => lease.wakeAfter(settleMs),
    async giveUp(given) {
      if (lease.isClosed()) throw new LaneLostError(notOwned)
      const written = given.map((letter) => letters.add(letter))
      void write()
      await Promise.all(written)
    },
    async flush() {
      await write()
      if (lease.isClosed()) throw new LaneLostError(notOwned)
      return revision
    },
    close: () => close(new LaneLostError(notOwned)),
  }
}

/** Does work that is asked for again while it goes on once more, and never twice at a time. */
function createRepeatedWork(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let isWanted = false
  async function run(): Promise<void> {
    while (isWanted) {
      isWanted = false
      await work()
    }
  }
  return () => {
    isWanted = true
    running ??= run().finally(() => {
      running = undefined
    })
    return running
  }
}

/** The lease of an owner, with one timer: for its next write, or for the end of the lease. */
function createLease(clock: Clock, startedMs: number, wake: () => void) {
  let untilMs = startedMs + heldMs
  let dueMs = Infinity
  let isClosed = false
  let cancel: (() => void) | undefined

  function wakeAfter(delayMs: number): void {
    const atMs = Math.min(clock.monotonicMs() + delayMs, untilMs)
    if (isClosed || atMs >= dueMs) return
    cancel?.()
    dueMs = atMs
    cancel = clock.after(Math.max(0, atMs - clock.monotonicMs()), () => {
      dueMs = Infinity
      wake()
      // While a write waits, the end of the lease is what comes next.
      wakeAfter(heldMs)
    })
  }

  return {
    wakeAfter,
    hasRunOut: () => !isClosed && clock.monotonicMs() >= untilMs,
    isClosed: () => isClosed,
    /** @param writtenMs when the write began that renewed it */
    renewed(writtenMs: number): void {
      untilMs = Math.max(untilMs, writtenMs + heldMs)
    },
    close(): void {
      isClosed = true
      cancel?.()
    },
  }
}

function createWaitingLetters() {
  const letters: WaitingLetter[] = []
  return {
    isEmpty: () => letters.length === 0,
    add: (letter: LaneLetter) =>
      new Promise<void>((resolve, reject) => {
        letters.push({ ...letter, resolve, reject })
      }),
    /** Takes the letters of the next write: at least one, if any waits. */
    next(): readonly WaitingLetter[] {
      let bytes = 0
      const end = letters.findIndex(({ data }, index) => {
        bytes += data.length
        return index === batchMessagesMax || (index > 0 && bytes > letterBytesMax)
      })
      return letters.splice(0, end < 0 ? letters.length : end)
    },
    refuse(thrown: unknown): void {
      for (const { reject } of letters.splice(0)) reject(thrown)
    },
  }
}
