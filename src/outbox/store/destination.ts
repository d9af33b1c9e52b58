import { SluiceError, messageOf } from '../../base/errors.ts'

/**
 * Where records go, and how. Records of one destination share a queue. Two destinations are the
 * same when their `canonicalText` is equal. A record keeps the destination under which it was
 * accepted, even when its rule changes.
 */
export type Destination = StreamDestination | ServiceDestination

interface AnyDestination {
  /** The region of the target; where an ARN names the target, the region in that ARN. */
  readonly region: string
  /** Absent: the SDK chooses, also by its environment variables. */
  readonly endpoint?: string | undefined
  readonly credentials: DestinationCredentials
  readonly settings: DeliverySettings
}

/** A Kinesis stream. */
export interface StreamDestination extends AnyDestination {
  readonly kind: 'kinesis'
  readonly streamName: string
  /** Set when the operator gave the whole ARN: calls then name the stream by its ARN. */
  readonly streamArn?: string | undefined
}

/** The target of any other service: a queue, a table, a function. */
export interface ServiceDestination extends AnyDestination {
  readonly kind: ServiceKind
  /** What identifies the target to its service, such as the URL of a queue. */
  readonly target: string
  /** How the clients of Kafka connect, as the rule has it: with the templates of its secrets. */
  readonly clientProperties?: Readonly<Record<string, string>> | undefined
}

/** The kinds of actions that call a service other than Kinesis, by the names of AWS IoT. */
export type ServiceKind =
  | 'cloudwatchAlarm'
  | 'cloudwatchLogs'
  | 'cloudwatchMetric'
  | 'dynamoDB'
  | 'dynamoDBv2'
  | 'elasticsearch'
  | 'firehose'
  | 'http'
  | 'influxDB'
  | 'iotAnalytics'
  | 'iotEvents'
  | 'iotSiteWise'
  | 'kafka'
  | 'lambda'
  | 'location'
  | 'openSearch'
  | 's3'
  | 'salesforce'
  | 'sns'
  | 'sqs'
  | 'stepFunctions'
  | 'timestream'

/** Whose credentials write: those of the role that the rule names, or those of this process. */
export type DestinationCredentials =
  | { readonly kind: 'role'; readonly roleArn: string; readonly externalId?: string | undefined }
  | { readonly kind: 'process' }

/**
 * The promise about the order of records:
 * - `key`: calls of one partition key never overlap, and nothing later of a key is sent before its
 *   failed record; records of one key in one call that failed in part may change places.
 * - `strict`: one record of a key in a call, so that no two records of a key change places.
 * - `none`: records are sent in any order, and failed ones again as soon as their backoff allows.
 */
export type Ordering = 'key' | 'strict' | 'none'

/** How records are delivered, beyond AWS's rule payload. Complete: defaults are filled in. */
export interface DeliverySettings {
  readonly ordering: Ordering
  readonly batching: {
    /** Records in one call, 1 to 500. */
    readonly count: number
    /** Bytes of data and keys in one call, up to 10 MiB. */
    readonly bytes: number
    /** How long a call that is not full waits for more records; 0 sends it at once. */
    readonly periodMs: number
  }
  /** Calls in flight at a time. */
  readonly maxInFlight: number
  readonly retry: {
    /** Records of this age are given up while the destination refuses everything (retry.ts). */
    readonly maxAgeMs: number
  }
}

/** Records in one call of PutRecords [Kinesis API Reference, PutRecords]. */
export const batchCountMax = 500
/** Bytes in one call of PutRecords, partition keys included. */
export const batchBytesMax = 10 * 1024 * 1024

const hourMs = 3_600_000

/** Used where the operator sets nothing. */
export const deliveryDefaults: DeliverySettings = Object.freeze({
  ordering: 'key',
  // 5 MiB: every region and stream takes a call of this size.
  batching: Object.freeze({ count: batchCountMax, bytes: 5 * 1024 * 1024, periodMs: 0 }),
  // 16 calls in flight hide 30 ms of latency; more calls gain nothing.
  maxInFlight: 16,
  retry: Object.freeze({ maxAgeMs: 24 * hourMs }),
})

/** The role that writes, for the log. Undefined when the process writes as itself. */
export function roleArnOf({ credentials }: Destination): string | undefined {
  return credentials.kind === 'role' ? credentials.roleArn : undefined
}

/** The name of the target, for people: of a stream, a queue, a table. */
export function targetOf(destination: Destination): string {
  if (destination.kind === 'kinesis') return destination.streamName
  // Some services have one target for an account and a region.
  return destination.target || destination.kind
}

/**
 * Identifies a destination: JSON of all its members, in a fixed order. That of a stream has no
 * kind, because streams were the only destinations once.
 */
export function canonicalText(destination: Destination): string {
  const { region, endpoint, credentials } = destination
  const { ordering, batching, maxInFlight, retry } = destination.settings
  const who =
    credentials.kind === 'role'
      ? { kind: 'role', roleArn: credentials.roleArn, externalId: credentials.externalId }
      : { kind: 'process' }
  const { count, bytes, periodMs } = batching
  const settings = {
    ordering,
    batching: { count, bytes, periodMs },
    maxInFlight,
    retry: { maxAgeMs: retry.maxAgeMs },
  }
  const how = { endpoint, credentials: who, settings }
  if (destination.kind === 'kinesis') {
    const { streamName, streamArn } = destination
    return JSON.stringify({ region, streamName, streamArn, ...how })
  }
  const { kind, target, clientProperties } = destination
  return JSON.stringify({ kind, region, target, clientProperties, ...how })
}

/**
 * Reads the destination of a canonical text.
 *
 * @throws SluiceError DataFolderUnusable when the text cannot be read
 */
export function parseDestination(json: string): Destination {
  try {
    const stored = JSON.parse(json) as ServiceDestination | Omit<StreamDestination, 'kind'>
    return deepFreeze('kind' in stored ? stored : { kind: 'kinesis', ...stored })
  } catch (thrown) {
    throw new SluiceError(
      'DataFolderUnusable',
      `The outbox holds a destination that cannot be read: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member as object)
  }
  return Object.freeze(value)
}
