import type { Clock } from '../base/clock.ts'
import { createWaitingLine } from '../base/waiting-line.ts'
import type { WaitingLine } from '../base/waiting-line.ts'

/**
 * Turns in which the readers of one process read a shard. A shard serves 5 reads and 2 MiB a second
 * to all of its readers (Developer Guide, "Quotas and limits"). Without turns readers throttle each
 * other, and one that waits longer after each failure gets nothing while the others come back.
 *
 * Invariants: turns of a shard are given in the order in which they were asked for, 210 ms apart,
 * or later after a large read; a shard without a waiting reader is forgotten when it is free again.
 */
interface ReadTurns {
  /**
   * Waits for a turn. Each reader asks for one at a time, so that many wait at most.
   *
   * @param shard a name of the shard that is unique in the process
   * @param signal ends the wait, and the pause behind this turn
   */
  take(shard: string, signal: AbortSignal): Promise<void>
  /** Lengthens the pause behind the present turn by the size of what it has read. */
  spend(shard: string, sizeBytes: number): void
}

/** A little more than a fifth of a second, because calls do not travel equally long. */
const turnIntervalMs = 210
const bytesPerSecond = 2 * 1024 * 1024

interface Shard {
  readonly waiting: WaitingLine
  /** What is still to be waited before the next turn. */
  pauseMs: number
}

/** All readers of a process share the turns by its clock. */
const turnsOfClock = new WeakMap<Clock, ReadTurns>()

export function readTurnsOf(clock: Clock): ReadTurns {
  const existing = turnsOfClock.get(clock)
  if (existing) return existing
  const turns = createReadTurns(clock)
  turnsOfClock.set(clock, turns)
  return turns
}

function createReadTurns(clock: Clock): ReadTurns {
  /** The shards that are not free. */
  const shards = new Map<string, Shard>()

  async function pause(name: string, shard: Shard, signal: AbortSignal): Promise<void> {
    shard.pauseMs = turnIntervalMs
    while (shard.pauseMs > 0 && !signal.aborted) {
      const pauseMs = shard.pauseMs
      shard.pauseMs = 0
      await clock.sleep(pauseMs, signal)
    }
    if (!shard.waiting.wakeNext()) shards.delete(name)
  }

  return {
    async take(name, signal) {
      if (signal.aborted) return
      let shard = shards.get(name)
      if (!shard) {
        shard = { waiting: createWaitingLine(), pauseMs: 0 }
        shards.set(name, shard)
      } else if (!(await shard.waiting.wait(signal))) return
      void pause(name, shard, signal)
    },
    spend(name, sizeBytes) {
      const shard = shards.get(name)
      const pauseMs = (sizeBytes / bytesPerSecond) * 1_000 - turnIntervalMs
      if (shard && pauseMs > 0) shard.pauseMs += pauseMs
    },
  }
}
