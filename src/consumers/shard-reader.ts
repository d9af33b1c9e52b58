/** Where the reading of a shard begins. */
export type ShardPosition =
  | { readonly type: 'TRIM_HORIZON' | 'LATEST' }
  | { readonly type: 'AT_TIMESTAMP'; readonly timestampMs: number }
  | {
      readonly type: 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER'
      readonly sequenceNumber: string
    }

/** Where an application that never read the stream begins. */
export type StartPosition = Extract<
  ShardPosition,
  { type: 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP' }
>

/** A record as it stands in a shard. */
export interface KinesisRecord {
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly data: Buffer
  /** Epoch milliseconds. */
  readonly approximateArrivalMs: number
}

/** A shard and what it came from. */
export interface ShardDescription {
  readonly shardId: string
  /** One after a split, two after a merge, none at the beginning of a stream. */
  readonly parentIds: readonly string[]
  /** Both ends belong to the shard. */
  readonly startingHashKey: bigint
  readonly endingHashKey: bigint
  /** Nothing is written to it any more. */
  readonly isClosed: boolean
}

/** What one look at a shard brought: records in order, perhaps none. */
export interface ShardRead {
  readonly records: readonly KinesisRecord[]
  /** How far behind the tip of the shard the last record is, in milliseconds. */
  readonly millisBehindLatest: number
  /** Epoch milliseconds: at the tip, everything that arrived before was read by now. */
  readonly asOfMs: number
  /** The same moment by the monotonic clock. */
  readonly readMs: number
  /** The shard is closed and read to its end; its children, as far as the service named them. */
  readonly end?: { readonly children: readonly ShardDescription[] }
}

/** Reads shards: by polling, or by enhanced fan-out. */
export interface ShardReader {
  /**
   * Reads a shard from a position on. It reads when it is asked to: whoever takes its time with a
   * read holds the next one back. What can be waited out or renewed (throttling, faults of the
   * service or of the network, iterators and subscriptions that expire) is.
   *
   * @returns reads until the end of the shard, the last one with `end`; ends without it when
   *   `signal` aborts
   * @throws what the client throws that waiting does not cure
   */
  read(shardId: string, from: ShardPosition, signal: AbortSignal): AsyncGenerator<ShardRead, void>
}

/**
 * Asks for the next read while the last one is worked on: one ahead, never more.
 *
 * @param open begins the reading; the signal that it gets also aborts when the caller stops early
 */
export async function* oneReadAhead(
  open: (signal: AbortSignal) => AsyncGenerator<ShardRead, void>,
  signal: AbortSignal,
): AsyncGenerator<ShardRead, void> {
  const stopped = new AbortController()
  const source = open(AbortSignal.any([signal, stopped.signal]))
  const ask = () => {
    const asked = source.next()
    // It may fail while the caller works on the read before; it is told when it asks.
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
