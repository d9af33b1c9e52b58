import type { Clock } from '../base/clock.ts'
import type { QueuedDestination } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { CallOutcome, KinesisCalls, PutOperation } from '../aws/kinesis-calls.ts'
import type { Failure } from '../aws/failure-class.ts'
import type { Outgoing } from './call/outgoing.ts'
import type { ShardWatch } from './shards/shard-watch.ts'
import { judge } from './outcome/verdict.ts'
import type { Refusal, Verdict } from './outcome/verdict.ts'
import { recordTooLarge } from '../aws/failure-class.ts'

interface SenderDependencies {
  readonly queued: QueuedDestination
  readonly calls: KinesisCalls
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly shards: Pick<ShardWatch, 'generation' | 'answered'>
  readonly metrics: Pick<Metrics, 'kinesisCalls' | 'kinesisCallsInFlight'>
}

/** Sends records in one call and judges the outcome; those that are too large are not sent. */
export function createSender(parts: SenderDependencies) {
  const limit = createRecordLimit({ ...parts, stream: parts.queued.destination })
  return async (taken: readonly Outgoing[]): Promise<Verdict<Outgoing>> => {
    await limit.learnFor(taken)
    const refused: Refusal<Outgoing>[] = []
    const sendable: Outgoing[] = []
    for (const item of taken) {
      const failure = limit.failureOf(item)
      if (failure) refused.push({ item, failure })
      else sendable.push(item)
    }
    if (refused.length === 0) return judge(taken, await callKinesis(parts, taken))
    const outcome: CallOutcome =
      sendable.length > 0 ? await callKinesis(parts, sendable) : { answered: true, records: [] }
    const verdict = judge(sendable, outcome)
    return { ...verdict, refused: [...refused, ...verdict.refused] }
  }
}

async function callKinesis(
  { calls, queued, signal, metrics, shards }: SenderDependencies,
  taken: readonly Outgoing[],
): Promise<CallOutcome> {
  const operation: PutOperation = taken.length === 1 ? 'PutRecord' : 'PutRecords'
  const { streamName, streamArn } = queued.destination
  const stream = streamArn === undefined ? { streamName } : { streamName, streamArn }
  metrics.kinesisCallsInFlight.inc()
  const records = taken.map(({ record }) => record)
  const generation = shards.generation()
  const outcome = await calls.put({ operation, ...stream, records, signal })
  shards.answered(taken, outcome, generation)
  metrics.kinesisCallsInFlight.dec()
  metrics.kinesisCalls.inc({ operation, outcome: outcomeLabel(outcome) })
  return outcome
}

function outcomeLabel(outcome: CallOutcome): string {
  if (!outcome.answered) return outcome.failure.code
  return outcome.records.every(({ ok }) => ok) ? 'ok' : 'partial'
}

/** What every stream takes, and all that one takes whose own limit may not be read. */
const recordBytesDefault = 1_048_576
/** A stream's limit can be changed at any time. */
const rememberedMs = 600_000

/** The size of a record that a stream takes: its MaxRecordSizeInKiB. */
interface RecordLimit {
  /** The failure of a record that is too large to be sent; undefined for all others. */
  failureOf(outgoing: Outgoing): Failure | undefined
  /** Learns the limit, unless these records fit any stream. */
  learnFor(records: readonly Outgoing[]): Promise<void> | undefined
}

function createRecordLimit({
  calls,
  clock,
  stream,
}: {
  readonly calls: Pick<KinesisCalls, 'recordBytesMax'>
  readonly clock: Clock
  readonly stream: { readonly streamName: string; readonly streamArn?: string }
}): RecordLimit {
  let bytesMax = recordBytesDefault
  let askedMs = -Infinity

  async function ask(): Promise<void> {
    bytesMax = (await calls.recordBytesMax(stream)) ?? recordBytesDefault
    askedMs = clock.monotonicMs()
  }

  return {
    learnFor(records: readonly Outgoing[]) {
      const isAnyLarge = records.some(({ record }) => record.bytes > recordBytesDefault)
      if (!isAnyLarge || clock.monotonicMs() - askedMs < rememberedMs) return undefined
      return ask()
    },
    failureOf({ record: { bytes } }: Outgoing) {
      if (bytes <= bytesMax) return undefined
      const message = `The record has ${bytes} bytes with its partition key; the stream takes ${bytesMax}`
      return { code: recordTooLarge, message, source: 'Kinesis' as const }
    },
  }
}
