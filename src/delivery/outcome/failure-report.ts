import { adviceOn, classify } from '../../aws/call/failure-class.ts'
import type { Failure } from '../../aws/call/failure-class.ts'
import type { Clock } from '../../base/clock.ts'
import { roleArnOf, targetOf } from '../../outbox/outbox.ts'
import type { Destination } from '../../outbox/outbox.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'

/** Reports in metrics and in the log that calls or records of a destination fail. */
export interface FailureReport {
  /** A call failed. The metric changes at once; the log has one line per minute and error code. */
  failed(failure: Failure): void
  /** The latest failure of a call; undefined once records are delivered. */
  latest(): Failure | undefined
  /** Records will be sent again: their number by error code. */
  retried(failedByCode: ReadonlyMap<string, number>): void
  /** @param shardIds the throttled shards; without any, because none is known, nothing is logged */
  throttled(shardIds: readonly string[]): void
  /** The role allows one record in a call only. */
  batchDenied(): void
  /** Records were delivered after a failure. */
  recovered(): void
  /** Nothing of the destination waits any more. */
  ended(): void
  /** The destination is gone, and so are its series of metrics. */
  gone(): void
}

interface FailureReportDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'destinationsFailing' | 'recordsRetried'>
  /** How many records of the destination are not yet delivered. */
  readonly waiting: () => number
}

/** Shards that one log line names. */
const shardsNamedMax = 10

export function createFailureReport(
  { clock, logger, metrics, waiting }: FailureReportDependencies,
  destination: Destination,
): FailureReport {
  const { region } = destination
  const stream = targetOf(destination)
  const roleArn = roleArnOf(destination)
  const log = createLimitedLog({ logger, clock })
  const failing = new Set<string>()
  const retried = new Set<string>()
  let latest: Failure | undefined
  /** True while the latest line of the log says that the target fails. */
  let isAnnounced = false
  /** The batch operation is tried again now and then: one line is enough. */
  let isDenialTold = false

  function facts({ code, message, source }: Failure) {
    return { stream, region, roleArn, code, source, reason: message, waiting: waiting() }
  }

  function clear(): void {
    for (const code of failing) metrics.destinationsFailing.remove({ stream, code })
    failing.clear()
  }

  return {
    latest: () => latest,
    failed(failure) {
      latest = failure
      const { code } = failure
      if (classify(failure) === 'passing') {
        log.warn(code, facts(failure), `calls to ${failure.source} fail; they are tried again`)
        return
      }
      failing.add(code)
      metrics.destinationsFailing.set({ stream, code }, 1)
      const shown = { ...facts(failure), advice: adviceOn(failure) }
      const isWritten = log.error(code, shown, 'records wait: their target cannot be written to')
      isAnnounced ||= isWritten
    },
    retried(failedByCode) {
      for (const [code, count] of failedByCode) {
        retried.add(code)
        metrics.recordsRetried.inc({ stream, code }, count)
      }
    },
    throttled(shardIds) {
      if (shardIds.length === 0) return
      const shards = shardIds.slice(0, shardsNamedMax)
      log.warn(
        'shards',
        { stream, region, shards, throttledShards: shardIds.length, waiting: waiting() },
        'shards are throttled: their records wait, those of other shards go on',
      )
    },
    batchDenied() {
      if (isDenialTold) return
      isDenialTold = true
      logger.info({ stream, roleArn }, 'role denies the batch operation: one record a call')
    },
    recovered() {
      latest = undefined
      clear()
      if (isAnnounced) logger.info({ stream, region, roleArn }, 'the target is written to again')
      isAnnounced = false
    },
    ended: clear,
    gone() {
      clear()
      for (const code of retried) metrics.recordsRetried.remove({ stream, code })
      retried.clear()
    },
  }
}
