import type { Clock } from '../base/clock.ts'
import type { KinesisRecord } from '../consumers/shard-reader.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import type { FailureFiles } from './failure-files.ts'
import type { LambdaFunction } from './functions/lambda-function.ts'
import type { EventOrigin } from './lambda-event.ts'
import type { MappingSettings } from './mapping-settings.ts'

/** A record that is under way, and how it is told that it is done with. */
export interface PendingRecord extends KinesisRecord {
  /** When it arrived, by the monotonic clock. */
  readonly sinceMs: number
  finish(): void
}

/** What handing batches of one shard over needs. */
export interface InvocationContext {
  readonly uuid: string
  readonly settings: MappingSettings
  readonly streamArn: string
  readonly functionArnNow: () => string
  readonly origin: EventOrigin
  readonly failures: FailureFiles
  readonly clock: Clock
  readonly logger: WarningLog
  /** @throws SluiceError when there is none now (rejects) */
  readonly findFunction: () => Promise<LambdaFunction>
  /** Gives up the invocation under way: a stop that takes too long. */
  readonly abandon: AbortSignal
  /** Told after each invocation. */
  readonly onResult: (result: 'ok' | 'failed') => void
}
