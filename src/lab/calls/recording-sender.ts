import { shownCall } from '../../aws/call/service-call.ts'
import type { ServiceSender } from '../../aws/call/service-sender.ts'
import type { Clock } from '../../base/clock.ts'
import type { Outbox, QueuedRecord, ServiceDestination } from '../../outbox/outbox.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { RecordedCalls } from './recorded-calls.ts'

interface RecordingDependencies {
  readonly calls: RecordedCalls
  readonly outbox: Pick<Outbox, 'sourceOf'>
  readonly clock: Clock
  readonly logger: Logger
}

/** As many as delivery puts into one call of Kinesis. */
const recordsMax = 500
const bytesMax = 5 * 1_024 * 1_024

/**
 * Makes senders that record each call instead of making it, so that nothing leaves the machine and
 * nothing happens in silence.
 */
export function createRecordingSenders({ calls, outbox, clock, logger }: RecordingDependencies) {
  const log = createLimitedLog({ logger, clock })

  function record({ kind }: ServiceDestination, queued: QueuedRecord): void {
    const { ruleName, actionIndex } = queued
    const { topic, messageId } = outbox.sourceOf(queued)
    const call = shownCall(queued.call ?? '{}', queued.data)
    const at = new Date(clock.wallMs()).toISOString()
    calls.add({ at, ruleName, actionIndex, kind, ...call, topic, messageId })
    log.warnOnce(
      `${ruleName} ${actionIndex}`,
      { rule: ruleName, action: actionIndex, kind, operation: call.operation, topic },
      'the lab recorded a call instead of making it: GET /v1/lab/calls shows it',
    )
  }

  return (destination: ServiceDestination): ServiceSender => ({
    recordsMax,
    bytesMax,
    operationOf: () => 'record',
    send(records: readonly QueuedRecord[]) {
      for (const queued of records) record(destination, queued)
      return Promise.resolve({ answered: true, records: records.map(() => ({ ok: true })) })
    },
  })
}
