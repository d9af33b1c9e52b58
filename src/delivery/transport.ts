import type { KinesisCalls } from '../aws/kinesis-calls.ts'
import type { ServiceSender } from '../aws/call/service-sender.ts'
import type { Clock } from '../base/clock.ts'
import type { DeliverySettings, QueuedDestination } from '../outbox/outbox.ts'
import type { ServiceDestination, StreamDestination } from '../outbox/outbox.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { Outgoing } from './call/outgoing.ts'
import { noteFailures } from './outcome/note-failures.ts'
import { judge } from './outcome/verdict.ts'
import type { Verdict } from './outcome/verdict.ts'
import type { RecordWatch } from './outcome/watch-records.ts'
import { allOk, createSender, outcomeLabel } from './sender.ts'
import { createShardWatch, withoutShards } from './shards/shard-watch.ts'
import type { ShardWatch } from './shards/shard-watch.ts'

/** How the records of one destination leave. Everything else in delivery knows no service. */
export interface Transport {
  /** The settings of the destination, bounded by what one call takes. */
  readonly settings: DeliverySettings
  /** Only streams have shards. */
  readonly shards: ShardWatch
  /** Sends records in one call, and decides what becomes of each. */
  send(taken: readonly Outgoing[]): Promise<Verdict<Outgoing>>
}

/** The calls with the region and the credentials of a destination. */
export interface CallsOfDestinations {
  readonly callsFor: (destination: StreamDestination) => KinesisCalls
  readonly senderFor: (destination: ServiceDestination) => ServiceSender
}

interface TransportDependencies extends CallsOfDestinations {
  readonly queued: QueuedDestination
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<
    Metrics,
    'kinesisCalls' | 'kinesisCallsInFlight' | 'serviceCalls' | 'ruleStatistics'
  >
  readonly recordWatch: RecordWatch
  readonly signal: AbortSignal
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
}

export function createTransport(dependencies: TransportDependencies): Transport {
  const { destination } = dependencies.queued
  return destination.kind === 'kinesis'
    ? createStreamTransport(dependencies, destination)
    : createServiceTransport(dependencies, destination)
}

function createStreamTransport(
  dependencies: TransportDependencies,
  destination: StreamDestination,
): Transport {
  const own = { ...dependencies, destination, calls: dependencies.callsFor(destination) }
  const shards = createShardWatch(own)
  return { settings: destination.settings, shards, send: createSender({ ...own, shards }) }
}

function createServiceTransport(
  { senderFor, clock, signal, metrics, recordWatch }: TransportDependencies,
  destination: ServiceDestination,
): Transport {
  const { kind, settings } = destination
  const sender = senderFor(destination)
  const batching = {
    ...settings.batching,
    count: Math.min(settings.batching.count, sender.recordsMax),
    bytes: Math.min(settings.batching.bytes, sender.bytesMax),
  }
  return {
    settings: { ...settings, batching },
    shards: withoutShards,
    async send(taken) {
      const records = taken.map(({ record }) => record)
      const operation = sender.operationOf(records)
      const isSeen = recordWatch.isConstant || recordWatch.watch.active
      const answered = isSeen ? recordWatch.calling(operation, records) : undefined
      const outcome = await sender.send(records, signal)
      answered?.(outcome)
      const label = outcomeLabel(outcome)
      metrics.serviceCalls.inc({ kind, operation, outcome: label })
      if (label !== allOk) noteFailures({ metrics, recordWatch }, records, outcome, clock.wallMs())
      return judge(taken, outcome)
    },
  }
}
