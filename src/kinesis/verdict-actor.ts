import type { Clock } from '../clock.ts'
import { roleArnOf } from '../outbox/outbox.ts'
import type { Outbox, QueuedDestination } from '../outbox/outbox.ts'
import type { Logger, Metrics } from '../telemetry.ts'
import type { Outgoing, Returned, SendQueue } from './batch.ts'
import type { FailureReport } from './failure-report.ts'
import type { Gate } from './gate.ts'
import type { MissingStream } from './missing-stream.ts'
import type { RefusedRecords } from './refused-records.ts'
import { classify, retryDelayMs } from './retry.ts'
import type { Verdict } from './verdict.ts'

export interface VerdictActorParts {
  readonly queued: QueuedDestination
  readonly outbox: Pick<Outbox, 'settle' | 'destinations'>
  readonly queue: SendQueue
  readonly gate: Gate
  readonly refused: RefusedRecords
  readonly report: FailureReport
  readonly missingStream: MissingStream
  readonly metrics: Pick<Metrics, 'recordsRetried'>
  readonly logger: Logger
  readonly clock: Clock
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
  /** Called after records were delivered. */
  readonly onDelivered: () => void
}

/** Carries out the verdict on a call that was begun in a round of the gate. */
export type VerdictActor = (
  verdict: Verdict<Outgoing>,
  taken: readonly Outgoing[],
  round: number,
) => void

/** Carries out verdicts: settles, returns to the queue, moves the gate, says what is wrong. */
export function createVerdictActor(parts: VerdictActorParts): VerdictActor {
  const { queued, outbox, queue, gate, report, missingStream, metrics, logger } = parts
  const { streamName } = queued.destination
  const roleArn = roleArnOf(queued.destination)

  const waiting = () => outbox.destinations().find(({ id }) => id === queued.id)?.records ?? 0

  function settle(delivered: readonly Outgoing[]): void {
    const records = delivered.map(({ record }) => record)
    outbox.settle(queued.id, records)
    report.recovered()
    missingStream.found()
    parts.onDelivered()
  }

  function setAside(verdict: Verdict<Outgoing>): void {
    for (const { record, attempts } of verdict.refused) {
      const { sequence } = record
      const dueMs = dueMsAfter(parts, 'record', attempts + 1)
      parts.refused.add({ sequence, attempts: attempts + 1, dueMs })
      if (verdict.failure) report.refused(verdict.failure, sequence, waiting)
    }
  }

  return (verdict, taken, round) => {
    const { delivered, failedByCode, destinationFailure } = verdict
    queue.release(taken, returnedBy(verdict, parts))
    setAside(verdict)
    for (const [code, count] of failedByCode) {
      metrics.recordsRetried.inc({ stream: streamName, code }, count)
    }
    if (verdict.putRecordsDenied) {
      logger.info({ stream: streamName, roleArn }, 'role allows PutRecord only: one record a call')
    }
    if (destinationFailure === undefined) gate.answered()
    else {
      gate.failed(round, classify(destinationFailure))
      if (!missingStream.make(destinationFailure)) report.failed(destinationFailure, waiting)
    }
    if (delivered.length > 0) settle(delivered)
  }
}

/** What of a call is to be sent again, in the order of the outbox. */
function returnedBy(verdict: Verdict<Outgoing>, parts: VerdictActorParts): Returned[] {
  const dueMsByAttempts = new Map<number, number>()
  const backedOff = verdict.backedOff.map(({ record, attempts, alone }) => {
    // One delay for all that failed equally often: their lanes wake together and share a call.
    const dueMs = dueMsByAttempts.get(attempts) ?? dueMsAfter(parts, 'passing', attempts + 1)
    dueMsByAttempts.set(attempts, dueMs)
    return { record, attempts: attempts + 1, alone, dueMs }
  })
  const again = verdict.again.map((outgoing) => ({ ...outgoing, dueMs: 0 }))
  const alone = verdict.alone.map((outgoing) => ({ ...outgoing, alone: true, dueMs: 0 }))
  return [...backedOff, ...again, ...alone].toSorted(
    (left, right) => left.record.sequence - right.record.sequence,
  )
}

function dueMsAfter(
  { clock, random }: VerdictActorParts,
  failureClass: 'passing' | 'record',
  attempts: number,
): number {
  return clock.nowMs() + Math.ceil(retryDelayMs(failureClass, attempts, random()))
}
