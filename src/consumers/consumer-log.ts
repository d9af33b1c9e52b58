import type { WarningLog } from '../telemetry/limited-log.ts'

/** Where a consumer logs; a pino logger fits. */
export interface ConsumerLog extends WarningLog {
  info(fields: Readonly<Record<string, unknown>>, text: string): void
}
