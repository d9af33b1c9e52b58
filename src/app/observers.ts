import { actionName } from '../actions/error-action.ts'
import type { RecordLog, RecordObservers } from '../delivery/outcome/watch-records.ts'
import { targetOf } from '../outbox/outbox.ts'
import type { Destination, Outbox } from '../outbox/outbox.ts'
import { createAwsIotLog } from '../watch/aws-iot-log.ts'
import type { AwsIotLog } from '../watch/aws-iot-log.ts'
import { createRedaction } from '../redaction/redaction.ts'
import { createMessageWatch } from '../watch/message-watch.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Drain, Stages } from './stages.ts'

/**
 * Opens the observers of messages: watchers, traces and AWS IoT's log. They are opened first, so
 * that they see everything and close last.
 */
export async function openObservers(
  dependencies: AppDependencies,
  stages: Stages,
  drain: Drain,
  accountIdNow: () => string,
) {
  const { config, logger, clock } = dependencies
  const redaction = createRedaction(config.redact)
  const watch = createMessageWatch({ clock, redaction })
  const traces = await openTracesOf(dependencies, stages, drain)
  const level = config.awsIotLog
  const awsIotLog =
    level === 'DISABLED'
      ? undefined
      : createAwsIotLog({ logger, clock, accountIdNow, redaction }, level)
  return {
    ofMessages: { watch, redaction, traces, awsIotLog },
    ofDelivery: {
      redaction,
      observersOf: (outbox: Pick<Outbox, 'sourceOf'>): RecordObservers => ({
        watch,
        recordSpans: traces?.records,
        recordLogOf: awsIotLog && ((destination) => recordLog(awsIotLog, destination, outbox)),
      }),
    },
    batchSpans: traces?.batches,
  }
}

/** The last spans are sent when everything else has stopped, perhaps with no time left. */
const flushMsMin = 500
const flushMsMax = 3_000

/** The SDK of OpenTelemetry is loaded here, when there is an endpoint, and nowhere else. */
async function openTracesOf(
  { config, logger, clock }: AppDependencies,
  stages: Stages,
  drain: Drain,
) {
  const { traces } = config
  if (traces === undefined) return undefined
  const open = async () => {
    const { openTraces } = await import('../traces/open-traces.ts')
    const { url, sampler, ratio } = traces
    logger.info({ url, sampler, ratio }, 'traces are sent to the OTLP endpoint')
    return openTraces({ clock, logger }, traces)
  }
  return stages.open('traces', open, (it) =>
    it.close({ timeoutMs: Math.max(flushMsMin, Math.min(flushMsMax, drain.leftMs())) }),
  )
}

function recordLog(
  log: AwsIotLog,
  destination: Destination,
  outbox: Pick<Outbox, 'sourceOf'>,
): RecordLog {
  const ruleAction = actionName(destination.kind)
  const resources = { [resourceNames[destination.kind] ?? 'Resource']: targetOf(destination) }
  return {
    ended(record, failure) {
      const action = { ruleName: record.ruleName, ruleAction, resources }
      log.ruleExecution(outbox.sourceOf(record), action, failure)
    },
  }
}

/** Names of AWS's APIs: which names AWS's log has for these is not documented. */
const resourceNames: Readonly<Partial<Record<Destination['kind'], string>>> = {
  kinesis: 'StreamName',
  firehose: 'DeliveryStreamName',
  dynamoDB: 'Table',
  dynamoDBv2: 'Table',
  lambda: 'FunctionArn',
  s3: 'Bucket',
  sns: 'TargetArn',
  sqs: 'QueueUrl',
}
