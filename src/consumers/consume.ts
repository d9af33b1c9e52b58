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
   * Whose checkpoints these are: consumers of one application share them. Two processes must not
   * work for one application at a time. Default: `sluice-consumer`.
   */
  readonly application?: string
  /** Where an application without checkpoints begins; a Date: at that time. Default: TRIM_HORIZON. */
  readonly from?: 'TRIM_HORIZON' | 'LATEST' | Date
  /** Default: in memory, so that every start is the first one. */
  readonly checkpoints?: CheckpointStore
  /**
   * Enhanced fan-out, over HTTP/2, by a registered consumer: one of this name, registered unless it
   * is there (`true`: of the name of the application), or one of this ARN. Default: polling.
   */
  readonly fanOut?: boolean | { readonly consumerName: string } | { readonly consumerArn: string }
  /** With `fanOut`: a consumer that was registered here goes when the consumer stops. */
  readonly deregisterOnStop?: boolean
  /** Opens what the Kinesis Producer Library aggregated. Default: true. */
  readonly opensAggregates?: boolean
  /** Records that the handler gets at a time. Default: 1,000. */
  readonly batchRecordsMax?: number
  /** Calls of the handler under way at a time, over all shards. Default: 32. */
  readonly concurrencyMax?: number
  /**
   * How often a batch is handed over that the handler fails on, before the consumer stops with
   * ConsumerFailed. `Infinity` tries for ever. Default: 10, which take some minutes.
   */
  readonly attemptsMax?: number
  /** Between two looks at a shard that has nothing new, at least 210. Default: 500. */
  readonly pollIntervalMs?: number
  /** Between looks for shards that appeared by themselves. Default: 60,000. */
  readonly discoveryIntervalMs?: number
  /** Stops the consumer as `stop` does. */
  readonly signal?: AbortSignal
  readonly logger?: ConsumerLog
  readonly clock?: Clock
}

export interface Consumer {
  /**
   * Resolves when the consumer was stopped; rejects with SluiceError ConsumerFailed when it cannot
   * go on. To be listened to: otherwise a failure ends the process as any unheard rejection does.
   */
  readonly done: Promise<void>
  /** Finishes the batches that are handled now, and their checkpoints. Never rejects. */
  stop(): Promise<void>
}

const defaults = Object.freeze({
  application: 'sluice-consumer',
  batchRecordsMax: 1_000,
  concurrencyMax: 32,
  attemptsMax: 10,
  pollIntervalMs: 500,
})
/** What one GetRecords gives at most. */
const readRecordsMax = 10_000

/**
 * Reads a Kinesis stream: every record at least once, in the order of its shard, parents before
 * children when shards were split or merged. A batch is checkpointed when the handler is done with
 * it; the next start of the application goes on there.
 *
 * @returns when the shards are known and are read
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
  const reads = createKinesisReads(accessOf(options), stream)
  const application = options.application ?? defaults.application
  const dependencies = { reads, clock, logger }
  let leave = async () => reads.close()
  try {
    const opened = await openReader(dependencies, { ...options, application }, signal)
    leave = async () => {
      await opened.leave()
      reads.close()
    }
    const { done } = await followStream(
      { ...dependencies, checkpoints: options.checkpoints ?? createMemoryCheckpoints() },
      {
        application,
        from: startOf(options.from),
        signal,
        runShard: createConsumingShards(
          { reader: opened.reader, clock, logger },
          { ...defaults, ...definedOf(options), handler: options.handler },
        ),
        ...(options.discoveryIntervalMs !== undefined && {
          discoveryIntervalMs: options.discoveryIntervalMs,
        }),
      },
    )
    const ended = endingOf(done, leave, stream)
    return {
      done: ended,
      async stop() {
        stopping.abort()
        await ended.catch(() => undefined)
      },
    }
  } catch (thrown) {
    await leave()
    throw failureOf(thrown, stream)
  }
}

async function endingOf(done: Promise<void>, leave: () => Promise<void>, stream: string) {
  try {
    await done
  } catch (thrown) {
    throw failureOf(thrown, stream)
  } finally {
    await leave()
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
  leave(): Promise<void>
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
    return { reader, leave: async () => undefined }
  }
  if (typeof fanOut === 'object' && 'consumerArn' in fanOut) {
    const { consumerArn } = fanOut
    await untilActive(dependencies, { name: consumerArn, arn: consumerArn }, signal)
    return {
      reader: createFanOutReader(dependencies, { consumerArn }),
      leave: async () => undefined,
    }
  }
  const name = fanOut === true ? application : fanOut.consumerName
  const { arn: consumerArn, isNew } = await ensureConsumer(dependencies, name, signal)
  if (isNew) dependencies.logger.info({ consumerArn }, `the consumer ${name} was registered`)
  return {
    reader: createFanOutReader(dependencies, { consumerArn }),
    async leave() {
      if (!isNew || !deregisterOnStop) return
      try {
        await dependencies.reads.deregisterConsumer(consumerArn)
      } catch (thrown) {
        dependencies.logger.warn(
          { consumerArn, reason: reasonOf(thrown) },
          'a consumer stays registered',
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
  return {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
  }
}

/** Without what was given as undefined: a default is meant. */
function definedOf(options: ConsumeOptions) {
  const { batchRecordsMax, concurrencyMax, attemptsMax, opensAggregates } = options
  return {
    ...(batchRecordsMax !== undefined && { batchRecordsMax }),
    ...(concurrencyMax !== undefined && { concurrencyMax }),
    ...(attemptsMax !== undefined && { attemptsMax }),
    opensAggregates: opensAggregates ?? true,
  }
}

function checkOptions(options: ConsumeOptions): void {
  const { from, stream } = options
  if (stream === '') throw invalidRequest('stream: it is empty')
  if (from instanceof Date && Number.isNaN(from.getTime())) {
    throw invalidRequest('from: it is no time')
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
