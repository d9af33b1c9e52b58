/** The settings of a mapping, in Lambda's names and units, completed with Lambda's defaults. */
export interface MappingSettings {
  readonly FunctionName: string
  /** The ARN of a stream, or of a consumer that is registered with it. */
  readonly EventSourceArn: string
  readonly Enabled: boolean
  readonly BatchSize: number
  readonly MaximumBatchingWindowInSeconds: number
  readonly StartingPosition: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP'
  /** Epoch seconds. */
  readonly StartingPositionTimestamp?: number | undefined
  readonly ParallelizationFactor: number
  readonly BisectBatchOnFunctionError: boolean
  /** -1 retries until the records expire. */
  readonly MaximumRetryAttempts: number
  /** -1 allows any age. */
  readonly MaximumRecordAgeInSeconds: number
  /** 0 turns windows off. */
  readonly TumblingWindowInSeconds: number
  readonly FunctionResponseTypes: readonly 'ReportBatchItemFailures'[]
  readonly DestinationConfig?: { readonly OnFailure?: { readonly Destination?: string } }
  readonly FilterCriteria?: { readonly Filters?: readonly { readonly Pattern?: string }[] }
  /** Kept and given back: Sluice encrypts no filters, and counts for all mappings. */
  readonly KMSKeyArn?: string | undefined
  readonly MetricsConfig?: { readonly Metrics?: readonly string[] }
}

/** The parts of the ARN of a stream or a consumer. */
export interface EventSource {
  readonly streamArn: string
  readonly streamName: string
  readonly region: string
  readonly consumerArn?: string | undefined
}

const arnFormat =
  /^(?<streamArn>arn:aws[a-z-]*:kinesis:(?<region>[a-z0-9-]+):\d{12}:stream\/(?<streamName>[a-zA-Z0-9_.-]{1,128}))(?<consumer>\/consumer\/[a-zA-Z0-9_.-]{1,128}:\d+)?$/

/** @returns undefined for a text that is not an ARN of Kinesis */
export function parseEventSource(arn: string): EventSource | undefined {
  const { streamArn, streamName, region, consumer } = arnFormat.exec(arn)?.groups ?? {}
  if (streamArn === undefined || streamName === undefined || region === undefined) return undefined
  const consumerArn = consumer === undefined ? undefined : arn
  return { streamArn, streamName, region, consumerArn }
}
