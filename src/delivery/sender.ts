import type { Clock } from '../base/clock.ts'
import type { StreamDestination } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { KinesisCalls, PutOperation } from '../aws/kinesis-calls.ts'
import type { CallOutcome } from '../aws/call/call-outcome.ts'
import type { Failure } from '../aws/call/failure-class.ts'
import type { Outgoing } from './call/outgoing.ts'
import type { ShardWatch } from './shards/shard-watch.ts'
import { noteFailures } from './outcome/note-failures.ts'
import { judge } from './outcome/verdict.ts'
import type { RecordWatch } from './outcome/watch-records.ts'
import type { Refusal, Verdict } from './outcome/verdict.ts'
import { recordTooLarge } from '../aws/call/failure-class.ts'

interface SenderDependencies {
  readonly destination: StreamDestination
  readonly calls: KinesisCalls
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly shards: Pick<ShardWatch, 'generation' | 'answered'>
  readonly metrics: Pick<Metrics, 'kinesisCalls' | 'kinesisCallsInFlight' | 'ruleStatistics'>
  readonly recordWatch: RecordWatch
}

/**
 * Makes the function that sends records to a stream in one call. Records that are too large are not
 * sent.
 */
export function createSender(dependencies: SenderDependencies) {
  const limit = createRecordLimit(dependencies)
  return async (taken: readonly Outgoing[]): Promise<Verdict<Outgoing>> => {
    await limit.learnFor(taken)
    const unknown = limit.unknownFor(taken)
    if (unknown) return judge(taken, { answered: false, failure: unknown })
    const refused: Refusal<Outgoing>[] = []
    const sendable: Outgoing[] = []
    for (const item of taken) {
      const failure = limit.failureOf(item)
      if (failure) refused.push({ item, failure })
      else sendable.push(item)
    }
    if (refused.length === 0) return judge(taken, await callKinesis(dependencies, taken))
    const outcome: CallOutcome =
      sendable.length > 0
        ? await callKinesis(dependencies, sendable)
        : { answered: true, records: [] }
    const verdict = judge(sendable, outcome)
    return { ...verdict, refused: [...refused, ...verdict.refused] }
  }
}

async function callKinesis(
  { calls, clock, destination, signal, metrics, shards, recordWatch }: SenderDependencies,
  taken: readonly Outgoing[],
): Promise<CallOutcome> {
  const operation: PutOperation = taken.length === 1 ? 'PutRecord' : 'PutRecords'
  const { streamName, streamArn } = destination
  metrics.kinesisCallsInFlight.inc()
  const records = taken.map(({ record }) => record)
  const generation = shards.generation()
  const isSeen = recordWatch.isConstant || recordWatch.watch.active
  const answered = isSeen ? recordWatch.calling(operation, records) : undefined
  const outcome = await calls.put({ operation, streamName, streamArn, records, signal })
  shards.answered(taken, outcome, generation)
  answered?.(outcome)
  metrics.kinesisCallsInFlight.dec()
  const label = outcomeLabel(outcome)
  metrics.kinesisCalls.inc({ operation, outcome: label })
  if (label !== allOk) noteFailures({ metrics, recordWatch }, records, outcome, clock.wallMs())
  return outcome
}

/** The label of a call whose records were all taken. */
export const allOk = 'ok'

/** What the metrics of calls name an outcome. */
export function outcomeLabel(outcome: CallOutcome): string {
  if (!outcome.answered) return outcome.failure.code
  return outcome.records.every(({ ok }) => ok) ? allOk : 'partial'
}

/**
 * The record size that every stream takes, assumed where the stream's own limit is not readable.
 */
const recordBytesDefault = 1_048_576
/** A stream's limit can be changed at any time, so it is read again after this time. */
const limitValidMs = 600_000
/** After a reading that failed in passing. Until one succeeds, records over the last limit wait. */
const limitRetryMs = 1_000

/** The largest record that a stream takes: its MaxRecordSizeInKiB. */
interface RecordLimit {
  /** The failure of a record that is too large to be sent; undefined for any other record. */
  failureOf(outgoing: Outgoing): Failure | undefined
  /** Why it cannot be said now whether the stream takes these records; undefined when it can. */
  unknownFor(records: readonly Outgoing[]): Failure | undefined
  /** Reads the stream's limit, unless all records fit every stream. */
  learnFor(records: readonly Outgoing[]): Promise<void> | undefined
}

function createRecordLimit({ calls, clock, destination, signal }: SenderDependencies): RecordLimit {
  let bytesMax = recordBytesDefault
  let notBeforeMs = -Infinity
  /** The last reading failed for a reason that passes: `bytesMax` is that of an earlier one. */
  let failure: Failure | undefined

  async function ask(): Promise<void> {
    const answer = await calls.recordBytesMax(destination, signal)
    const isUnknown = answer.kind === 'unknown'
    notBeforeMs = clock.monotonicMs() + (isUnknown ? limitRetryMs : limitValidMs)
    failure = isUnknown ? answer.failure : undefined
    if (!isUnknown) bytesMax = answer.kind === 'bytes' ? answer.bytes : recordBytesDefault
  }

  return {
    learnFor(records: readonly Outgoing[]) {
      const isAnyLarge = records.some(({ record }) => record.bytes > recordBytesDefault)
      if (!isAnyLarge || clock.monotonicMs() < notBeforeMs) return undefined
      return ask()
    },
    unknownFor: (records) =>
      failure && records.some(({ record }) => record.bytes > bytesMax) ? failure : undefined,
    failureOf({ record: { bytes } }: Outgoing) {
      if (bytes <= bytesMax) return undefined
      const message = `The record has ${bytes} bytes with its partition key; the stream takes ${bytesMax}`
      return { code: recordTooLarge, message, source: 'Kinesis' as const }
    },
  }
}
