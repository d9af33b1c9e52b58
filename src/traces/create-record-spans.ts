import { SpanKind, TraceFlags, trace } from '@opentelemetry/api'
import type { Attributes, Span, SpanContext, Tracer } from '@opentelemetry/api'
import type { BoundedMap } from '../base/bounded-map.ts'
import type { RecordSpans, TracedCall, TracedDestination, TracedRecord } from './message-traces.ts'
import {
  contextWith,
  createOpenSpans,
  endSpan,
  remoteContext,
  startSharedSpan,
} from './span-contexts.ts'

interface RecordSpansDependencies {
  readonly tracer: Tracer
  /** The contexts of traced messages, by the id of the message. */
  readonly contexts: Pick<BoundedMap<string, SpanContext>, 'get'>
  /** Gets the contexts of records in streams, by `positionKey`. */
  readonly positions: Pick<BoundedMap<string, SpanContext>, 'set'>
  /** Records that were accepted before are those of an earlier process. */
  readonly startedAtMs: number
}

/** Records whose spans wait for their end. */
const openMax = 10_000

/** Tells a record in a stream from all others. */
export const positionKey = (streamName: string, sequenceNumber: string): string =>
  `${streamName}/${sequenceNumber}`

/** Makes the spans of records, from the outbox to the answer of their service, and of calls. */
export function createRecordSpans(dependencies: RecordSpansDependencies): RecordSpans {
  const { tracer, contexts, positions, startedAtMs } = dependencies
  const open = createOpenSpans(openMax)

  /** A record may be sent more than once: its span begins with the first call. */
  const begin = (destination: TracedDestination, record: TracedRecord): Span =>
    open.getOrBegin(record.key, () =>
      tracer.startSpan(
        `create ${destination.name}`,
        {
          kind: SpanKind.PRODUCER,
          startTime: record.acceptedAtMs,
          attributes: {
            ...attributesOf(destination, 'create'),
            'messaging.message.body.size': record.bytes,
            'sluice.rule.name': record.ruleName,
            'sluice.action.index': record.actionIndex,
          },
        },
        contextWith(record.context),
      ),
    )

  return {
    contextOf({ messageId, acceptedAtMs, userProperties }) {
      const known = contexts.get(messageId)
      if (known !== undefined || acceptedAtMs >= startedAtMs) return known
      const remote = trace.getSpanContext(remoteContext(userProperties()))
      return remote !== undefined && isSampled(remote) ? remote : undefined
    },
    call(call, records) {
      const { destination } = call
      const spans = records.map((record) => begin(destination, record))
      const span = beginCall(tracer, call, spans)
      return ({ failure, records: outcomes }) => {
        const refused = outcomes.find(({ ok }) => !ok)
        endSpan(span, failure ?? refused?.failure)
        for (const [index, outcome] of outcomes.entries()) {
          const { ok, shardId, sequenceNumber } = outcome
          const ofRecord = spans[index]
          const record = records[index]
          if (!ok || ofRecord === undefined || record === undefined) continue
          ofRecord.setAttributes(positionAttributes(shardId, sequenceNumber))
          open.end(record.key)
          const context = ofRecord.spanContext()
          if (sequenceNumber === undefined || !isSampled(context)) continue
          positions.set(positionKey(destination.name, sequenceNumber), context)
        }
      }
    },
    givenUp(destination, record, code) {
      begin(destination, record)
      open.end(record.key, code)
    },
  }
}

const isSampled = ({ traceFlags }: SpanContext): boolean => (traceFlags & TraceFlags.SAMPLED) !== 0

function beginCall(tracer: Tracer, call: TracedCall, spans: readonly Span[]): Span {
  const { destination, operation, recordCount } = call
  const attributes = {
    ...attributesOf(destination, 'send'),
    'messaging.batch.message_count': recordCount,
    'rpc.method': operation,
  }
  return startSharedSpan(tracer, `send ${destination.name}`, attributes, spans)
}

/** The values that OpenTelemetry's semantic conventions give; others are the kinds of actions. */
const systems: Readonly<Record<string, string>> = {
  kinesis: 'aws_kinesis',
  sqs: 'aws_sqs',
  sns: 'aws.sns',
}

function attributesOf({ kind, name }: TracedDestination, operation: string): Attributes {
  return {
    'messaging.system': systems[kind] ?? kind,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': name,
    'aws.kinesis.stream_name': kind === 'kinesis' ? name : undefined,
  }
}

const positionAttributes = (shardId?: string, sequenceNumber?: string): Attributes => ({
  'messaging.destination.partition.id': shardId,
  'sluice.kinesis.sequence_number': sequenceNumber,
})
