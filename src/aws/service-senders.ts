import type { ServiceKind } from '../outbox/outbox.ts'
import { endpointMissing, failureOf, senderMissing } from './call/failure-class.ts'
import type { Service } from './call/service-failures.ts'
import type { SenderOptions } from './senders/sender.ts'
import type { CallRecord, ServiceSender } from './call/service-sender.ts'

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
  /** Why there is nothing to call at AWS: calls go to the server that its own variable names. */
  readonly ended?: string | undefined
  readonly load: () => Promise<(options: SenderOptions) => ServiceSender<CallRecord>['send']>
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
  http: {
    service: 'HTTP',
    // A destination whose action does not batch takes one record in a call by its settings.
    recordsMax: 10,
    bytesMax: 8 * mebibyte,
    operation: 'POST',
    load: async () => (await import('./senders/http.ts')).createHttpSend,
  },
  influxDB: {
    service: 'InfluxDB',
    recordsMax: 500,
    bytesMax: 4 * mebibyte,
    operation: 'Write',
    isServerOfRecords: true,
    load: async () => (await import('./senders/influxdb.ts')).createInfluxdbSend,
  },
  iotAnalytics: {
    service: 'IoT Analytics',
    ...one,
    operation: 'BatchPutMessage',
    ended: 'AWS ended AWS IoT Analytics on 15 December 2025',
    load: async () => (await import('./senders/iot-messages.ts')).createIotAnalyticsSend,
  },
  iotEvents: {
    service: 'IoT Events',
    ...one,
    operation: 'BatchPutMessage',
    ended: 'AWS ended AWS IoT Events on 20 May 2026',
    load: async () => (await import('./senders/iot-messages.ts')).createIotEventsSend,
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
  salesforce: {
    service: 'Salesforce',
    ...one,
    operation: 'POST',
    ended: 'the request that this legacy action makes is documented nowhere',
    load: async () => (await import('./senders/salesforce.ts')).createSalesforceSend,
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

/** @throws Error named `EndpointMissing` for a service that AWS has ended (rejects) */
async function endpointOf(kind: ServiceKind): Promise<string | undefined> {
  const { service, isServerOfRecords: isOfRecords, ended } = callings[kind] ?? {}
  if (service === undefined || isOfRecords) return undefined
  const { configuredEndpoint } = await import('./call/configured-endpoint.ts')
  const endpoint = await configuredEndpoint(service, { isOwn: ended !== undefined })
  if (endpoint !== undefined || ended === undefined) return endpoint
  const message = await refusalOfEnded(kind)
  throw Object.assign(new Error(message), { name: endpointMissing })
}

/**
 * Why a rule with an action of this kind is refused, because nothing takes its calls.
 *
 * @returns undefined for a service that is there, or for which the operator has named a server
 * @throws Error when the profile of the SDK cannot be read (rejects)
 */
export async function refusalOfEnded(kind: ServiceKind): Promise<string | undefined> {
  const { service, ended } = callings[kind] ?? {}
  if (service === undefined || ended === undefined) return undefined
  const { configuredEndpoint, endpointVariableOf } = await import('./call/configured-endpoint.ts')
  if ((await configuredEndpoint(service, { isOwn: true })) !== undefined) return undefined
  return `${ended}; ${endpointVariableOf(service)} names a server that takes the calls instead`
}

/** The kinds whose service AWS has ended. */
export const endedKinds = (Object.keys(callings) as ServiceKind[]).filter(
  (kind) => callings[kind]?.ended !== undefined,
)

/**
 * Makes the sender of a destination. Rules with an action of a kind without a sender are refused,
 * but an outbox may hold records of one, such as after a return to an earlier release: their
 * destination then has a condition, and they wait.
 */
export function createServiceSender(
  kind: ServiceKind,
  options: SenderOptions,
): ServiceSender<CallRecord> {
  const calling = callings[kind]
  if (calling === undefined) return withoutSender(kind)
  const { service, recordsMax, bytesMax, operation, batchOperation = operation, load } = calling
  let loading: Promise<ServiceSender<CallRecord>['send']> | undefined

  async function makeClient(): Promise<ServiceSender<CallRecord>['send']> {
    const [create, endpoint] = await Promise.all([load(), options.endpoint ?? endpointOf(kind)])
    return create({ ...options, endpoint })
  }

  return {
    recordsMax,
    bytesMax,
    operationOf: ({ length }) => (length > 1 ? batchOperation : operation),
    async send(records: readonly CallRecord[], signal: AbortSignal) {
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

function withoutSender(kind: string): ServiceSender<CallRecord> {
  const message = `this release of Sluice does not send to ${kind}`
  const failure = { code: senderMissing, message, source: 'Sluice' } as const
  return {
    ...one,
    operationOf: () => 'none',
    send: () => Promise.resolve({ answered: false, failure }),
  }
}
