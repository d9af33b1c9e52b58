import type { ShardPosition, StartPosition } from './shard-reader.ts'

/** How far an application has come with a shard. */
export type Checkpoint =
  /** Nothing of it is processed; where it is to begin. */
  | { readonly kind: 'start'; readonly position: Exclude<StartPosition, { type: 'LATEST' }> }
  /**
   * Everything up to this record is processed. With a subsequence number: up to that place in the
   * aggregate, and the rest of it is not. LATEST is kept as the time of the first start, so that
   * nothing is left out when a crash comes before the first record.
   */
  | {
      readonly kind: 'after'
      readonly sequenceNumber: string
      readonly subSequenceNumber?: number
      /** What the application wants to find again with it. */
      readonly state?: string
    }
  /** The shard is closed and processed to its end. */
  | { readonly kind: 'ended' }

/** Whose checkpoints: a stream that was deleted and made again is another one. */
export interface CheckpointScope {
  readonly application: string
  readonly streamArn: string
  readonly streamCreatedMs: number
}

export type CheckpointsByShard = ReadonlyMap<string, Checkpoint>

/**
 * Where checkpoints are kept.
 *
 * Invariant: what `save` was given is durable when it resolves, all of it or nothing.
 */
export interface CheckpointStore {
  /** Shard id -> checkpoint; empty for an application that never ran on the stream. */
  load(scope: CheckpointScope): Promise<CheckpointsByShard>
  /** Replaces those of the shards that are named; `undefined` removes one. */
  save(
    scope: CheckpointScope,
    checkpoints: ReadonlyMap<string, Checkpoint | undefined>,
  ): Promise<void>
}

/** Checkpoints that live as long as the process: for tests, and to look into a stream. */
export function createMemoryCheckpoints(): CheckpointStore {
  const scopes = new Map<string, Map<string, Checkpoint>>()
  return {
    load: async (scope) => new Map(scopes.get(keyOf(scope))),
    async save(scope, checkpoints) {
      const key = keyOf(scope)
      const known = scopes.get(key) ?? new Map<string, Checkpoint>()
      scopes.set(key, known)
      for (const [shardId, checkpoint] of checkpoints) {
        if (checkpoint) known.set(shardId, checkpoint)
        else known.delete(shardId)
      }
    },
  }
}

const keyOf = (scope: CheckpointScope) =>
  JSON.stringify([scope.application, scope.streamArn, scope.streamCreatedMs])

/** Where the reading of a shard goes on. */
export function positionAfter(checkpoint: Exclude<Checkpoint, { kind: 'ended' }>): ShardPosition {
  if (checkpoint.kind === 'start') return checkpoint.position
  const { sequenceNumber, subSequenceNumber } = checkpoint
  // The rest of a partly processed aggregate is in the same record.
  const type = subSequenceNumber === undefined ? 'AFTER_SEQUENCE_NUMBER' : 'AT_SEQUENCE_NUMBER'
  return { type, sequenceNumber }
}

/** Saves the newest checkpoint of a shard while the next records are worked on. */
interface CheckpointSaver {
  /** Takes note; what was noted before and is not saved yet is left out. */
  note(checkpoint: Checkpoint): void
  /** Resolves when the last one noted is durable; rejects when one could not be saved. */
  flush(): Promise<void>
}

/** @param onError told as soon as a checkpoint cannot be saved */
export function createCheckpointSaver(
  save: (checkpoint: Checkpoint) => Promise<void>,
  onError: (thrown: unknown) => void,
): CheckpointSaver {
  let noted: Checkpoint | undefined
  let saving: Promise<void> | undefined
  let failure: { readonly thrown: unknown } | undefined

  async function saveAll(): Promise<void> {
    while (noted) {
      const checkpoint = noted
      noted = undefined
      await save(checkpoint)
    }
  }
  const begin = () => {
    saving ??= saveAll().finally(() => {
      saving = undefined
    })
    return saving
  }
  return {
    note(checkpoint) {
      noted = checkpoint
      begin().catch((thrown: unknown) => {
        failure ??= { thrown }
        onError(thrown)
      })
    },
    async flush() {
      await begin()
      if (failure) throw failure.thrown
    },
  }
}
