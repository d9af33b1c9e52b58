import { setMaxListeners } from 'node:events'
import type { Clock } from '../base/clock.ts'
import { shorten } from '../base/errors.ts'
import type { CheckpointStore } from '../consumers/checkpoints.ts'
import type { FollowOptions, FollowedStream, SharedCheckpoints } from '../consumers/following.ts'
import { createFanOutReader, untilActive } from '../consumers/fan-out-reader.ts'
import { createRetryBackoff, nameOf } from '../consumers/retry-backoff.ts'
import { followStream } from '../consumers/follow-stream.ts'
import { createKinesisReads } from '../consumers/kinesis-reads.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import type { KinesisReads } from '../consumers/kinesis-reads.ts'
import { createPollingReader } from '../consumers/polling-reader.ts'
import type {
  ShardReader,
  ShardReaderDependencies,
  StartPosition,
} from '../consumers/shard-reader.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { BatchSpans } from '../traces/message-traces.ts'
import type { FailureFiles } from './failure-files.ts'
import type { SendFailure } from './invocation-context.ts'
import { arnOfFunction, parseFunctionName } from './functions/function-name.ts'
import type { Functions } from './functions/functions.ts'
import { parseEventSource } from './mapping-settings.ts'
import type { EventSource, MappingSettings } from './mapping-settings.ts'
import { createRecordFilter } from './filters/record-filter.ts'
import type { RecentBatches } from './recent-batches.ts'
import type { RecordFilter } from './filters/record-filter.ts'
import { processShard } from './shard-processor.ts'
import type { ShardProcessorContext } from './shard-processor.ts'

/** A running mapping. */
export interface RunningMapping {
  /** Resolves when no record that is put from now on is skipped; not while reading cannot begin. */
  readonly positioned: Promise<void>
  /** "No records processed", "OK" or "PROBLEM: ...", in Lambda's words. */
  lastResult(): string
  /**
   * Stops the mapping. Running invocations get `drainMs`; the records of those that need more are
   * handed over again later. Never rejects.
   */
  stop(drainMs: number): Promise<void>
}

export interface MappingRunnerDependencies {
  readonly kinesis: KinesisAccess
  readonly functions: Functions
  /** Those that are shared let several nodes work on a mapping. */
  readonly checkpoints: CheckpointStore | SharedCheckpoints
  readonly failures: FailureFiles
  readonly batches: RecentBatches
  /** In the lab: sends documents to the destinations of mappings. */
  readonly sendFailure?: SendFailure | undefined
  /** Absent: no traces are made. */
  readonly batchSpans?: BatchSpans | undefined
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly metrics: Pick<Metrics, 'mappingRecordsFiltered'>
  /** Whether the last result leaves out the function's error, which may quote records. */
  readonly hidesReasons?: boolean | undefined
  /** In the lab: creates a missing stream at the start of the process. */
  readonly makeStream?: (streamArn: string) => Promise<void>
}

interface MappingRunnerOptions {
  readonly uuid: string
  readonly settings: MappingSettings
  /**
   * Whether a stream that is missing at first is created. A stream that was deleted later stays
   * deleted: the mapping waits until it exists again.
   */
  readonly makesStream: boolean
  /** For ARNs: `sluice start` may learn the account later. */
  readonly accountIdNow: () => string
  /** Called with the last result, in Lambda's words, whenever there is one. */
  readonly onResult?: ((text: string) => void) | undefined
}

/** Lambda polls an idle shard once a second. */
const pollIntervalMs = 1_000
const readRecordsMax = 10_000
/** Of the reason of a failed invocation, in the last result of a mapping. */
const reasonCharactersMax = 200
const retryDelaysMs = { firstDelayMs: 1_000, delayMsMax: 30_000 }

/** The name under which the checkpoints of a mapping are stored. */
export const applicationOf = (uuid: string) => `event-source-mapping/${uuid}`

/** Starts the runner of a mapping. */
export type RunMapping = (
  dependencies: MappingRunnerDependencies,
  options: MappingRunnerOptions,
) => RunningMapping

/** Starts a mapping. Every failure is retried, because the stream may come back. */
export function runMapping(
  dependencies: MappingRunnerDependencies,
  options: MappingRunnerOptions,
): RunningMapping {
  const { clock } = dependencies
  const stopping = new AbortController()
  const abandon = new AbortController()
  // Each parallel batch of each shard may have an invocation that listens.
  setMaxListeners(Number.POSITIVE_INFINITY, abandon.signal)
  const progress = createMappingProgress(dependencies.hidesReasons, options.onResult)
  let { makesStream } = options
  const source = parseEventSource(options.settings.EventSourceArn)
  if (!source) throw new Error(`${options.settings.EventSourceArn} is not an ARN of Kinesis`)

  const reading = { clock, logger: dependencies.logger, onThrottled: progress.onThrottled }

  async function work(found: EventSource): Promise<void> {
    const { uuid, settings } = options
    const backoff = createRetryBackoff(dependencies, {
      ...retryDelaysMs,
      text: 'the stream of an event source mapping cannot be read; the mapping retries',
      fields: { mapping: uuid, eventSourceArn: settings.EventSourceArn },
    })
    while (!stopping.signal.aborted) {
      const reads = readsOf(dependencies, found)
      try {
        const context = contextOf(dependencies, options, found, {
          reader: await openReader({ ...reading, reads }, found, stopping.signal),
          abandon: abandon.signal,
          onResult: progress.onResult,
        })
        const followed = await follow(
          { ...dependencies, reads },
          {
            application: applicationOf(uuid),
            from: startOf(settings),
            signal: stopping.signal,
            runShard: (task) => processShard(context, task),
          },
        )
        makesStream = false
        void followed.positioned.then(progress.setPositioned)
        await followed.done
      } catch (thrown) {
        if (stopping.signal.aborted) return
        progress.onUnreadable()
        const isMissing = nameOf(thrown) === 'ResourceNotFoundException'
        if (isMissing && makesStream && (await makeStream(dependencies, found))) {
          // It is there now: a new lab begins without a warning.
          makesStream = false
          continue
        }
        await backoff.afterFailure(thrown, stopping.signal)
      } finally {
        progress.onReadingEnded()
        reads.close()
      }
    }
  }

  const working = work(source)
  return {
    positioned: progress.positioned,
    lastResult: progress.result,
    async stop(drainMs) {
      stopping.abort()
      const cancel = clock.after(drainMs, () => abandon.abort())
      await working
      cancel()
    },
  }
}

/** Follows the stream alone, or shares it with other nodes. */
function follow(
  dependencies: MappingRunnerDependencies & { readonly reads: KinesisReads },
  options: FollowOptions,
): Promise<FollowedStream> {
  const { checkpoints } = dependencies
  if ('follow' in checkpoints) return checkpoints.follow(dependencies, options)
  return followStream({ ...dependencies, checkpoints }, options)
}

/** What a running mapping shows of itself. */
function createMappingProgress(hidesReasons = false, onResult?: (text: string) => void) {
  let last = 'No records processed'
  const throttledShards = new Set<string>()
  let setPositioned: (() => void) | undefined
  const positioned = new Promise<void>((resolve) => {
    setPositioned = resolve
  })
  /** In Lambda's words, as far as it has any. */
  const result = () =>
    throttledShards.size > 0 ? 'PROBLEM: reads of the stream are throttled' : last
  return {
    result,
    onResult: (outcome: 'ok' | 'failed', reason?: string) => {
      const why =
        reason === undefined || hidesReasons ? '' : `: ${shorten(reason, reasonCharactersMax)}`
      last = outcome === 'ok' ? 'OK' : `PROBLEM: Function call failed${why}`
      onResult?.(result())
    },
    onUnreadable: () => {
      last = 'PROBLEM: the stream cannot be read'
      onResult?.(result())
    },
    onThrottled: (shardId: string, isThrottled: boolean) => {
      if (isThrottled) throttledShards.add(shardId)
      else throttledShards.delete(shardId)
      onResult?.(result())
    },
    onReadingEnded: () => throttledShards.clear(),
    positioned,
    setPositioned: () => setPositioned?.(),
  }
}

function readsOf({ kinesis, clock }: MappingRunnerDependencies, found: EventSource): KinesisReads {
  return createKinesisReads({ ...kinesis, region: found.region }, found.streamArn, { clock })
}

/** @returns whether the stream was created */
async function makeStream(
  dependencies: MappingRunnerDependencies,
  { streamArn }: EventSource,
): Promise<boolean> {
  if (dependencies.makeStream === undefined) return false
  try {
    await dependencies.makeStream(streamArn)
    return true
  } catch {
    return false
  }
}

async function openReader(
  dependencies: ShardReaderDependencies & { readonly reads: KinesisReads },
  { consumerArn }: EventSource,
  signal: AbortSignal,
): Promise<ShardReader> {
  if (consumerArn === undefined) {
    return createPollingReader(dependencies, { pollIntervalMs, recordsMax: readRecordsMax })
  }
  await untilActive(dependencies, { name: consumerArn, arn: consumerArn }, signal)
  return createFanOutReader(dependencies, { consumerArn })
}

function contextOf(
  {
    functions,
    failures,
    batches,
    sendFailure,
    batchSpans,
    clock,
    logger,
    metrics,
  }: MappingRunnerDependencies,
  { uuid, settings, accountIdNow }: MappingRunnerOptions,
  { region, streamArn, consumerArn }: EventSource,
  more: Pick<ShardProcessorContext, 'reader' | 'abandon' | 'onResult'>,
): ShardProcessorContext {
  const name = parseFunctionName(settings.FunctionName)
  return {
    ...more,
    uuid,
    settings,
    streamArn,
    functionArnNow: () => arnOfFunction(name, { region, accountId: accountIdNow() }),
    failures,
    onBatch: (batch) => batches.add(uuid, batch),
    sendFailure,
    batchSpans,
    clock,
    logger,
    findFunction: () => functions.find(name),
    filters: countedFilters(settings, () => metrics.mappingRecordsFiltered.inc({ mapping: uuid })),
    opensAggregates: consumerArn !== undefined,
    originOf: (shardId) => ({
      shardId,
      region,
      eventSourceArn: settings.EventSourceArn,
      get invokeIdentityArn() {
        return `arn:aws:iam::${accountIdNow()}:role/lambda-role`
      },
    }),
  }
}

/** @returns one filter for all patterns of the mapping, or none when it has no patterns */
function countedFilters(
  { FilterCriteria }: MappingSettings,
  onFiltered: () => void,
): readonly RecordFilter[] {
  const patterns = (FilterCriteria?.Filters ?? []).map(({ Pattern = '' }) => Pattern)
  if (patterns.length === 0) return []
  const passes = createRecordFilter(patterns)
  const filter: RecordFilter = (record) => {
    if (passes(record)) return true
    onFiltered()
    return false
  }
  return [filter]
}

function startOf(settings: MappingSettings): StartPosition {
  const { StartingPosition: type, StartingPositionTimestamp: seconds = 0 } = settings
  return type === 'AT_TIMESTAMP' ? { type, timestampMs: seconds * 1_000 } : { type }
}
