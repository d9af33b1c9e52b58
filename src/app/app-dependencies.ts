import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../telemetry/telemetry.ts'

export interface AppDependencies {
  readonly config: Config
  readonly logger: Logger
  readonly clock: Clock
  /** An environment of the data folder whose file is lost begins anew. Default: it is refused. */
  readonly beginsAnew?: boolean | undefined
  /** Aborts when the process is to stop, also while it is starting. Default: never. */
  readonly signal?: AbortSignal | undefined
}
