/** Where reading of a shard begins. */
export type ShardPosition =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMs: number }
  | {
      readonly type: 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER'
      readonly sequenceNumber: string
    }

/** Where an application without checkpoints begins. */
export type StartPosition = Extract<
  ShardPosition,
  { type: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP' }
>

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
  /** Epoch milliseconds. At the tip, every record that arrived before this time has been read. */
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
