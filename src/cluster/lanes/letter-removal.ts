/**
 * Dead letters that leave a lane, by the hand of its owner. What leaves is counted and named in the
 * state of the lane first, and then removed from the log: an owner that dies in between leaves the
 * names, and the next owner removes them. So each is counted once.
 */
import type { ReplicatedLog } from '../log/replicated-log.ts'
import { createLaneLedger } from './lane-ledger.ts'
import type { LaneLedger } from './lane-ledger.ts'

/** A dead letter that leaves. Damaged chunks belong to no action. */
interface LeavingLetter {
  readonly sequence: number
  readonly bytes: number
  readonly of: { readonly ruleName: string; readonly actionIndex: number } | undefined
}

export interface LetterRemoval {
  /** Those that leave, for the state of the lane. */
  leaving(): readonly number[]
  /** Bytes of those that have begun to leave since the last call. */
  leftBytes(): number
  /**
   * Takes a dead letter, so that nobody else moves it. Waits while somebody else has it. Those who
   * take several ones take them in the order of their sequences.
   *
   * @returns false when it leaves, or has left
   */
  take(sequence: number): Promise<boolean>
  /** Gives one back that stays after all. */
  putBack(sequence: number): void
  /**
   * Removes dead letters that were taken. Resolves when they count no more.
   *
   * @param isReplayed whether their records are in the log again; otherwise they are dropped
   */
  remove(letters: readonly LeavingLetter[], isReplayed: boolean): Promise<void>
  /**
   * Drops the oldest dead letters of the lane, which were taken, by one request: all others up to
   * the last one of them must have left or be leaving.
   */
  removeOldest(letters: readonly LeavingLetter[]): Promise<void>
}

interface LetterRemovalDependencies {
  readonly log: Pick<ReplicatedLog, 'forget' | 'forgetDeadLetters'>
  readonly addToLedger: (ledger: LaneLedger) => void
  /** Writes the state. */
  readonly flush: () => Promise<number>
  /** Aborts when this node owns the lane no more. */
  readonly signal: AbortSignal
}

/** Dead letters that are remembered when they have left: who has read them before may come late. */
const goneMax = 20_000

/** @param stored those that the last owner has named */
export function createLetterRemoval(
  { log, addToLedger, flush, signal }: LetterRemovalDependencies,
  lane: number,
  stored: readonly number[],
): LetterRemoval {
  const leaving = new Set(stored)
  const taken = new Set<number>()
  const gone = new Set<number>()
  const waiting = new Set<() => void>()
  let leftBytes = 0
  if (stored.length > 0) void forget(stored)

  /** Those who wait look again. */
  function wake(): void {
    const all = [...waiting]
    waiting.clear()
    for (const resolve of all) resolve()
  }
  signal.addEventListener('abort', wake, { once: true })

  async function forget(sequences: readonly number[], areOldest = false): Promise<void> {
    try {
      if (areOldest) await log.forgetDeadLetters(lane, sequences.at(-1) ?? 0)
      else await log.forget(lane, {}, sequences)
      for (const sequence of sequences) {
        gone.add(sequence)
        leaving.delete(sequence)
      }
      for (const oldest of gone) {
        if (gone.size <= goneMax) break
        gone.delete(oldest)
      }
    } catch {
      // The log is closed: the next owner removes them.
    }
  }

  /** Names and counts what leaves. Resolves with the sequences when the state says so. */
  async function count(letters: readonly LeavingLetter[], isReplayed: boolean) {
    for (const { sequence, bytes } of letters) {
      leaving.add(sequence)
      leftBytes += bytes
      taken.delete(sequence)
    }
    wake()
    addToLedger(ledgerOf(letters, isReplayed))
    await flush()
    return letters.map(({ sequence }) => sequence)
  }

  return {
    leaving: () => [...leaving],
    leftBytes() {
      const bytes = leftBytes
      leftBytes = 0
      return bytes
    },
    async take(sequence) {
      while (taken.has(sequence) && !signal.aborted) {
        await new Promise<void>((resolve) => waiting.add(resolve))
      }
      if (signal.aborted || leaving.has(sequence) || gone.has(sequence)) return false
      taken.add(sequence)
      return true
    },
    putBack(sequence) {
      taken.delete(sequence)
      wake()
    },
    async remove(letters, isReplayed) {
      await forget(await count(letters, isReplayed))
    },
    async removeOldest(letters) {
      await forget(await count(letters, false), true)
    },
  }
}

function ledgerOf(letters: readonly LeavingLetter[], isReplayed: boolean): LaneLedger {
  const moved = createLaneLedger()
  for (const { of } of letters) {
    if (of === undefined) continue
    moved.add(of.ruleName, of.actionIndex, 'deadLettered', -1)
    if (!isReplayed) moved.add(of.ruleName, of.actionIndex, 'dropped')
  }
  return moved
}
