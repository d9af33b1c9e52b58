import type { LookupFunction } from 'node:net'
import type { CallOutcome, RecordOutcome } from '../aws/call/call-outcome.ts'
import type { Failure } from '../aws/call/failure-class.ts'
import { classify } from '../aws/call/failure-class.ts'
import { decodeServiceCall } from '../aws/call/service-call.ts'
import type { ServiceSender } from '../aws/call/service-sender.ts'
import { messageOf } from '../base/errors.ts'
import { unlessAborted } from '../base/unless-aborted.ts'
import type { QueuedRecord, ServiceDestination } from '../outbox/outbox.ts'
import type { KafkaRecord } from './cluster.ts'
import { createBrokerLookup } from './broker-lookup.ts'
import { createSharedClusters } from './shared-clusters.ts'
import type { SharedClustersDependencies } from './shared-clusters.ts'

/** The senders of `kafka` actions. Those with the same properties share their connections. */
export interface KafkaSenders {
  senderFor(destination: ServiceDestination): ServiceSender
  /** Closes all connections. */
  close(): void
}

type KafkaSenderDependencies = Omit<SharedClustersDependencies, 'lookup'> & {
  readonly lookup?: LookupFunction | undefined
}

/** A batch of this size is within what brokers take by default (message.max.bytes). */
const bytesMax = 1_000_000
const recordsMax = 500
/**
 * Makes the senders of `kafka` actions.
 *
 * @param lookup resolves the names of brokers, and may refuse one; `createBrokerLookup` by default
 */
export function createKafkaSenders({
  lookup = createBrokerLookup(),
  ...dependencies
}: KafkaSenderDependencies): KafkaSenders {
  const clusters = createSharedClusters({ ...dependencies, lookup })

  async function produce(
    key: string,
    { target, clientProperties = {} }: ServiceDestination,
    records: readonly QueuedRecord[],
    signal: AbortSignal,
  ): Promise<CallOutcome> {
    const taken = clusters.take(key, clientProperties)
    let isOpen = false
    try {
      const cluster = await unlessAborted(taken.cluster, signal)
      isOpen = true
      const produced = cluster.produce(target, records.map(kafkaRecordOf))
      const outcome = outcomeOf(await unlessAborted(produced, signal))
      if (!outcome.answered && isOfProperties(outcome.failure)) clusters.forget(key, taken)
      return outcome
    } catch (thrown) {
      const failure = await failureOf(thrown)
      if (!isOpen || isOfProperties(failure)) clusters.forget(key, taken)
      return { answered: false, failure }
    } finally {
      clusters.release(key, taken)
    }
  }

  return {
    senderFor(destination) {
      const key = JSON.stringify(destination.clientProperties ?? {})
      return {
        recordsMax,
        bytesMax,
        operationOf: () => 'Produce',
        send: (records, signal) => produce(key, destination, records, signal),
      }
    },
    close: () => clusters.close(),
  }
}

/** Failures that other credentials or stores may cure. */
const propertyCodes: ReadonlySet<string> = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'SaslFailed',
  'TlsFailed',
])
const isOfProperties = ({ code }: Failure) => propertyCodes.has(code)

/** The same failure as `kafkaFailureOf` gives: the library is loaded, unless that has failed. */
async function failureOf(thrown: unknown): Promise<Failure> {
  try {
    const { kafkaFailureOf } = await import('./kafka-failure.ts')
    return kafkaFailureOf(thrown)
  } catch {
    return { code: 'InternalFailure', message: messageOf(thrown), source: 'Kafka' }
  }
}

/** Every record failed, and none for what it is: the whole destination waits. */
function outcomeOf(records: readonly RecordOutcome[]): CallOutcome {
  const failures = records.flatMap((outcome) => (outcome.ok ? [] : [outcome.failure]))
  const [first] = failures
  const isWhole = failures.length === records.length
  if (first === undefined || !isWhole) return { answered: true, records }
  if (failures.some((failure) => classify(failure) === 'record')) return { answered: true, records }
  const failure = failures.find((one) => classify(one) === 'destination') ?? first
  return { answered: false, failure }
}

/** The call of the action has the parameters that it gave it. */
function kafkaRecordOf({ call = '{}', data }: QueuedRecord): KafkaRecord {
  const {
    key,
    partition,
    headers = [],
  } = decodeServiceCall(call).parameters as unknown as {
    readonly key?: string
    readonly partition?: number
    readonly headers?: readonly { readonly key: string; readonly value: string }[]
  }
  return {
    ...(key !== undefined && { key: Buffer.from(key) }),
    ...(partition !== undefined && { partition }),
    headers: headers.map(({ key: name, value }) => [Buffer.from(name), Buffer.from(value)]),
    value: data,
  }
}
