import type { AccountStage } from './account-stage.ts'
import type { Health } from '../http/sluice/status-routes.ts'
import { createFileFaults } from '../storage/file-faults.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import type { Metrics } from '../telemetry/telemetry.ts'

/** Somebody is kept out where what guards him cannot be read; TLS goes on with what it showed. */
export function healthOf(
  status: Health['status'],
  account: Pick<AccountStage, 'isKnown'>,
  faults: FileFaults,
): Health {
  const kinds = faults.kinds()
  return {
    status: status === 'ok' && kinds.some((kind) => kind !== 'tls') ? 'failing' : status,
    reasons: [
      ...(account.isKnown() ? [] : ['accountUnknown' as const]),
      ...kinds.map((kind) => `${kind}Unreadable` as const),
    ],
  }
}

/** Files that cannot be read, also as a metric. */
export function createCountedFaults(metrics: Pick<Metrics, 'identityFilesUnreadable'>): FileFaults {
  return createFileFaults((files, isUnreadable) =>
    metrics.identityFilesUnreadable.set({ files }, isUnreadable ? 1 : 0),
  )
}
