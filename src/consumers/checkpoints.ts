import type { ShardPosition, StartPosition } from './shard-reader.ts'

/**
 * How far an application has processed a shard. LATEST is stored as the time of the first start, so
 * that a crash before the first record loses nothing.
 */
export type Checkpoint =
  | CheckpointStart
  | CheckpointAfter
  /** The shard is closed and processed to its end. */
  | { readonly kind: 'ended' }

/** The first record is not processed yet. */
interface CheckpointStart {
  readonly kind: 'start'
  /** Where to begin. */
  readonly position: Exclude<StartPosition, { type: 'LATEST' }>
  /** As in `CheckpointAfter`: of later records that are processed already. */
  readonly state?: string | undefined
}

/**
 * Every record up to and including this one is processed. With a subsequence number, the records of
 * the aggregate up to that one are processed, and the rest of the aggregate is not.
 */
export interface CheckpointAfter {
  readonly kind: 'after'
  readonly sequenceNumber: string
  readonly subSequenceNumber?: number | undefined
  /** Of an aggregate that is processed as a whole: the KCL counts its records in a checkpoint. */
  readonly lastSubSequenceNumber?: number | undefined
  /** Text that the application stores with the checkpoint. */
  readonly state?: string | undefined
}

/** Identifies a set of checkpoints: a stream that was deleted and made again is another stream. */
export interface CheckpointScope {
  readonly application: string
  readonly streamArn: string
  readonly streamCreatedMs: number
}

export type CheckpointsByShard = ReadonlyMap<string, Checkpoint>

/**
 * Stores checkpoints.
 *
 * Invariant: when `save` resolves, all that it was given is durable; when it rejects, none is.
 */
export interface CheckpointStore {
  /** Shard id -> checkpoint; empty when the application never ran on the stream. */
  load(scope: CheckpointScope): Promise<CheckpointsByShard>
  /** Replaces the checkpoints of the named shards; `undefined` removes one. */
  save(
    scope: CheckpointScope,
    checkpoints: ReadonlyMap<string, Checkpoint | undefined>,
  ): Promise<void>
}

/** Checkpoints in memory: for tests, and for reading a stream without resuming later. */
export function createMemoryCheckpoints(): CheckpointStore {
  const scopes = new Map<string, Map<string, Checkpoint>>()
  return {
    load: async (scope) => new Map(scopes.get(keyOf(scope))),
    async save(scope, checkpoints) {
      const key = keyOf(scope)
      const ofScope = scopes.get(key) ?? new Map<string, Checkpoint>()
      scopes.set(key, ofScope)
      for (const [shardId, checkpoint] of checkpoints) {
        if (checkpoint) ofScope.set(shardId, checkpoint)
        else ofScope.delete(shardId)
      }
    },
  }
}

const keyOf = (scope: CheckpointScope) =>
  JSON.stringify([scope.application, scope.streamArn, scope.streamCreatedMs])

/** The position at which reading of a shard continues. */
export function positionAfter(checkpoint: Exclude<Checkpoint, { kind: 'ended' }>): ShardPosition {
  if (checkpoint.kind === 'start') return checkpoint.position
  const { sequenceNumber, subSequenceNumber } = checkpoint
  // The unprocessed rest of an aggregate is in the same record, so that record is read again.
  const type = subSequenceNumber === undefined ? 'AFTER_SEQUENCE_NUMBER' : 'AT_SEQUENCE_NUMBER'
  return { type, sequenceNumber }
}

/** Saves the newest checkpoint of a shard while the next records are processed. */
interface CheckpointSaver {
  /**
   * Notes a checkpoint to save; it replaces one that was noted before and is not saved yet. A
   * function is called when it is about to be saved, so that only what is saved has to be made.
   */
  note(checkpoint: Checkpoint | (() => Checkpoint)): void
  /** Resolves when the last noted checkpoint is durable; rejects when one could not be saved. */
  flush(): Promise<void>
}

/** @param onError called as soon as a checkpoint cannot be saved */
export function createCheckpointSaver(
  save: (checkpoint: Checkpoint) => Promise<void>,
  onError: (thrown: unknown) => void,
): CheckpointSaver {
  let noted: Checkpoint | (() => Checkpoint) | undefined
  let saving: Promise<void> | undefined
  let failure: { readonly thrown: unknown } | undefined

  async function saveAll(): Promise<void> {
    try {
      while (noted) {
        const checkpoint = noted
        noted = undefined
        await save(typeof checkpoint === 'function' ? checkpoint() : checkpoint)
      }
    } finally {
      // In the same turn as the last look at `noted`: a checkpoint that comes later begins anew.
      saving = undefined
    }
  }
  return {
    note(checkpoint) {
      noted = checkpoint
      if (saving) return
      // `saveAll` must not end before its promise is assigned.
      saving = Promise.resolve().then(saveAll)
      saving.catch((thrown: unknown) => {
        failure ??= { thrown }
        onError(thrown)
      })
    },
    async flush() {
      await saving
      if (failure) throw failure.thrown
    },
  }
}
