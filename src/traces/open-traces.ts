import { DiagLogLevel, diag } from '@opentelemetry/api'
import type { SpanContext } from '@opentelemetry/api'
import { ExportResultCode } from '@opentelemetry/core'
import type { ExportResult } from '@opentelemetry/core'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Sampler, SpanExporter } from '@opentelemetry/sdk-trace'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { version } from '../base/version.ts'
import type { TraceConfig } from '../config/trace-config.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { LimitedLog, WarningLog } from '../telemetry/limited-log.ts'
import { createBatchSpans } from './create-batch-spans.ts'
import { createMessageSpans } from './create-message-spans.ts'
import { createRecordSpans } from './create-record-spans.ts'
import type { MessageTraces } from './message-traces.ts'

/**
 * This module loads the SDK of OpenTelemetry, so it is imported only when there is an endpoint. The
 * exporters read the standard variables for headers, compression and certificates.
 *
 * Bounds: the newest `contextsMax` traced messages, and as many records in streams, are followed;
 * `spansMax` spans wait to be sent, and what does not fit is lost, which the log says.
 */
export interface OpenedTraces extends MessageTraces {
  /** Sends what waits, for so long at most. Never rejects. */
  close(options: { readonly timeoutMs: number }): Promise<void>
}

const contextsMax = 10_000
const spansMax = 4_096
const spansPerCallMax = 512
const sendEveryMs = 1_000
/** Of one call, with the tries that follow a refusal. */
const callMs = 10_000

interface TracesDependencies {
  readonly clock: Clock
  readonly logger: WarningLog
}

/** Makes traces, and sends them to an OTLP endpoint. */
export function openTraces(
  { clock, logger }: TracesDependencies,
  config: TraceConfig,
): OpenedTraces {
  const log = createLimitedLog({ clock, logger })
  const exporter = createExporter(config, log)
  const provider = new TracerProvider({
    resource: resourceOf(),
    sampler: samplerOf(config),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: spansMax,
        maxExportBatchSize: spansPerCallMax,
        scheduledDelayMillis: sendEveryMs,
        exportTimeoutMillis: callMs,
      }),
    ],
  })
  logWarnings(log)
  const tracer = provider.getTracer('sluice', version)
  const contexts = createBoundedMap<string, SpanContext>(contextsMax)
  const positions = createBoundedMap<string, SpanContext>(contextsMax)
  return {
    messages: createMessageSpans({ tracer, contexts }),
    records: createRecordSpans({ tracer, contexts, positions, startedAtMs: clock.wallMs() }),
    batches: createBatchSpans({ tracer, positions }),
    async close({ timeoutMs }) {
      const closed = new AbortController()
      const ended = provider.shutdown().catch(() => undefined)
      await Promise.race([ended, clock.sleep(timeoutMs, closed.signal)])
      closed.abort()
      diag.disable()
    },
  }
}

/** Sends spans, and tells in the log what could not be sent: nothing waits for it. */
function createExporter({ url, protocol }: TraceConfig, log: LimitedLog): SpanExporter {
  const options = { url, timeoutMillis: callMs }
  const exporter =
    protocol === 'http/json' ? new JsonExporter(options) : new ProtobufExporter(options)
  return {
    export(spans, done) {
      exporter.export(spans, (result: ExportResult) => {
        if (result.code === ExportResultCode.FAILED) {
          const reason = result.error?.message ?? 'unknown'
          const fields = { url, spans: spans.length, reason }
          log.warn('export', fields, 'spans could not be sent to the OTLP endpoint, and are lost')
        }
        done({ code: ExportResultCode.SUCCESS })
      })
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}

const ignore = () => undefined

/** What the packages of OpenTelemetry would print, such as how many spans did not fit the queue. */
function logWarnings(log: LimitedLog): void {
  const warn = (text: string) => void log.warn(text.replaceAll(/\d+/g, '0'), {}, text)
  diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}

/** What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say comes first. */
function resourceOf() {
  const own = resourceFromAttributes({ 'service.name': 'sluice', 'service.version': version })
  return own.merge(detectResources({ detectors: [envDetector] }))
}

function samplerOf({ sampler, ratio }: TraceConfig): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio)
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
    default:
      return sampler satisfies never
  }
}
