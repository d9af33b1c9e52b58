import type { AccountStage } from './account-stage.ts'
import type { EventSourceMappings } from '../event-source/event-source-mappings.ts'
import type { Health } from '../http/sluice/status-routes.ts'
import { createFileFaults } from '../storage/file-faults.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { FileFaults, GuardedFiles } from '../storage/file-faults.ts'
import type { Ingress } from '../ingress/ingress.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { LanesStage } from './cluster/lanes-stage.ts'
import type { SharedSources } from './shared-sources.ts'
import type { Upstream } from '../upstream/upstream.ts'

/**
 * A load balancer sends no clients to an engine that is not healthy, so an engine that accepts
 * anything at all is at worst degraded. A file that cannot be read shuts out the clients that need
 * it, and never all of them: a policy concerns its own targets, and access keys none of MQTT. While
 * publishers are stalled, subscribers and HTTP are served. A full outbox or disk keeps out what has
 * to be stored, and nothing else.
 *
 * @param status of the stages; `ok`: all of them run
 */
export function healthOf(
  status: 'ok' | 'starting' | 'stopping',
  {
    account,
    faults,
    rules,
    mappings,
    ingress,
    outbox,
    upstream,
    cluster,
    lanes,
  }: HealthDependencies,
): Health {
  const unreadable = faults.kinds()
  const reasons = [
    ...(account.isKnown() ? [] : ['accountUnknown' as const]),
    ...(ingress.isStalled ? ['publishersStalled' as const] : []),
    ...(outbox.troubles.isFull() ? ['outboxFull' as const] : []),
    ...(outbox.troubles.doWritesFail() ? ['outboxWritesFail' as const] : []),
    ...unreadable.map(reasonOf),
    ...(rules.invalidCount() === 0 ? [] : ['rulesInvalid' as const]),
    ...(mappings.unusableFiles().length > 0 ? ['mappingsInvalid' as const] : []),
    ...(upstream?.troubles() ?? []),
    ...(cluster?.isLost() === true || lanes?.isLost() === true
      ? ['clusterUnreachable' as const]
      : []),
  ]
  return { status: status === 'ok' && reasons.length > 0 ? 'degraded' : status, reasons }
}

/** Of these kinds the files can be read, and their content is at fault. */
function isReadable(kind: GuardedFiles): kind is 'tlsExpired' | 'tlsDamaged' {
  return kind === 'tlsExpired' || kind === 'tlsDamaged'
}

function reasonOf(kind: GuardedFiles) {
  return isReadable(kind) ? kind : (`${kind}Unreadable` as const)
}

interface HealthDependencies {
  readonly account: Pick<AccountStage, 'isKnown'>
  readonly faults: Pick<FileFaults, 'kinds'>
  readonly rules: Pick<RuleStore, 'invalidCount'>
  readonly mappings: Pick<EventSourceMappings, 'unusableFiles'>
  readonly ingress: Pick<Ingress, 'isStalled'>
  readonly outbox: Pick<Outbox, 'troubles'>
  /** Absent: no other broker is read. */
  readonly upstream?: Pick<Upstream, 'troubles'> | undefined
  /** Absent: the engine is no node of a cluster. */
  readonly cluster?: Pick<SharedSources, 'isLost'> | undefined
  /** The log of the cluster. */
  readonly lanes?: Pick<LanesStage, 'isLost'> | undefined
}

/** Notes files that cannot be read, also in a metric. */
export function createCountedFaults(metrics: Pick<Metrics, 'identityFilesUnreadable'>): FileFaults {
  return createFileFaults((files, isUnreadable) => {
    if (!isReadable(files)) metrics.identityFilesUnreadable.set({ files }, isUnreadable ? 1 : 0)
  })
}
