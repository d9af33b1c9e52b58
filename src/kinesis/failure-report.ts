import type { Clock } from '../clock.ts'
import type { Destination } from '../outbox/outbox.ts'
import type { Logger, Metrics } from '../telemetry.ts'
import type { Failure } from './kinesis-calls.ts'
import { adviceOn, classify } from './retry.ts'

/** Says that a destination fails: in the metric at once, in the log once a minute a code. */
export interface FailureReport {
  /** `waiting`: how many records of the destination are not delivered. */
  failed(failure: Failure, waiting: () => number): void
  /** A record is refused for what it is; it is tried again, but holds nothing back. */
  refused(failure: Failure, sequence: number, waiting: () => number): void
  recovered(): void
}

export interface FailureReportDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'destinationsFailing'>
}

const logIntervalMs = 60_000

export function createFailureReport(
  { clock, logger, metrics }: FailureReportDependencies,
  destination: Destination,
): FailureReport {
  const { streamName: stream, region, roleArn } = destination
  const loggedAtMs = new Map<string, number>()
  let failing = new Set<string>()

  function due(code: string): boolean {
    const nowMs = clock.nowMs()
    if (nowMs - (loggedAtMs.get(code) ?? -Infinity) < logIntervalMs) return false
    loggedAtMs.set(code, nowMs)
    return true
  }

  function facts({ code, message, source }: Failure, waiting: () => number) {
    return { stream, region, roleArn, code, source, reason: message, waiting: waiting() }
  }

  return Object.freeze({
    failed(failure: Failure, waiting: () => number) {
      const { code } = failure
      if (classify(failure) === 'passing') {
        if (!due(code)) return
        logger.warn(facts(failure, waiting), 'calls to Kinesis fail; they are tried again')
        return
      }
      failing.add(code)
      metrics.destinationsFailing.set({ stream, code }, 1)
      if (!due(code)) return
      logger.error(
        { ...facts(failure, waiting), advice: adviceOn(failure) },
        'records wait: the stream cannot be written to',
      )
    },
    refused(failure: Failure, sequence: number, waiting: () => number) {
      if (!due(`refused ${failure.code}`)) return
      logger.error(
        { ...facts(failure, waiting), sequence },
        'Kinesis refuses a record; it stays in the outbox, others of its key go on',
      )
    },
    recovered() {
      if (failing.size === 0) return
      for (const code of failing) {
        metrics.destinationsFailing.remove({ stream, code })
        loggedAtMs.delete(code)
      }
      logger.info(
        { stream, region, roleArn, codes: [...failing] },
        'the stream is written to again',
      )
      failing = new Set()
    },
  })
}
