import { shownCall } from '../../aws/call/service-call.ts'
import type { ServiceSender } from '../../aws/call/service-sender.ts'
import type { Clock } from '../../base/clock.ts'
import type { Outbox, QueuedRecord, ServiceDestination } from '../../outbox/outbox.ts'
import type { Redaction } from '../../redaction/redaction.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { RecordedCalls } from './recorded-calls.ts'

export interface RecordingDependencies {
  readonly calls: RecordedCalls
  /** Where the functions of `lambda` actions would be. */
  readonly functionsDir: string
  readonly outbox: Pick<Outbox, 'sourceOf'>
  /** Absent: calls are recorded as they would be made. */
  readonly redaction?: Redaction | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** As many as delivery puts into one call of Kinesis. */
const recordsMax = 500
const bytesMax = 5 * 1_024 * 1_024

/** Makes senders that record each call instead of making it. */
export function createRecordingSenders({
  calls,
  functionsDir,
  outbox,
  redaction,
  clock,
  logger,
}: RecordingDependencies) {
  const log = createLimitedLog({ logger, clock })

  function record({ kind, target }: ServiceDestination, queued: QueuedRecord): void {
    const { ruleName, actionIndex } = queued
    const { topic: sourceTopic, messageId, payload } = outbox.sourceOf(queued)
    const shown = redaction?.of(payload)
    const topic = shown?.text(sourceTopic) ?? sourceTopic
    const call = shownCall(queued.call ?? '{}', queued.data, shown)
    const at = new Date(clock.wallMs()).toISOString()
    calls.add({ at, ruleName, actionIndex, kind, ...call, topic, messageId })
    const advice = kind === 'lambda' ? functionAdvice(target, functionsDir) : ''
    log.warnOnce(
      `${ruleName} ${actionIndex}`,
      { rule: ruleName, action: actionIndex, kind, operation: call.operation, topic },
      `the lab recorded a call instead of making it: GET /v1/lab/calls shows it${advice}`,
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

/** Where to put a function, so that it is invoked. */
function functionAdvice(functionArn: string, functionsDir: string): string {
  const name = functionArn.split(':')[6] ?? functionArn
  return `; to run the function, put ${name}.mjs, which exports \`handler\`, into ${functionsDir}`
}
