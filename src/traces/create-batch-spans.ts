import { SpanKind } from '@opentelemetry/api'
import type { SpanContext, Tracer } from '@opentelemetry/api'
import type { BoundedMap } from '../base/bounded-map.ts'
import { positionKey } from './create-record-spans.ts'
import type { BatchSpans, TracedBatch } from './message-traces.ts'
import { contextWith, endSpan, startSharedSpan } from './span-contexts.ts'

interface BatchSpansDependencies {
  readonly tracer: Tracer
  /** The contexts of records in streams, by `positionKey`. */
  readonly positions: Pick<BoundedMap<string, SpanContext>, 'get' | 'size'>
}

/** Makes the spans of functions that event source mappings invoke. */
export function createBatchSpans({ tracer, positions }: BatchSpansDependencies): BatchSpans {
  return {
    invocation(batch) {
      if (positions.size === 0) return undefined
      const contexts = batch.sequenceNumbers.flatMap(
        (sequenceNumber) => positions.get(positionKey(batch.streamName, sequenceNumber)) ?? [],
      )
      if (contexts.length === 0) return undefined
      const attributes = processAttributes(batch)
      const spans = contexts.map((context) =>
        tracer.startSpan(
          `process ${batch.streamName}`,
          { kind: SpanKind.CONSUMER, attributes },
          contextWith(context),
        ),
      )
      const name = `invoke ${batch.functionName}`
      const invoke = startSharedSpan(tracer, name, invokeAttributes(batch), spans)
      return (failure) => {
        for (const span of [invoke, ...spans]) endSpan(span, failure)
      }
    },
  }
}

const processAttributes = ({ streamName, shardId, mapping }: TracedBatch) => ({
  'messaging.system': 'aws_kinesis',
  'messaging.operation.name': 'process',
  'messaging.operation.type': 'process',
  'messaging.destination.name': streamName,
  'messaging.destination.partition.id': shardId,
  'messaging.consumer.group.name': mapping,
  'aws.kinesis.stream_name': streamName,
})

const invokeAttributes = ({ functionName, sequenceNumbers }: TracedBatch) => ({
  'faas.invoked_name': functionName,
  'faas.invoked_provider': 'aws',
  'faas.trigger': 'pubsub',
  'messaging.batch.message_count': sequenceNumbers.length,
})
