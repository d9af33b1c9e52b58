import type { Clock } from '../base/clock.ts'
import type { QueuedDestination } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { CallOutcome, KinesisCalls, PutOperation } from '../aws/kinesis-calls.ts'
import type { Outgoing } from './call/outgoing.ts'
import { createRecordLimit } from './call/record-limit.ts'
import type { ShardWatch } from './shards/shard-watch.ts'
import { judge } from './outcome/verdict.ts'
import type { Refusal, Verdict } from './outcome/verdict.ts'

export interface SenderParts {
  readonly queued: QueuedDestination
  readonly calls: KinesisCalls
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly shards: Pick<ShardWatch, 'round' | 'answered'>
  readonly metrics: Pick<Metrics, 'kinesisCalls' | 'kinesisCallsInFlight'>
}

/** Sends records in one call and judges the outcome; those that are too large are not sent. */
export function createSender(parts: SenderParts) {
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
  { calls, queued, signal, metrics, shards }: SenderParts,
  taken: readonly Outgoing[],
): Promise<CallOutcome> {
  const operation: PutOperation = taken.length === 1 ? 'PutRecord' : 'PutRecords'
  const { streamName, streamArn } = queued.destination
  const stream = streamArn === undefined ? { streamName } : { streamName, streamArn }
  metrics.kinesisCallsInFlight.inc()
  const records = taken.map(({ record }) => record)
  const round = shards.round()
  const outcome = await calls.put({ operation, ...stream, records, signal })
  shards.answered(taken, outcome, round)
  metrics.kinesisCallsInFlight.dec()
  metrics.kinesisCalls.inc({ operation, outcome: outcomeLabel(outcome) })
  return outcome
}

function outcomeLabel(outcome: CallOutcome): string {
  if (!outcome.answered) return outcome.failure.code
  return outcome.records.every(({ ok }) => ok) ? 'ok' : 'partial'
}
