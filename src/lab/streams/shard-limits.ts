/**
 * The throughput limits of one shard, as on AWS (Kinesis Developer Guide, "Quotas and limits").
 *
 * Four token buckets, each with a capacity of one second: records and bytes written, GetRecords
 * calls and bytes read. Two rules go beyond a plain bucket:
 * - a record larger than the bucket is accepted by a full bucket, which is in debt afterwards: AWS
 *   grants this burst to large records, while the average stays 1 MiB/s;
 * - the size of a GetRecords response is not known before, so reads may run into debt too. Reads
 *   are refused then until the bucket is full again: after 10 MiB for 5 seconds, as the API
 *   Reference says.
 */
export interface ShardLimits {
  /**
   * Takes tokens for one record.
   *
   * @param sizeBytes the bytes of data and partition key
   * @returns false when the record is throttled; no tokens are taken then
   */
  takeWrite(sizeBytes: number, nowMs: number): boolean
  /** Takes a token for one GetRecords; false when it is throttled, and no token is taken. */
  takeRead(nowMs: number): boolean
  /** Takes tokens for the bytes that a GetRecords returned. */
  spendRead(sizeBytes: number, nowMs: number): void
}

/** Which limits apply. */
export interface LimitSwitches {
  /** 1000 records/s and 1 MiB/s. */
  readonly writes: boolean
  /** 5 GetRecords/s and 2 MiB/s. */
  readonly reads: boolean
  /** 2 MiB/s for each consumer, and 5 seconds from one SubscribeToShard to the next. */
  readonly fanOut: boolean
}

export const noLimits: LimitSwitches = Object.freeze({ writes: false, reads: false, fanOut: false })
export const allLimits: LimitSwitches = Object.freeze({ writes: true, reads: true, fanOut: true })

/** The throughput limit of one subscription: 2 MiB/s, with bursts of one second. */
export interface FanOutLimit {
  /** How long to wait for tokens; 0 when there are some. */
  waitMs(nowMs: number): number
  /** Takes tokens for sent bytes; the bucket may be in debt afterwards. */
  spend(sizeBytes: number, nowMs: number): void
}

const writtenRecordsPerSecond = 1_000
const writtenBytesPerSecond = 1024 * 1024
const readCallsPerSecond = 5
const readBytesPerSecond = 2 * 1024 * 1024
const fanOutBytesPerSecond = 2 * 1024 * 1024

export function createShardLimits(switches: LimitSwitches): ShardLimits {
  const writes = switches.writes ? createWriteLimits() : unlimited
  const reads = switches.reads ? createReadLimits() : unlimited
  return { takeWrite: writes.takeWrite, takeRead: reads.takeRead, spendRead: reads.spendRead }
}

export function createFanOutLimit(switches: LimitSwitches): FanOutLimit {
  if (!switches.fanOut) return { waitMs: () => 0, spend: () => undefined }
  const bytes = createBucket(fanOutBytesPerSecond)
  return {
    waitMs(nowMs) {
      const level = bytes.level(nowMs)
      return level > 0 ? 0 : Math.ceil(((1 - level) * 1000) / fanOutBytesPerSecond)
    },
    spend(sizeBytes, nowMs) {
      bytes.level(nowMs)
      bytes.spend(sizeBytes)
    },
  }
}

const unlimited: ShardLimits = Object.freeze({
  takeWrite: () => true,
  takeRead: () => true,
  spendRead: () => undefined,
})

function createWriteLimits(): Pick<ShardLimits, 'takeWrite'> {
  const records = createBucket(writtenRecordsPerSecond)
  const bytes = createBucket(writtenBytesPerSecond)
  return {
    takeWrite(sizeBytes, nowMs) {
      const wantedBytes = Math.min(sizeBytes, writtenBytesPerSecond)
      if (records.level(nowMs) < 1 || bytes.level(nowMs) < wantedBytes) return false
      records.spend(1)
      bytes.spend(sizeBytes)
      return true
    },
  }
}

function createReadLimits(): Pick<ShardLimits, 'takeRead' | 'spendRead'> {
  const calls = createBucket(readCallsPerSecond)
  const bytes = createBucket(readBytesPerSecond)
  let isShut = false
  return {
    takeRead(nowMs) {
      const levelBytes = bytes.level(nowMs)
      if (levelBytes >= readBytesPerSecond) isShut = false
      if (isShut || levelBytes <= 0 || calls.level(nowMs) < 1) return false
      calls.spend(1)
      return true
    },
    spendRead(sizeBytes, nowMs) {
      isShut ||= bytes.level(nowMs) < sizeBytes
      bytes.spend(sizeBytes)
    },
  }
}

interface Bucket {
  /** The current number of tokens; negative while the bucket is in debt. */
  level(nowMs: number): number
  /** Takes tokens. Call `level` first. */
  spend(count: number): void
}

/** A bucket with a capacity of one second, full at the start. */
function createBucket(perSecond: number): Bucket {
  let level = perSecond
  let filledMs = 0
  return {
    level(nowMs) {
      // A clock that goes back adds no tokens.
      const elapsedMs = Math.max(0, nowMs - filledMs)
      level = Math.min(perSecond, level + (elapsedMs * perSecond) / 1000)
      filledMs = nowMs
      return level
    },
    spend(count) {
      level -= count
    },
  }
}
