import type { Clock } from '../base/clock.ts'
import type { KinesisRecord } from '../consumers/shard-reader.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import type { BatchSpans } from '../traces/message-traces.ts'
import type { FailureFiles } from './failure-files.ts'
import type { LambdaFunction } from './functions/lambda-function.ts'
import type { EventSourceMembers } from './lambda-event.ts'
import type { MappingSettings } from './mapping-settings.ts'
import type { RecentBatch } from './recent-batches.ts'

/** A record that is not finished yet, with the function to call when it is. */
export interface PendingRecord extends KinesisRecord {
  /** The time of its arrival, by the monotonic clock. */
  readonly sinceMs: number
  finish(): void
}

/** A document about records that were given up, for the destination of their mapping. */
export interface FailureToSend {
  /** The UUID of the mapping. */
  readonly mapping: string
  /** An ARN, or `kafka://...`. */
  readonly destination: string
  readonly shardId: string
  readonly document: object
}

/**
 * Sends a document to a destination. It is in the file of failures already, so that a failure is
 * logged and nothing more. Never rejects.
 *
 * @param signal ends the attempts
 */
export type SendFailure = (failure: FailureToSend, signal: AbortSignal) => Promise<void>

/** What invocations for one shard need. */
export interface InvocationContext {
  readonly uuid: string
  readonly settings: MappingSettings
  readonly streamArn: string
  readonly functionArnNow: () => string
  readonly origin: EventSourceMembers
  readonly failures: FailureFiles
  /** Absent: destinations are not reached. */
  readonly sendFailure?: SendFailure | undefined
  /** Absent: no traces are made. */
  readonly batchSpans?: BatchSpans | undefined
  readonly clock: Clock
  readonly logger: WarningLog
  /** @throws SluiceError when the function does not exist now (rejects) */
  readonly findFunction: () => Promise<LambdaFunction>
  /** Aborts the running invocation: a stop has exceeded its time. */
  readonly abandon: AbortSignal
  /** Whether this node may still work on the shard, where several share a mapping. */
  readonly isHeld?: (() => boolean) | undefined
  /** Called after each invocation. */
  readonly onResult: (result: 'ok' | 'failed', reason?: string) => void
  /** Called after each invocation with what it was. */
  readonly onBatch?: ((batch: RecentBatch) => void) | undefined
}
