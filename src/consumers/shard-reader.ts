import type { Clock } from '../base/clock.ts'
import type { WarningLog } from '../telemetry/limited-log.ts'
import { createRetryBackoff, isRetryable, isThrottling } from './retry-backoff.ts'
import type { RetryBackoffOptions } from './retry-backoff.ts'

/** Where reading of a shard begins. */
export type ShardPosition =
  | { readonly type: 'TRIM_HORIZON' }
  /**
   * The tip at the moment of the first attempt. Every further attempt reads from `retryFromMs`, in
   * epoch milliseconds, so that records which arrive during an outage are not skipped.
   */
  | {
      readonly type: 'LATEST'
      readonly retryFromMs: number
      /** Called when the first attempt has the tip or has failed: later records are not skipped. */
      readonly onTaken?: (() => void) | undefined
    }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMs: number }
  | {
      readonly type: 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER'
      readonly sequenceNumber: string
    }

/** Where an application without checkpoints begins. */
export type StartPosition =
  | { readonly type: 'TRIM_HORIZON' }
  | { readonly type: 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMs: number }

/** A record as it is stored in a shard. */
export interface KinesisRecord {
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly data: Buffer
  /** Epoch milliseconds. */
  readonly approximateArrivalMs: number
}

/** A shard and its parents. */
export interface ShardDescription {
  readonly shardId: string
  /** One parent after a split, two after a merge, none for the first shards of a stream. */
  readonly parentIds: readonly string[]
  /** Both ends of the range belong to the shard. */
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  /** A closed shard receives no new records. */
  readonly isClosed: boolean
}

/** The result of one read of a shard: records in order, possibly none. */
export interface ShardRead {
  readonly records: readonly KinesisRecord[]
  /** How far behind the tip of the shard the last record is, in milliseconds. */
  readonly millisBehindLatest: number
  /**
   * Epoch milliseconds of the service. At the tip, every record that arrived before this time has
   * been read.
   */
  readonly asOfMs: number
  /** The same moment by the monotonic clock. */
  readonly readMs: number
  /** Set when the shard is closed and read to its end; its children, if the service named them. */
  readonly end?: undefined | { readonly children: readonly ShardDescription[] }
}

/** Reads shards: by polling, or by enhanced fan-out. */
export interface ShardReader {
  /**
   * Reads a shard from a position on. The next read begins when it is asked for, so a slow caller
   * holds the reading back. The reader waits out throttling and faults of the service or network,
   * and renews iterators and subscriptions that expire.
   *
   * @returns reads until the end of the shard, the last one with `end`; ends without it when
   *   `signal` aborts
   * @throws errors of the client that are not retryable
   */
  read(shardId: string, from: ShardPosition, signal: AbortSignal): AsyncGenerator<ShardRead, void>
}

/** A read, and the position behind it if that is known: the next attempt begins there. */
interface PositionedRead {
  readonly read: ShardRead
  readonly position?: ShardPosition | undefined
}

/**
 * One way of reading a shard from a position until it fails or has to be renewed, without retries.
 * Polling and enhanced fan-out are the two ways.
 */
export type ReadOnce = (from: ShardPosition, signal: AbortSignal) => AsyncIterable<PositionedRead>

export interface ShardReaderDependencies {
  readonly clock: Clock
  readonly logger: WarningLog
  /** Called when the service throttles reads of a shard, and when one succeeds again. */
  readonly onThrottled?: ((shardId: string, isThrottled: boolean) => void) | undefined
}

/**
 * @param open begins with one shard; what it returns is called for each attempt
 * @returns a reader that repeats the attempts, each from the position that the last one reached
 */
export function createShardReader(
  dependencies: ShardReaderDependencies,
  backoffOptions: Omit<RetryBackoffOptions, 'fields'>,
  open: (shardId: string) => ReadOnce,
): ShardReader {
  async function* read(
    shardId: string,
    from: ShardPosition,
    signal: AbortSignal,
  ): AsyncGenerator<ShardRead, void> {
    const backoff = createRetryBackoff(dependencies, { ...backoffOptions, fields: { shardId } })
    const readOnce = open(shardId)
    let next = from
    let isThrottled = false
    const setThrottled = (is: boolean) => {
      if (is !== isThrottled) dependencies.onThrottled?.(shardId, is)
      isThrottled = is
    }
    while (!signal.aborted) {
      const begin = next
      if (next.type === 'LATEST') next = { type: 'AT_TIMESTAMP', timestampMs: next.retryFromMs }
      try {
        for await (const { read: done, position } of readOnce(begin, signal)) {
          next = position ?? next
          backoff.reset()
          setThrottled(false)
          yield done
          if (done.end) return
        }
      } catch (thrown) {
        if (signal.aborted) return
        if (!isRetryable(thrown)) throw thrown
        if (begin.type === 'LATEST') begin.onTaken?.()
        setThrottled(isThrottling(thrown))
        if (isThrottled) await backoff.afterThrottling(thrown, signal)
        else await backoff.afterFailure(thrown, signal)
      }
    }
  }
  return { read }
}

/**
 * Requests the next read while the last one is processed: one read ahead, never more.
 *
 * @param open begins the reading; its signal also aborts when the caller stops early
 */
export async function* oneReadAhead(
  open: (signal: AbortSignal) => AsyncGenerator<ShardRead, void>,
  signal: AbortSignal,
): AsyncGenerator<ShardRead, void> {
  const stopped = new AbortController()
  const source = open(AbortSignal.any([signal, stopped.signal]))
  const ask = () => {
    const asked = source.next()
    // It may fail while the caller still processes the last read; the caller awaits it afterwards.
    asked.catch(() => undefined)
    return asked
  }
  let asked = ask()
  try {
    for (;;) {
      const read = await asked
      if (read.done) return
      asked = ask()
      yield read.value
    }
  } finally {
    stopped.abort()
    await source.return()
  }
}
