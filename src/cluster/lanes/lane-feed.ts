/**
 * Reads the chunks of a lane into the outbox of this node, in order for each destination.
 *
 * - What is read ahead is bounded (feed-budget.ts). A destination without room delays the others
 *   of its lane for a moment. Then it is passed over: its chunks are left to a reader of its own,
 *   which ends when it has caught up.
 * - A chunk is taken when the outbox has appended all of its records. One that the outbox refuses
 *   is tried again; only later chunks of its destination wait for that.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { ReplicatedLog, StoredChunk } from '../log/replicated-log.ts'
import { countInChunk } from './chunk-codec.ts'
import type { FeedBudget } from './feed-budget.ts'
import type { LaneChunks } from './lane-chunks.ts'

/** How long the other destinations of a lane wait for one that has no room. */
const waitForRoomMs = 1_000
/** How often a destination that is passed over looks for room, beside when some was made. */
const lookForRoomMs = 1_000
/** Destinations of a lane that are read by themselves at a time. Further ones wait. */
const passedOverReadersMax = 8

interface LaneFeedDependencies {
  readonly log: Pick<ReplicatedLog, 'read'>
  readonly budget: FeedBudget
  readonly chunks: Pick<LaneChunks, 'lastTaken' | 'taken' | 'passedOver'>
  /** Puts the records of a chunk into the outbox, and notes the chunk as taken. */
  readonly take: (chunk: StoredChunk) => Promise<void>
  readonly onRefused: (reason: string, chunk: StoredChunk) => void
  readonly clock: Pick<Clock, 'monotonicMs'>
}

/** Feeds until the signal aborts. Never rejects. */
export async function feedLane(
  dependencies: LaneFeedDependencies,
  lane: number,
  signal: AbortSignal,
): Promise<void> {
  const { log, budget, chunks } = dependencies
  const taking = createTaking(dependencies, signal)
  /** For each destination that is passed over, the sequence up to which the lane was read. */
  const passedOver = new Map<string, number>()
  const waiting: string[] = []
  const readers = new Set<Promise<void>>()

  async function readLane(): Promise<void> {
    for await (const chunk of log.read(lane, chunks.taken(), signal)) {
      const { destination, sequence } = chunk
      if (signal.aborted) return
      if (!passedOver.has(destination)) {
        await taking.waitForRoom(chunk)
        if (await taking.tryTake(chunk)) continue
        waiting.push(destination)
      }
      passedOver.set(destination, sequence)
      chunks.passedOver(countInChunk(chunk.data))
      startReaders()
    }
  }

  function startReaders(): void {
    while (readers.size < passedOverReadersMax && waiting.length > 0 && !signal.aborted) {
      const reader = readPassedOver(waiting.shift() ?? '').finally(() => {
        readers.delete(reader)
        startReaders()
      })
      readers.add(reader)
    }
  }

  async function readPassedOver(destination: string): Promise<void> {
    const ending = new AbortController()
    const either = AbortSignal.any([signal, ending.signal])
    const after = { [destination]: chunks.lastTaken(destination) }
    for await (const chunk of log.read(lane, after, either, destination)) {
      if (either.aborted) break
      if (chunk.destination !== destination) continue
      while (!either.aborted && !(await taking.tryTake(chunk))) {
        await budget.removed(lookForRoomMs, either)
      }
      if (!either.aborted) chunks.passedOver(-countInChunk(chunk.data))
      if (chunk.sequence < (passedOver.get(destination) ?? 0)) continue
      // From here on the lane's own reader takes its chunks again.
      passedOver.delete(destination)
      ending.abort()
    }
  }

  await readLane()
  await Promise.all(readers)
}

function createTaking(
  { budget, clock, take, onRefused }: LaneFeedDependencies,
  signal: AbortSignal,
) {
  const hasRoom = ({ destination, data }: StoredChunk) => budget.hasRoom(destination, data.length)
  return {
    async waitForRoom(chunk: StoredChunk): Promise<void> {
      const endMs = clock.monotonicMs() + waitForRoomMs
      while (!signal.aborted && !hasRoom(chunk)) {
        const leftMs = endMs - clock.monotonicMs()
        if (leftMs <= 0) return
        await budget.removed(leftMs, signal)
      }
    },
    /** @returns false when there is no room for the chunk, or the outbox refuses it */
    async tryTake(chunk: StoredChunk): Promise<boolean> {
      if (signal.aborted || !hasRoom(chunk)) return false
      try {
        await take(chunk)
        return true
      } catch (thrown) {
        if (!signal.aborted) onRefused(messageOf(thrown), chunk)
        return false
      }
    },
  }
}
