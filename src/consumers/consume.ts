import { defined } from '../base/defined.ts'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { SluiceError, invalidRequest } from '../base/errors.ts'
import type { ConsumerLog } from './consumer-log.ts'
import { createMemoryCheckpoints } from './checkpoints.ts'
import type { CheckpointStore } from './checkpoints.ts'
import type { RecordsHandler } from './consumed-batch.ts'
import { createConsumingShards } from './consume-shard.ts'
import { createFanOutReader, ensureConsumer, untilActive } from './fan-out-reader.ts'
import { reasonOf } from './retry-backoff.ts'
import { followStream } from './follow-stream.ts'
import type { FollowOptions, FollowedStream, SharedCheckpoints } from './following.ts'
import type { KinesisAccess } from './kinesis-access.ts'
import { createKinesisReads } from './kinesis-reads.ts'
import type { KinesisReads } from './kinesis-reads.ts'
import { createPollingReader } from './polling-reader.ts'
import type { ShardReader, StartPosition } from './shard-reader.ts'

export interface ConsumeOptions extends KinesisAccess {
  /** Name or ARN of the stream. */
  readonly stream: string
  readonly handler: RecordsHandler
  /**
   * The name under which checkpoints are stored: consumers of one application share them. Only one
   * process at a time may run an application, unless its checkpoints are shared. Default:
   * `sluice-consumer`.
   */
  readonly application?: string
  /** Where an application without checkpoints begins; a Date is a time. Default: TRIM_HORIZON. */
  readonly from?: 'TRIM_HORIZON' | 'LATEST' | Date
  /**
   * Those of `openDynamoDbLeases` and `openNatsLeases` let several processes share the stream.
   * Default: in memory, so that every start begins at `from`.
   */
  readonly checkpoints?: CheckpointStore | SharedCheckpoints
  /**
   * Enhanced fan-out over HTTP/2, with a registered consumer: by name, registered when it does not
   * exist (`true` takes the application's name), or by ARN. Default: polling.
   */
  readonly fanOut?: boolean | { readonly consumerName: string } | { readonly consumerArn: string }
  /** With `fanOut`: deregisters on stop a consumer that this call registered. */
  readonly deregisterOnStop?: boolean
  /** Opens records that the Kinesis Producer Library aggregated. Default: true. */
  readonly opensAggregates?: boolean
  /** Records in one call of the handler, at most. Default: 1,000. */
  readonly batchRecordsMax?: number
  /** Concurrent calls of the handler, over all shards. Default: 32. */
  readonly concurrencyMax?: number
  /**
   * How often the handler may fail on a batch before the consumer stops with ConsumerFailed.
   * `Infinity` retries for ever. Default: 10, which takes some minutes.
   */
  readonly attemptsMax?: number
  /** Milliseconds between two reads of a shard without new records, at least 210. Default: 500. */
  readonly pollIntervalMs?: number
  /** Milliseconds between two listings of the shards. Default: 60,000. */
  readonly discoveryIntervalMs?: number
  /** Stops the consumer as `stop` does. */
  readonly signal?: AbortSignal
  readonly logger?: ConsumerLog
  readonly clock?: Clock
}

export interface Consumer {
  /**
   * Resolves when the consumer was stopped; rejects with SluiceError ConsumerFailed when it cannot
   * continue. Handle it: a rejection without a handler ends the process.
   */
  readonly done: Promise<void>
  /** Waits for the running calls of the handler and for their checkpoints. Never rejects. */
  stop(): Promise<void>
}

const defaults = Object.freeze({
  application: 'sluice-consumer',
  batchRecordsMax: 1_000,
  concurrencyMax: 32,
  attemptsMax: 10,
  pollIntervalMs: 500,
})
/** GetRecords returns at most so many records. */
const readRecordsMax = 10_000

/**
 * Reads a Kinesis stream: every record at least once, in the order of its shard, and parents before
 * children when shards were split or merged. A batch is checkpointed when the handler has returned;
 * the next start of the application continues there.
 *
 * @returns once the shards are listed and are being read: at LATEST no record that is put from then
 *   on is skipped
 * @throws SluiceError ConsumerFailed (rejects): the stream cannot be read, `cause` says why;
 *   InvalidRequestException: an option is not usable
 */
export async function consume(options: ConsumeOptions): Promise<Consumer> {
  checkOptions(options)
  const { stream, clock = systemClock, logger = silentLogger } = options
  const stopping = new AbortController()
  const signal = options.signal
    ? AbortSignal.any([options.signal, stopping.signal])
    : stopping.signal
  const reads = createKinesisReads(accessOf(options), stream, { clock })
  const application = options.application ?? defaults.application
  const dependencies = { reads, clock, logger }
  let close = async () => reads.close()
  try {
    const opened = await openReader(dependencies, { ...options, application }, signal)
    close = async () => {
      await opened.close()
      reads.close()
    }
    const runShard = createConsumingShards(
      { reader: opened.reader, clock, logger },
      {
        ...defaults,
        ...limitsOf(options),
        opensAggregates: options.opensAggregates ?? true,
        handler: options.handler,
      },
    )
    const { done, positioned } = await follow(dependencies, options, {
      application,
      from: startOf(options.from),
      signal,
      runShard,
      discoveryIntervalMs: options.discoveryIntervalMs,
    })
    await Promise.race([positioned, done])
    const ended = endingOf(done, close, stream)
    return {
      done: ended,
      async stop() {
        stopping.abort()
        await ended.catch(() => undefined)
      },
    }
  } catch (thrown) {
    await close()
    throw failureOf(thrown, stream)
  }
}

/** Follows the stream alone, or shares it with other processes. */
function follow(
  dependencies: Parameters<typeof openReader>[0],
  { checkpoints = createMemoryCheckpoints() }: ConsumeOptions,
  options: FollowOptions,
): Promise<FollowedStream> {
  if ('follow' in checkpoints) return checkpoints.follow(dependencies, options)
  return followStream({ ...dependencies, checkpoints }, options)
}

async function endingOf(done: Promise<void>, close: () => Promise<void>, stream: string) {
  try {
    await done
  } catch (thrown) {
    throw failureOf(thrown, stream)
  } finally {
    await close()
  }
}

function failureOf(thrown: unknown, stream: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  return new SluiceError('ConsumerFailed', `${stream} cannot be read: ${reasonOf(thrown)}`, {
    cause: thrown,
  })
}

interface OpenedReader {
  readonly reader: ShardReader
  close(): Promise<void>
}

async function openReader(
  dependencies: {
    readonly reads: KinesisReads
    readonly clock: Clock
    readonly logger: ConsumerLog
  },
  options: ConsumeOptions & { readonly application: string },
  signal: AbortSignal,
): Promise<OpenedReader> {
  const { fanOut = false, application, deregisterOnStop = false } = options
  if (fanOut === false) {
    const { pollIntervalMs = defaults.pollIntervalMs } = options
    const reader = createPollingReader(dependencies, { pollIntervalMs, recordsMax: readRecordsMax })
    return { reader, close: async () => undefined }
  }
  if (typeof fanOut === 'object' && 'consumerArn' in fanOut) {
    const { consumerArn } = fanOut
    await untilActive(dependencies, { name: consumerArn, arn: consumerArn }, signal)
    return {
      reader: createFanOutReader(dependencies, { consumerArn }),
      close: async () => undefined,
    }
  }
  const name = fanOut === true ? application : fanOut.consumerName
  const { arn: consumerArn, isNew } = await ensureConsumer(dependencies, name, signal)
  if (isNew) dependencies.logger.info({ consumerArn }, `the consumer ${name} was registered`)
  return {
    reader: createFanOutReader(dependencies, { consumerArn }),
    async close() {
      if (!isNew || !deregisterOnStop) return
      try {
        await dependencies.reads.deregisterConsumer(consumerArn)
      } catch (thrown) {
        dependencies.logger.warn(
          { consumerArn, reason: reasonOf(thrown) },
          'the consumer could not be deregistered; it stays registered',
        )
      }
    },
  }
}

function startOf(from: ConsumeOptions['from'] = 'TRIM_HORIZON'): StartPosition {
  return from instanceof Date
    ? { type: 'AT_TIMESTAMP', timestampMs: from.getTime() }
    : { type: from }
}

function accessOf({ region, endpoint, credentials }: ConsumeOptions): KinesisAccess {
  return defined({ region, endpoint, credentials })
}

/** Leaves out members that are undefined, so that the defaults apply. */
function limitsOf({ batchRecordsMax, concurrencyMax, attemptsMax }: ConsumeOptions) {
  return defined({ batchRecordsMax, concurrencyMax, attemptsMax })
}

function checkOptions(options: ConsumeOptions): void {
  const { from, stream } = options
  if (stream === '') throw invalidRequest('stream: it is empty')
  if (from instanceof Date && Number.isNaN(from.getTime())) {
    throw invalidRequest('from: it is not a valid date')
  }
  for (const name of ['batchRecordsMax', 'concurrencyMax', 'attemptsMax'] as const) {
    const value = options[name] ?? 1
    const isCount = Number.isInteger(value) || (name === 'attemptsMax' && value === Infinity)
    if (!isCount || value < 1) throw invalidRequest(`${name}: it must be a whole number above 0`)
  }
}

const silentLogger = Object.freeze({
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
})
