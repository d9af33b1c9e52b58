import { SluiceError } from '../base/errors.ts'
import type { traceVariables } from './trace-variables.ts'
import type { ValuesOf } from './variable.ts'

type TraceVariables = ValuesOf<typeof traceVariables>

/** Where traces are sent, and which messages are traced. */
export interface TraceConfig {
  /** The whole URL of the receiver. */
  readonly url: string
  readonly protocol: TraceVariables['OTEL_EXPORTER_OTLP_PROTOCOL']
  readonly sampler: TraceVariables['OTEL_TRACES_SAMPLER']
  /** Of the messages, from 0 to 1. */
  readonly ratio: number
}

/**
 * @returns undefined when no traces are made
 * @throws SluiceError ConfigInvalid
 */
export function traceConfigOf(read: TraceVariables): TraceConfig | undefined {
  if (read.OTEL_SDK_DISABLED === 'true') return undefined
  const url = urlOf(read)
  if (url === undefined) return undefined
  return {
    url,
    protocol: read.OTEL_EXPORTER_OTLP_PROTOCOL,
    sampler: read.OTEL_TRACES_SAMPLER,
    ratio: Number(read.OTEL_TRACES_SAMPLER_ARG),
  }
}

function urlOf(read: TraceVariables): string | undefined {
  const whole = read.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  if (whole !== undefined) return checked('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', whole)
  const base = read.OTEL_EXPORTER_OTLP_ENDPOINT
  if (base === undefined) return undefined
  return `${checked('OTEL_EXPORTER_OTLP_ENDPOINT', base).replace(/\/+$/, '')}/v1/traces`
}

function checked(name: keyof TraceVariables, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text
  throw new SluiceError(
    'ConfigInvalid',
    `${name}=${text} is not usable: it must be a URL such as http://localhost:4318`,
  )
}
