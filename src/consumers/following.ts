import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import type { Checkpoint, CheckpointAfter } from './checkpoints.ts'
import type { ShardDescription, ShardPosition, StartPosition } from './shard-reader.ts'

/** The work on one shard. */
export interface ShardTask {
  readonly shard: ShardDescription
  readonly from: ShardPosition
  /** The checkpoint of the last run; undefined when no record was processed before. */
  readonly checkpoint?: CheckpointAfter | undefined
  /** The text that was stored with the checkpoint. */
  readonly state?: string | undefined
  /** When it aborts, the task finishes what it has begun and begins nothing new. */
  readonly signal: AbortSignal
  /**
   * Whether the shard may still be read, where several processes share a stream. It is asked before
   * each batch: it answers when the signal is late, because the process stood still.
   */
  readonly isHeld?: (() => boolean) | undefined
  /** Resolves when the checkpoint is durable. */
  save(checkpoint: Checkpoint): Promise<void>
}

/** The children of a shard that was processed to its end; undefined when it was stopped before. */
export type ShardOutcome = { readonly children: readonly ShardDescription[] } | undefined

export interface FollowOptions {
  readonly application: string
  readonly from: StartPosition
  readonly signal: AbortSignal
  /** Works on a shard to its end, or until the signal of the task aborts. */
  readonly runShard: (task: ShardTask) => Promise<ShardOutcome>
  /** Milliseconds between two listings of the shards. */
  readonly discoveryIntervalMs?: number | undefined
}

export interface FollowedStream {
  /** Resolves when each shard has its position: no record that is put from then on is skipped. */
  readonly positioned: Promise<void>
  /**
   * Resolves when the signal has aborted and all work is finished; rejects with the first error.
   */
  readonly done: Promise<void>
}

/** What is asked about a stream as a whole. */
export interface StreamReads {
  /** @returns the ARN of the stream, and when it was made, in epoch milliseconds */
  describeStream(
    signal?: AbortSignal,
  ): Promise<{ readonly arn: string; readonly createdMs: number }>
  /** All shards whose records can still be read, open and closed. */
  listShards(signal?: AbortSignal): Promise<readonly ShardDescription[]>
  /** The time of day of the service, in epoch milliseconds. */
  serviceNowMs(): number
}

/** Checkpoints that several processes share: each shard is read by one of them. */
export interface SharedCheckpoints {
  /**
   * Processes those shards of a stream that are the share of this process.
   *
   * @throws SluiceError, and errors of the client and of what stores the checkpoints (rejects)
   */
  follow(
    dependencies: {
      readonly reads: StreamReads
      readonly clock: Clock
      readonly logger: WarningLog
    },
    options: FollowOptions,
  ): Promise<FollowedStream>
}
