/** A mapping as it was asked for, in Lambda's names and units, with Lambda's defaults filled in. */
export interface MappingSettings {
  readonly FunctionName: string
  /** Of a stream, or of a consumer that was registered with it. */
  readonly EventSourceArn: string
  readonly Enabled: boolean
  readonly BatchSize: number
  readonly MaximumBatchingWindowInSeconds: number
  readonly StartingPosition: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP'
  /** Epoch seconds. */
  readonly StartingPositionTimestamp?: number
  readonly ParallelizationFactor: number
  readonly BisectBatchOnFunctionError: boolean
  /** -1: as long as the records can be read. */
  readonly MaximumRetryAttempts: number
  /** -1: any age. */
  readonly MaximumRecordAgeInSeconds: number
  /** 0: no windows. */
  readonly TumblingWindowInSeconds: number
  readonly FunctionResponseTypes: readonly 'ReportBatchItemFailures'[]
  readonly DestinationConfig?: { readonly OnFailure?: { readonly Destination?: string } }
  readonly FilterCriteria?: { readonly Filters?: readonly { readonly Pattern?: string }[] }
}

/** A stream or a consumer by its ARN. */
export interface EventSource {
  readonly streamArn: string
  readonly streamName: string
  readonly region: string
  readonly consumerArn?: string
}

const arnFormat =
  /^(?<streamArn>arn:aws[a-z-]*:kinesis:(?<region>[a-z0-9-]+):\d{12}:stream\/(?<streamName>[a-zA-Z0-9_.-]{1,128}))(?<consumer>\/consumer\/[a-zA-Z0-9_.-]{1,128}:\d+)?$/

/** Undefined for what is no ARN of Kinesis. */
export function parseEventSource(arn: string): EventSource | undefined {
  const { streamArn, streamName, region, consumer } = arnFormat.exec(arn)?.groups ?? {}
  if (streamArn === undefined || streamName === undefined || region === undefined) return undefined
  return { streamArn, streamName, region, ...(consumer !== undefined && { consumerArn: arn }) }
}
