/** What `/v1/streams` says. */
export interface Load {
  /** Of the last minute. */
  readonly records: number
  readonly bytes: number
  /** Of its fullest second. */
  readonly recordsInSecondMax?: number
  readonly bytesInSecondMax?: number
}

export interface StreamSummary {
  readonly streamName: string
  readonly streamArn?: string
  readonly region: string
  readonly status?: string
  readonly mode?: string
  readonly closedShards?: number
  readonly openShards?: number
  readonly records?: number
  readonly throttledShards: number
  readonly load: Load
  readonly countedSince?: string
}

export interface Shard {
  readonly shardId: string
  readonly isOpen: boolean
  readonly parentShardIds?: readonly string[]
  readonly startingHashKey?: string
  readonly endingHashKey?: string
  readonly records?: number
  readonly load: Load
  readonly hottestKeys?: readonly {
    readonly partitionKey: string
    readonly records: number
  }[]
  readonly countedRecords?: number
  readonly isThrottled: boolean
  readonly throttledUntil?: string
}

export interface StreamDescription extends StreamSummary {
  readonly isLab: boolean
  readonly shards: readonly Shard[]
}

/** What one shard takes in a second (Kinesis Developer Guide, "Quotas and limits"). */
export const shardLimit = { records: 1_000, bytes: 1_048_576 } as const

const secondsOfLoad = 60

export const perSecond = ({ records, bytes }: Load) => ({
  records: records / secondsOfLoad,
  bytes: bytes / secondsOfLoad,
})

/** The share of the limit that is used, by records or by bytes, whichever is more: 0 to 1. */
export function shareOfLimit(load: Load, shards = 1): number {
  const { records, bytes } = perSecond(load)
  const limit = Math.max(1, shards)
  return Math.min(
    1,
    Math.max(records / (limit * shardLimit.records), bytes / (limit * shardLimit.bytes)),
  )
}
