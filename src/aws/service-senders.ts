import type { QueuedRecord, ServiceKind } from '../outbox/outbox.ts'
import { failureOf, senderMissing } from './call/failure-class.ts'
import type { Service } from './call/service-failures.ts'
import type { SenderOptions } from './senders/sender.ts'
import type { ServiceSender } from './call/service-sender.ts'

/** How one service is called. Its client is loaded with the first call. */
interface ServiceCalling {
  readonly service: Service
  readonly recordsMax: number
  readonly bytesMax: number
  readonly operation: string
  /** The operation for several records. Absent: there is none. */
  readonly batchOperation?: string | undefined
  /** Records name their server: it is no service of the SDK, which a variable could name. */
  readonly isServerOfRecords?: true | undefined
  readonly load: () => Promise<(options: SenderOptions) => ServiceSender['send']>
}

const mebibyte = 1_024 * 1_024
/** The largest call of a service that takes its records one by one: larger ones it refuses. */
const one = { recordsMax: 1, bytesMax: 8 * mebibyte }

const dynamodb: ServiceCalling = {
  service: 'DynamoDB',
  ...one,
  operation: 'WriteItem',
  load: async () => (await import('./senders/dynamodb.ts')).createDynamodbSend,
}

const openSearch: ServiceCalling = {
  service: 'OpenSearch',
  ...one,
  operation: 'PUT',
  isServerOfRecords: true,
  load: async () => (await import('./senders/open-search.ts')).createOpenSearchSend,
}

/** The kinds that have a sender. */
const callings: { readonly [Kind in ServiceKind]?: ServiceCalling } = {
  cloudwatchAlarm: {
    service: 'CloudWatch',
    ...one,
    operation: 'SetAlarmState',
    load: async () => (await import('./senders/cloudwatch.ts')).createAlarmSend,
  },
  cloudwatchMetric: {
    service: 'CloudWatch',
    recordsMax: 1_000,
    bytesMax: mebibyte,
    operation: 'PutMetricData',
    load: async () => (await import('./senders/cloudwatch.ts')).createMetricSend,
  },
  cloudwatchLogs: {
    service: 'CloudWatch Logs',
    recordsMax: 1_000,
    bytesMax: mebibyte,
    operation: 'PutLogEvents',
    load: async () => (await import('./senders/cloudwatch-logs.ts')).createCloudwatchLogsSend,
  },
  dynamoDB: dynamodb,
  dynamoDBv2: dynamodb,
  elasticsearch: openSearch,
  firehose: {
    service: 'Firehose',
    recordsMax: 500,
    bytesMax: 4 * mebibyte,
    operation: 'PutRecord',
    batchOperation: 'PutRecordBatch',
    load: async () => (await import('./senders/firehose.ts')).createFirehoseSend,
  },
  iotSiteWise: {
    service: 'IoT SiteWise',
    recordsMax: 10,
    bytesMax: mebibyte,
    operation: 'BatchPutAssetPropertyValue',
    load: async () => (await import('./senders/iot-sitewise.ts')).createIotSitewiseSend,
  },
  lambda: {
    service: 'Lambda',
    ...one,
    operation: 'Invoke',
    load: async () => (await import('./senders/lambda.ts')).createLambdaSend,
  },
  location: {
    service: 'Location',
    recordsMax: 10,
    bytesMax: mebibyte,
    operation: 'BatchUpdateDevicePosition',
    load: async () => (await import('./senders/location.ts')).createLocationSend,
  },
  openSearch,
  s3: {
    service: 'S3',
    ...one,
    operation: 'PutObject',
    load: async () => (await import('./senders/s3.ts')).createS3Send,
  },
  sns: {
    service: 'SNS',
    recordsMax: 10,
    bytesMax: 256 * 1_024,
    operation: 'Publish',
    batchOperation: 'PublishBatch',
    load: async () => (await import('./senders/sns.ts')).createSnsSend,
  },
  sqs: {
    service: 'SQS',
    recordsMax: 10,
    bytesMax: mebibyte,
    operation: 'SendMessage',
    batchOperation: 'SendMessageBatch',
    load: async () => (await import('./senders/sqs.ts')).createSqsSend,
  },
  stepFunctions: {
    service: 'Step Functions',
    ...one,
    operation: 'StartExecution',
    load: async () => (await import('./senders/step-functions.ts')).createStepFunctionsSend,
  },
  timestream: {
    service: 'Timestream',
    recordsMax: 100,
    bytesMax: mebibyte,
    operation: 'WriteRecords',
    load: async () => (await import('./senders/timestream.ts')).createTimestreamSend,
  },
}

/** Whether records of this kind can be sent to their service. */
export function hasSender(kind: ServiceKind): boolean {
  return callings[kind] !== undefined
}

/** Whether the records of this kind name the server that they are sent to. */
export function isServerOfRecords(kind: ServiceKind): boolean {
  return callings[kind]?.isServerOfRecords === true
}

/**
 * Makes the sender of a destination. Rules with an action of a kind without a sender are refused,
 * but an outbox may hold records of one, such as after a return to an earlier release: their
 * destination then has a condition, and they wait.
 */
export function createServiceSender(kind: ServiceKind, options: SenderOptions): ServiceSender {
  const calling = callings[kind]
  if (calling === undefined) return withoutSender(kind)
  const { service, recordsMax, bytesMax, operation, batchOperation = operation, load } = calling
  let loading: Promise<ServiceSender['send']> | undefined

  async function makeClient(): Promise<ServiceSender['send']> {
    const [create, { configuredEndpoint }] = await Promise.all([
      load(),
      import('./call/configured-endpoint.ts'),
    ])
    const configured = calling?.isServerOfRecords ? undefined : await configuredEndpoint(service)
    const endpoint = options.endpoint ?? configured
    return create({ ...options, endpoint })
  }

  return {
    recordsMax,
    bytesMax,
    operationOf: ({ length }) => (length > 1 ? batchOperation : operation),
    async send(records: readonly QueuedRecord[], signal: AbortSignal) {
      loading ??= makeClient()
      try {
        const send = await loading
        return await send(records, signal)
      } catch (thrown) {
        // The client could not be made: the next call tries it again.
        loading = undefined
        return { answered: false, failure: failureOf(thrown, service) }
      }
    },
  }
}

function withoutSender(kind: string): ServiceSender {
  const message = `this release of Sluice does not send to ${kind}`
  const failure = { code: senderMissing, message, source: 'Sluice' } as const
  return {
    ...one,
    operationOf: () => 'none',
    send: () => Promise.resolve({ answered: false, failure }),
  }
}
