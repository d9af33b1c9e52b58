import { ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Context, Span, SpanContext, TextMapGetter } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import type { UserProperties } from './message-traces.ts'

const propagator = new W3CTraceContextPropagator()

/**
 * The context that the user properties of a PUBLISH carry, as the headers of W3C Trace Context:
 * `traceparent`, and `tracestate` with it.
 */
export function remoteContext(properties: UserProperties): Context {
  if (properties === undefined) return ROOT_CONTEXT
  return propagator.extract(ROOT_CONTEXT, properties, getter)
}

const getter: TextMapGetter<NonNullable<UserProperties>> = {
  get: (given, key) => given.find(([name]) => name === key)?.[1],
  keys: (given) => given.map(([name]) => name),
}

export const contextWith = (parent: SpanContext): Context =>
  trace.setSpanContext(ROOT_CONTEXT, parent)

/** @param failure a code; absent when all went well */
export function endSpan(span: Span, failure?: string): void {
  if (failure !== undefined) {
    span.setStatus({ code: SpanStatusCode.ERROR })
    span.setAttribute('error.type', failure)
  }
  span.end()
}

/** Spans that have begun, by key: of too many, the oldest ends, because nothing else may end it. */
interface OpenSpans {
  getOrBegin(key: string, begin: () => Span): Span
  end(key: string, failure?: string): void
}

export function createOpenSpans(spansMax: number): OpenSpans {
  const open = new Map<string, Span>()

  function end(key: string, failure?: string): void {
    const span = open.get(key)
    if (span === undefined) return
    open.delete(key)
    endSpan(span, failure)
  }

  return {
    getOrBegin(key, begin) {
      const known = open.get(key)
      if (known !== undefined) return known
      const span = begin()
      open.set(key, span)
      const [oldest] = open.keys()
      if (open.size > spansMax && oldest !== undefined) end(oldest, 'unknown')
      return span
    },
    end,
  }
}
