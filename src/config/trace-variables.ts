import type { VariableTable } from './variable.ts'

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

/** The variables of traces, most of which OpenTelemetry defines, and of AWS IoT's log. */
export const traceVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    kind: 'text',
    whenUnset: 'no traces are made, and nothing of OpenTelemetry is loaded',
    description: 'URL of an OTLP/HTTP receiver of traces; `/v1/traces` is added to it.',
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    kind: 'text',
    whenUnset: 'the value of `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces`',
    description: 'The whole URL to which traces are sent.',
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    kind: 'choice',
    choices: ['http/protobuf', 'http/json'],
    default: 'http/protobuf',
    description: 'Encoding of the traces that are sent.',
  },
  OTEL_TRACES_SAMPLER: {
    kind: 'choice',
    choices: samplers,
    default: 'parentbased_always_on',
    description: 'Which messages are traced.',
  },
  OTEL_TRACES_SAMPLER_ARG: {
    kind: 'pattern',
    pattern: /^(0|1|0?\.\d+|[01]\.0+)$/,
    form: 'a number from 0 to 1, such as 0.01',
    default: '1',
    description: 'Share of messages that the `traceidratio` samplers trace.',
  },
  OTEL_SERVICE_NAME: {
    kind: 'text',
    whenUnset: '`service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `sluice`',
    description: 'Name of the service that traces show.',
  },
  OTEL_SDK_DISABLED: {
    kind: 'choice',
    choices: ['true', 'false'],
    default: 'false',
    description: '`true` turns traces off, although there is an endpoint.',
  },
  SLUICE_AWS_IOT_LOG: {
    kind: 'choice',
    choices: ['DISABLED', 'ERROR', 'WARN', 'INFO', 'DEBUG'],
    default: 'DISABLED',
    description:
      "Lowest level of AWS IoT's log entries on rules, such as `RuleMatch`, that is written to the log.",
  },
} as const satisfies VariableTable
