import { SluiceError, messageOf } from '../../base/errors.ts'

/**
 * Where records go, and how. Records of one destination share a queue: two destinations are the
 * same when `canonicalText` is. A record keeps the destination under which it was accepted, even
 * when its rule changes.
 */
export interface Destination {
  /** Of the stream; with a stream ARN, the region of that ARN. */
  readonly region: string
  readonly streamName: string
  /** Set when the operator gave the whole ARN: calls name the stream by it, account and all. */
  readonly streamArn?: string | undefined
  /** Absent: the SDK's own rules, its environment variables among them. */
  readonly endpoint?: string | undefined
  readonly credentials: DestinationCredentials
  readonly settings: DeliverySettings
}

/** Who writes: the role that the rule names, or this process as itself. */
export type DestinationCredentials =
  | { readonly kind: 'role'; readonly roleArn: string; readonly externalId?: string | undefined }
  | { readonly kind: 'process' }

/**
 * What is promised of the order of records:
 * - `key`: calls of one partition key never overlap, and nothing later of a key is sent before its
 *   failed record; records of one key in one call that failed in part may change places.
 * - `strict`: one record of a key in a call, so that no two records of a key change places.
 * - `none`: records go as they come; those that failed go again whenever they may.
 */
export type Ordering = 'key' | 'strict' | 'none'

/** How records are delivered: what AWS's rule has no words for. Complete, defaults filled in. */
export interface DeliverySettings {
  readonly ordering: Ordering
  readonly batching: {
    /** Records in one call, 1 to 500. */
    readonly count: number
    /** Bytes of data and keys in one call, up to 10 MiB. */
    readonly bytes: number
    /** How long a call that is not full waits for further records; 0: not at all. */
    readonly periodMs: number
  }
  /** Calls in flight together. */
  readonly maxInFlight: number
  readonly retry: {
    /** A record as old as this, while the destination refuses all, is given up (retry.ts). */
    readonly maxAgeMs: number
  }
}

/** PutRecords takes so many records [Kinesis API Reference, PutRecords]. */
export const batchCountMax = 500
/** And so many bytes, partition keys counted. */
export const batchBytesMax = 10 * 1024 * 1024

const hourMs = 3_600_000

/** What holds where the operator says nothing. */
export const deliveryDefaults: DeliverySettings = Object.freeze({
  ordering: 'key',
  // 5 MiB: the size of a call that every region and stream takes.
  batching: Object.freeze({ count: batchCountMax, bytes: 5 * 1024 * 1024, periodMs: 0 }),
  // 16 calls in flight hide 30 ms of latency; more gains nothing.
  maxInFlight: 16,
  retry: Object.freeze({ maxAgeMs: 24 * hourMs }),
})

/** The role that writes, for the log; undefined when the process writes as itself. */
export function roleArnOf({ credentials }: Destination): string | undefined {
  return credentials.kind === 'role' ? credentials.roleArn : undefined
}

/** What makes a destination the same one: JSON of all its members, in a fixed order. */
export function canonicalText({
  region,
  streamName,
  streamArn,
  endpoint,
  credentials,
  settings: { ordering, batching, maxInFlight, retry },
}: Destination): string {
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
  return JSON.stringify({ region, streamName, streamArn, endpoint, credentials: who, settings })
}

/**
 * The destination of a canonical text.
 *
 * @throws SluiceError DataFolderUnusable when it is not one
 */
export function parseDestination(json: string): Destination {
  try {
    return deepFreeze(JSON.parse(json) as Destination)
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
