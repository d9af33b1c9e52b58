import type { WarningLog } from '../telemetry/limited-log.ts'

/** What a consumer tells: a logger of pino is one. */
export interface ConsumerLog extends WarningLog {
  info(fields: Readonly<Record<string, unknown>>, text: string): void
}
