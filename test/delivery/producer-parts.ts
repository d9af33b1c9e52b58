import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createAwsCalls } from '../../src/aws/aws-calls.ts'
import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import { createProducer } from '../../src/delivery/producer.ts'
import type {
  Producer,
  ProducerDependencies,
  ProducerOptions,
} from '../../src/delivery/producer.ts'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { LabCall } from '../../src/lab/service/call-log.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'
import type { LimitSwitches } from '../../src/lab/streams/shard-limits.ts'
import type { DeliverySettings, Outbox, OutboxOptions } from '../../src/outbox/outbox.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import type { Metrics } from '../../src/telemetry/telemetry.ts'
import { noDelays } from '../lab/lab-fixtures.ts'
import {
  destination,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
} from '../outbox/outbox-parts.ts'

export interface Delivery {
  readonly lab: LabServer
  readonly outbox: Outbox
  readonly producer: Producer
  readonly metrics: Metrics
  readonly lines: readonly Record<string, unknown>[]
  close(): Promise<void>
}

export interface DeliveryOptions extends ProducerOptions {
  /** Streams of the lab. */
  readonly streams?: readonly string[]
  readonly directory?: string
  readonly makeStream?: ProducerDependencies['makeStream']
  readonly onGivenUp?: ProducerDependencies['onGivenUp']
  /** Stands between the producer and its calls. */
  readonly watch?: (put: KinesisCalls['put']) => KinesisCalls['put']
  /** What the producer is told of removals that are not on disk. */
  readonly removalsPending?: Outbox['removalsPending']
  /** Stands in for the outbox's own. */
  readonly giveUp?: Outbox['giveUp']
  /** How much faster the producer's clock runs. */
  readonly haste?: number
  readonly faultSeed?: number
  readonly requestTimeoutMs?: number
  /** Of each stream; 4 unless it is said. */
  readonly shardCount?: number
  /** Of the lab's shards; they refill by the producer's clock. */
  readonly limits?: LimitSwitches
  readonly outbox?: OutboxOptions
  /** The time of day, where it is not the machine's. */
  readonly wallMs?: () => number
}

/** Time that runs so many times faster for the producer's delays, so that tests need not wait. */
export function hastened(factor: number): Clock {
  const startMs = systemClock.wallMs()
  return {
    wallMs: () => startMs + (systemClock.wallMs() - startMs) * factor,
    monotonicMs: () => systemClock.monotonicMs() * factor,
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
    sleep: (delayMs, signal) => systemClock.sleep(delayMs / factor, signal),
  }
}

/** An outbox, a producer that is not started, and the lab's Kinesis and STS over HTTP. */
export async function openDelivery(options: DeliveryOptions = {}): Promise<Delivery> {
  const hasty = hastened(options.haste ?? 10)
  const lab = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region: 'us-east-1',
    accountId: '000000000000',
    callsMax: 100_000,
    faultSeed: options.faultSeed ?? 1,
    statusMs: noDelays,
    ...(options.shardCount && { shardCount: options.shardCount }),
    ...(options.limits && { limits: options.limits, clock: hasty }),
  })
  for (const name of options.streams ?? ['stream']) lab.ensureStream(name)
  const clock = options.wallMs ? { ...hasty, wallMs: options.wallMs } : hasty
  const { outbox, metrics } = await openTestOutbox(
    options.directory ?? temporaryDirectory(),
    options.outbox,
    clock,
  )
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const endpoint = `http://127.0.0.1:${lab.port}`
  const aws = createAwsCalls(
    { clock, logger },
    {
      kinesisEndpoint: endpoint,
      stsEndpoint: endpoint,
      baseCredentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
      ...(options.requestTimeoutMs && { requestTimeoutMs: options.requestTimeoutMs }),
    },
  )
  const { makeStream, onGivenUp, watch = (put) => put } = options
  const { removalsPending = () => outbox.removalsPending() } = options
  const giveUp: Outbox['giveUp'] =
    options.giveUp ?? ((destinationId, records) => outbox.giveUp(destinationId, records))
  const producer = createProducer(
    {
      outbox: { ...outbox, removalsPending, giveUp },
      callsFor(of) {
        const calls = aws.callsFor(of)
        return { ...calls, put: watch((request) => calls.put(request)) }
      },
      senderFor: ({ kind }) => {
        throw new Error(`no test sends to ${kind} here`)
      },
      clock,
      logger,
      metrics,
      ...(makeStream === undefined ? {} : { makeStream }),
      ...(onGivenUp === undefined ? {} : { onGivenUp }),
    },
    options,
  )

  let closed = false
  async function close(): Promise<void> {
    if (closed) return
    closed = true
    await producer.stop({ drainMs: 0 })
    await outbox.close()
    aws.close()
    await lab.close()
  }
  onTestFinished(close)
  return { lab, outbox, producer, metrics, lines, close }
}

/**
 * Appends `count` records of each key, a message a generation, and gives what each key must get.
 */
export async function appendRounds(
  { outbox }: Pick<Delivery, 'outbox'>,
  keys: readonly string[],
  count: number,
  settings: Partial<DeliverySettings> = {},
): Promise<Map<string, string[]>> {
  const to = destination('stream', settings)
  const texts = Array.from({ length: count }, (_, index) => String(index))
  await Promise.all(
    texts.map((text) => outbox.append(keys.map((key) => newRecordFor(to, key, text)))),
  )
  return new Map(keys.map((key) => [key, texts]))
}

/** The writing calls that the lab answered. */
export function putsOf({ lab }: Pick<Delivery, 'lab'>): readonly LabCall[] {
  return lab.calls.list().filter(({ operation }) => operation.startsWith('Put'))
}

/** The samples of a metric. */
export async function metricLines({ metrics }: Delivery, name: string): Promise<string[]> {
  const text = await metrics.registry.metrics()
  return text.split('\n').filter((line) => line.startsWith(`${name}{`))
}

/** Resolves when `holds` does; it is asked after each turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** The texts that a stream of the lab holds for each partition key, in the order of arrival. */
export function textsByKey(lab: LabServer, streamName: string): Map<string, string[]> {
  const texts = new Map<string, string[]>()
  for (const { partitionKey, data } of lab.streams.records(streamName)) {
    const ofKey = texts.get(partitionKey) ?? []
    ofKey.push(data.toString('utf8'))
    texts.set(partitionKey, ofKey)
  }
  return texts
}

/** Each text once, where it came first. */
export function withoutDuplicates(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}
