import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api'
import type { BoundedMap } from '../base/bounded-map.ts'
import { SluiceError } from '../base/errors.ts'
import type { Message } from '../message.ts'
import type { MessageSpans, MessageTrace, RuleTrace } from './message-traces.ts'
import { endSpan, remoteContext } from './span-contexts.ts'

interface MessageSpansDependencies {
  readonly tracer: Tracer
  /** Gets the context of each traced message, by its id. */
  readonly contexts: BoundedMap<string, SpanContext>
}

/** Makes the spans of messages, of the rules that run on them, and of the disk. */
export function createMessageSpans({ tracer, contexts }: MessageSpansDependencies): MessageSpans {
  /** The rules that republished these messages. */
  const republishing = new WeakMap<Message, Context>()
  /** The spans of messages whose records are not made yet. */
  const open = new WeakMap<Message, Span>()

  const beginRule = (parent: Context, ruleName: string): RuleTrace => {
    const attributes = { 'sluice.rule.name': ruleName }
    const span = tracer.startSpan(`rule ${ruleName}`, { attributes }, parent)
    const context = trace.setSpan(ROOT_CONTEXT, span)
    return {
      republishes: (message) => void republishing.set(message, context),
      ended({ matched, failure }) {
        span.setAttribute('sluice.rule.matched', matched)
        endSpan(span, failure)
      },
    }
  }

  return {
    begin(message, { messageId, filter }): MessageTrace | undefined {
      const ofRule = republishing.get(message)
      const parent = ofRule ?? remoteContext(message.mqtt5?.userProperties)
      const name = filter === undefined ? 'process' : `process ${filter}`
      const span = tracer.startSpan(name, { kind: SpanKind.CONSUMER }, parent)
      if (!span.isRecording()) return undefined
      span.setAttributes({
        ...attributesOf(message),
        'messaging.message.id': messageId,
        'messaging.destination.template': filter,
      })
      contexts.set(messageId, span.spanContext())
      const context = trace.setSpan(ROOT_CONTEXT, span)
      if (ofRule === undefined) open.set(message, span)
      return {
        beginRule: (ruleName) => beginRule(context, ruleName),
        ended() {
          // The records of a republished message belong to the message that arrived.
          if (ofRule !== undefined) span.end()
        },
      }
    },
    appending(message, records, durable) {
      const span = open.get(message)
      if (span === undefined) return
      open.delete(message)
      if (records === 0) {
        span.end()
        return
      }
      const attributes = { 'sluice.outbox.records': records }
      const context = trace.setSpan(ROOT_CONTEXT, span)
      const append = tracer.startSpan('append outbox', { attributes }, context)
      const ended = (failure?: string) => {
        endSpan(append, failure)
        endSpan(span, failure)
      }
      durable.then(
        () => ended(),
        (thrown: unknown) => ended(thrown instanceof SluiceError ? thrown.code : 'unknown'),
      )
    },
  }
}

/** OpenTelemetry's semantic conventions for messaging name these, but those of `sluice`. */
const attributesOf = ({ topic, clientId, payload, qos, transport, republishDepth }: Message) => ({
  'messaging.system': 'mqtt',
  'messaging.operation.name': 'process',
  'messaging.operation.type': 'process',
  'messaging.destination.name': topic,
  'messaging.client.id': clientId,
  'messaging.message.body.size': payload.length,
  'network.protocol.name': transport,
  'sluice.mqtt.qos': qos,
  'sluice.republish_depth': republishDepth,
})
