import {
  LaneLostError,
  LogFullError,
  batchMessagesMax,
  chunkBytesMax,
  laneCount,
} from '../../src/cluster/log/replicated-log.ts'
import type {
  Chunk,
  LaneProgress,
  NodeNotice,
  StoredChunk,
  StoredDeadLetter,
  Watermarks,
  WrittenProgress,
} from '../../src/cluster/log/replicated-log.ts'

/** What has changed: a lane got chunks, a lane made progress, or a node has said something. */
export type ChangeKind = `lane ${number}` | 'progress' | 'nodes'

/** Something with its place in the order of all changes. */
type Placed<Value> = Value & { readonly sequence: number }

/**
 * What the servers of a log in memory hold. Each method is one request that has arrived: it happens
 * at once and whole.
 */
export interface MemoryServers {
  append(chunks: readonly Chunk[], areMoved?: boolean): void
  /** @throws LaneLostError */
  writeProgress(progress: LaneProgress, deadLetters: readonly Uint8Array[]): WrittenProgress
  announce(notice: NodeNotice): void
  forget(lane: number, upTo: Watermarks, deadLetters: readonly number[]): void
  forgetDeadLetters(lane: number, upTo: number): void
  chunksAfter(
    position: number,
    lane: number,
    after: Watermarks,
    destination: string | undefined,
  ): readonly StoredChunk[]
  progressAfter(position: number): readonly LaneProgress[]
  progressOf(lane: number): LaneProgress
  noticesAfter(position: number): readonly Placed<NodeNotice>[]
  deadLettersAfter(position: number, max: number): readonly StoredDeadLetter[]
  /** All chunks that are not forgotten. */
  chunks(): readonly StoredChunk[]
  /** Calls back after each change of this kind; returns how to end that. */
  onChanged(kind: ChangeKind, listener: () => void): () => void
  /** Chunks are refused while this holds. */
  isFull: boolean
}

const readMax = 50

export function createMemoryServers(): MemoryServers {
  let sequence = 0
  let chunks: StoredChunk[] = []
  let deadLetters: StoredDeadLetter[] = []
  const progress = new Map<number, LaneProgress>()
  const notices = new Map<string, Placed<NodeNotice>>()
  const listeners = new Map<ChangeKind, Set<() => void>>()

  function progressOf(lane: number): LaneProgress {
    return progress.get(lane) ?? { lane, revision: 0, data: new Uint8Array() }
  }

  function changed(kind: ChangeKind): void {
    for (const listener of listeners.get(kind) ?? []) listener()
  }

  const servers: MemoryServers = {
    isFull: false,
    append(added, areMoved = false) {
      for (const chunk of added) requireChunk(chunk)
      requireBatch(added.length)
      if (servers.isFull && !areMoved) throw new LogFullError('the log is full')
      chunks.push(...added.map((chunk) => ({ ...chunk, sequence: ++sequence })))
      for (const lane of new Set(added.map((chunk) => chunk.lane))) changed(`lane ${lane}`)
    },
    writeProgress({ lane, revision, data }, letters) {
      requireBatch(letters.length)
      if (progressOf(lane).revision !== revision) {
        throw new LaneLostError(`wrong last sequence: ${progressOf(lane).revision}`)
      }
      const stored = letters.map((letter) => ({ sequence: ++sequence, lane, data: letter }))
      deadLetters.push(...stored)
      progress.set(lane, { lane, revision: ++sequence, data })
      changed('progress')
      return { revision: sequence, deadLetters: stored.map((letter) => letter.sequence) }
    },
    announce(notice) {
      notices.delete(notice.node)
      notices.set(notice.node, { ...notice, sequence: ++sequence })
      changed('nodes')
    },
    forget(lane, upTo, letters) {
      chunks = chunks.filter(
        (chunk) => chunk.lane !== lane || chunk.sequence > (upTo[chunk.destination] ?? 0),
      )
      deadLetters = deadLetters.filter((letter) => !letters.includes(letter.sequence))
    },
    forgetDeadLetters(lane, upTo) {
      deadLetters = deadLetters.filter((of) => of.lane !== lane || of.sequence > upTo)
    },
    chunksAfter: (position, lane, after, destination) =>
      chunks
        .filter(
          (chunk) =>
            chunk.lane === lane &&
            chunk.sequence > Math.max(position, after[chunk.destination] ?? 0) &&
            (destination ?? chunk.destination) === chunk.destination,
        )
        .slice(0, readMax),
    progressAfter: (position) =>
      [...progress.values()]
        .filter(({ revision }) => revision > position)
        .toSorted((left, right) => left.revision - right.revision),
    progressOf,
    noticesAfter: (position) =>
      [...notices.values()].filter((notice) => notice.sequence > position),
    deadLettersAfter: (position, max) =>
      deadLetters.filter((letter) => letter.sequence > position).slice(0, max),
    chunks: () => chunks,
    onChanged(kind, listener) {
      const ofKind = listeners.get(kind) ?? new Set()
      listeners.set(kind, ofKind.add(listener))
      return () => void ofKind.delete(listener)
    },
  }
  return servers
}

/** What servers do not take must not be asked of them. */
function requireBatch(messages: number): void {
  if (messages > batchMessagesMax) throw new RangeError(`a batch of ${messages} messages`)
}

function requireChunk({ lane, destination, data }: Chunk): void {
  if (!(lane >= 0 && lane < laneCount)) throw new RangeError(`there is no lane ${lane}`)
  if (!/^[\w-]+$/.test(destination)) throw new RangeError(`${destination} is no token`)
  if (data.length > chunkBytesMax) throw new RangeError(`a chunk of ${data.length} bytes`)
}
