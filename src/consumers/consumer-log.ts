import type { NoticeLog } from '../telemetry/limited-log.ts'

/** Where a consumer logs; a pino logger fits. */
export type ConsumerLog = NoticeLog
