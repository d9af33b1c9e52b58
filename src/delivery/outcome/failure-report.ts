import type { Clock } from '../../base/clock.ts'
import { roleArnOf } from '../../outbox/outbox.ts'
import type { Destination } from '../../outbox/outbox.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'
import type { Failure } from '../../aws/failure-class.ts'
import { adviceOn, classify } from '../../aws/failure-class.ts'

/** Says that a destination fails: in the metric at once, in the log once a minute a code. */
export interface FailureReport {
  /** `waiting`: how many records of the destination are not delivered. */
  failed(failure: Failure, waiting: () => number): void
  /** @param shardIds of the throttled shards, where shards are known; otherwise nothing is said */
  throttled(shardIds: readonly string[], waiting: () => number): void
  recovered(): void
}

interface FailureReportDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'destinationsFailing'>
}

/** In one line of the log. */
const shardsNamedMax = 10

/** A line a minute for each code, however many records and calls fail meanwhile. */
export function createFailureReport(
  { clock, logger, metrics }: FailureReportDependencies,
  destination: Destination,
): FailureReport {
  const { streamName: stream, region } = destination
  const roleArn = roleArnOf(destination)
  const log = createLimitedLog({ logger, clock })
  const failing = new Set<string>()
  /** The log's last word is that the stream fails. */
  let announced = false

  function facts({ code, message, source }: Failure, waiting: () => number) {
    return { stream, region, roleArn, code, source, reason: message, waiting: waiting() }
  }

  return {
    failed(failure: Failure, waiting: () => number) {
      const { code } = failure
      if (classify(failure) === 'passing') {
        log.warn(code, facts(failure, waiting), 'calls to Kinesis fail; they are tried again')
        return
      }
      failing.add(code)
      metrics.destinationsFailing.set({ stream, code }, 1)
      const written = log.error(
        code,
        { ...facts(failure, waiting), advice: adviceOn(failure) },
        'records wait: the stream cannot be written to',
      )
      announced ||= written
    },
    throttled(shardIds: readonly string[], waiting: () => number) {
      if (shardIds.length === 0) return
      const shards = shardIds.slice(0, shardsNamedMax)
      log.warn(
        'shards',
        { stream, region, shards, throttledShards: shardIds.length, waiting: waiting() },
        'shards are throttled: their records wait, those of other shards go on',
      )
    },
    recovered() {
      for (const code of failing) metrics.destinationsFailing.remove({ stream, code })
      failing.clear()
      if (announced) logger.info({ stream, region, roleArn }, 'the stream is written to again')
      announced = false
    },
  }
}
