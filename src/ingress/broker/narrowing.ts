import type { LimitedLog } from '../../telemetry/limited-log.ts'

/** Says in the log that a client does not get what it asked for, and what AWS does about it. */
export type ReportNarrowed = (reason: string, clientId: string, detail: string) => void

/** Once a minute for each reason: clients ask for the same again and again. */
export const createReportNarrowed =
  (log: LimitedLog): ReportNarrowed =>
  (reason, clientId, detail) =>
    void log.warnOnce(
      reason,
      { reason, clientId, detail },
      'a client does not get what it asked for, as on AWS',
    )
