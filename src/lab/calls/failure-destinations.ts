import { randomUUID } from 'node:crypto'
import { encodeServiceCall, shownCall } from '../../aws/call/service-call.ts'
import type { ServiceCall } from '../../aws/call/service-call.ts'
import type { CallRecord, ServiceSender } from '../../aws/call/service-sender.ts'
import type { Clock } from '../../base/clock.ts'
import type { FailureToSend, SendFailure } from '../../event-source/invocation-context.ts'
import type { ServiceKind } from '../../outbox/outbox.ts'
import type { Redaction } from '../../redaction/redaction.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { EndpointSenders } from './endpoint-senders.ts'
import type { RecordedCalls } from './recorded-calls.ts'

interface FailureDestinationDependencies {
  readonly calls: Pick<RecordedCalls, 'add'>
  readonly emulators: Pick<EndpointSenders, 'senderFor'>
  /** Absent: calls are recorded as they would be made. */
  readonly redaction?: Redaction | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** Pauses between the attempts of a call to an emulator. */
const pausesMs = [1_000, 4_000]

/**
 * Sends on-failure documents of event source mappings as Lambda does: to a queue of SQS, a topic of
 * SNS or a bucket of S3. An emulator gets them where there is one, and the call is recorded where
 * there is none. The file of failures has each document, so that one which no emulator takes is
 * logged after a few attempts and holds nothing up.
 */
export function createFailureDestinations(
  { calls, emulators, redaction, clock, logger }: FailureDestinationDependencies,
  { region: ownRegion }: { readonly region: string },
): SendFailure {
  const log = createLimitedLog({ logger, clock })

  function record(failure: FailureToSend, kind: ServiceKind, { call, data }: Sent): void {
    const { mapping, destination } = failure
    const at = new Date(clock.wallMs()).toISOString()
    const shown = shownCall(call, data, redaction?.of())
    calls.add({ at, mapping, kind, ...shown })
    log.warnOnce(
      mapping,
      { mapping, destination, kind, operation: shown.operation },
      'the lab recorded a call to an on-failure destination instead of making it: ' +
        'GET /v1/lab/calls shows it',
    )
  }

  async function send(
    { mapping, destination }: FailureToSend,
    sender: ServiceSender<CallRecord>,
    sent: Sent,
    signal: AbortSignal,
  ): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const reason = await problemOf(sender, sent, signal)
      if (reason === undefined) return
      log.error(
        mapping,
        { mapping, destination, reason },
        'an on-failure document did not reach its destination; the file of failures has it',
      )
      const pauseMs = pausesMs[attempt]
      if (pauseMs === undefined) return
      await clock.sleep(pauseMs, signal)
    }
  }

  return async (failure, signal) => {
    const found = callOf(failure, clock.wallMs())
    if (found === undefined) return
    const { kind, region = ownRegion, call, target } = found
    const data = Buffer.from(JSON.stringify(failure.document))
    const sent = { call: encodeServiceCall(call), data }
    const sender = emulators.senderFor({ kind, region, target })
    if (sender === undefined) record(failure, kind, sent)
    else await send(failure, sender, sent, signal)
  }
}

/** Why a call did not succeed; undefined when it did. */
async function problemOf(
  sender: ServiceSender<CallRecord>,
  sent: Sent,
  signal: AbortSignal,
): Promise<string | undefined> {
  const outcome = await sender.send([sent], signal)
  const [result] = outcome.answered ? outcome.records : [{ ok: false, ...outcome } as const]
  if (result === undefined || result.ok) return undefined
  return `${result.failure.code}: ${result.failure.message}`
}

type Sent = CallRecord & { readonly call: string }

interface DestinationCall {
  readonly kind: ServiceKind
  readonly region?: string | undefined
  readonly target: string
  readonly call: ServiceCall
}

/**
 * The call that Lambda makes (Lambda Developer Guide, "Retain discarded batch records"); undefined
 * for a destination of another service.
 */
function callOf(failure: FailureToSend, nowMs: number): DestinationCall | undefined {
  const { destination } = failure
  const [, partition, service = '', region, account, ...rest] = destination.split(':')
  const name = rest.join(':')
  switch (service) {
    case 'sqs': {
      const domain = partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com'
      const QueueUrl = `https://sqs.${region}.${domain}/${account}/${name}`
      const body = { member: 'MessageBody', as: 'text' } as const
      const call = { operation: 'SendMessage', parameters: { QueueUrl }, body }
      return { kind: 'sqs', region, target: QueueUrl, call }
    }
    case 'sns': {
      const body = { member: 'Message', as: 'text' } as const
      const call = { operation: 'Publish', parameters: { TopicArn: destination }, body }
      return { kind: 'sns', region, target: destination, call }
    }
    case 's3': {
      const body = { member: 'Body', as: 'bytes' } as const
      const parameters = { Bucket: name, Key: objectKey(failure, nowMs) }
      return { kind: 's3', target: name, call: { operation: 'PutObject', parameters, body } }
    }
    default:
      return undefined
  }
}

/** `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random UUID>`, in UTC. */
function objectKey({ mapping, shardId }: FailureToSend, nowMs: number): string {
  const time = new Date(nowMs).toISOString()
  const day = time.slice(0, 10)
  const second = time.slice(0, 19).replaceAll(':', '.')
  return `aws/lambda/${mapping}/${shardId}/${day.replaceAll('-', '/')}/${second}-${randomUUID()}`
}
