import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type {
  Attributes,
  Context,
  Span,
  SpanContext,
  TextMapGetter,
  Tracer,
} from '@opentelemetry/api'
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

/**
 * Begins the span of what several spans share, such as a call: it is in the trace of the first, and
 * is linked with the others in both directions.
 */
export function startSharedSpan(
  tracer: Tracer,
  name: string,
  attributes: Attributes,
  spans: readonly Span[],
): Span {
  const [first, ...others] = spans
  const shared = tracer.startSpan(
    name,
    {
      kind: SpanKind.CLIENT,
      links: others.map((other) => ({ context: other.spanContext() })),
      attributes,
    },
    first && contextWith(first.spanContext()),
  )
  for (const other of others) other.addLink({ context: shared.spanContext() })
  return shared
}

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
