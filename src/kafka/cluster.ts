import type { MessageRecord } from '@platformatic/kafka'
import { ResponseError, compressionsAlgorithms } from '@platformatic/kafka'
import type { RecordOutcome } from '../aws/call/call-outcome.ts'
import { classify } from '../aws/call/failure-class.ts'
import type { Clock } from '../base/clock.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { BrokerAddress } from './client-properties.ts'
import type { ClusterOptions } from './cluster-options.ts'
import { createConnections } from './connections.ts'
import type { ConnectionsDependencies } from './connections.ts'
import { failure, failureOfCode, kafkaFailureOf } from './kafka-failure.ts'
import { KafkaProblem } from './kafka-problem.ts'
import { partitionOfKey } from './partition-of-key.ts'
import { produceInParts } from './produce-in-parts.ts'
import { createTopicMetadata } from './topic-metadata.ts'
import type { Topic } from './topic-metadata.ts'

/** A record on its way to a topic. */
export interface KafkaRecord {
  readonly key?: Buffer | undefined
  readonly value: Buffer
  /** In order; names may stand several times. */
  readonly headers: readonly (readonly [Buffer, Buffer])[]
  /** Absent: the key decides, else the records of a call share one partition. */
  readonly partition?: number | undefined
}

/** The brokers of one cluster with the properties of a rule. */
export interface Cluster {
  /**
   * Writes records to a topic, those of one partition in their order.
   *
   * @returns the outcome of each record
   * @throws when nothing is known of any record: `kafkaFailureOf` says what it means
   */
  produce(topic: string, records: readonly KafkaRecord[]): Promise<readonly RecordOutcome[]>
  /** Closes all connections and fails the requests in flight. */
  close(): void
}

/** How long the replicas have to take a record before the broker says that they did not. */
const replicaTimeoutMs = 10_000

/** A record with the partition that it goes to. */
interface Placed {
  readonly index: number
  readonly record: KafkaRecord
  readonly partition: number
}

export function createCluster(
  dependencies: ConnectionsDependencies,
  options: ClusterOptions,
): Cluster {
  const { clock } = dependencies
  const connections = createConnections(dependencies, options)
  const topics = createTopicMetadata({ clock }, connections, options.servers)
  /** Where the next call without keys goes, so that they spread over the partitions. */
  let turn = Math.floor(Math.random() * 1_000)

  async function place(name: string, records: readonly KafkaRecord[]) {
    let topic = await topics.of(name)
    const highest = records.reduce((max, { partition = 0 }) => Math.max(max, partition), 0)
    // Partitions may have been added since.
    if (highest >= topic.leaders.length) topic = await topics.newerThan(name, topic)
    turn += 1
    const shared = sharedPartition(topic, turn)
    const placed = records.map(({ partition, key, ...record }, index) => ({
      index,
      record: { ...record, key },
      partition: partition ?? (key ? partitionOfKey(key, topic.leaders.length) : shared),
    }))
    return { topic, placed }
  }

  async function writeTo(
    leader: BrokerAddress,
    name: string,
    records: readonly Placed[],
  ): Promise<readonly RecordOutcome[]> {
    return produceInParts(records, async (part) => {
      try {
        const messages = part.map((placed) => messageOf(name, placed, clock))
        return await responsesOf(await connections.to(leader), messages, options)
      } catch (thrown) {
        const outcome = { ok: false, failure: kafkaFailureOf(thrown) } as const
        return () => outcome
      }
    })
  }

  return {
    async produce(name, records) {
      const { topic, placed } = await place(name, records)
      const outcomes = new Map<number, RecordOutcome>()
      const byLeader = new Map<number, Placed[]>()
      for (const one of placed) {
        const leader = topic.leaders[one.partition]
        const refusal = placeProblem(name, topic, one.partition)
        if (refusal !== undefined) outcomes.set(one.index, { ok: false, failure: refusal })
        else if (leader !== undefined) {
          const list = byLeader.get(leader) ?? []
          list.push(one)
          byLeader.set(leader, list)
        }
      }
      await Promise.all(
        [...byLeader].map(async ([leader, list]) => {
          const address = topic.brokers.get(leader)
          // `placeProblem` has looked.
          if (address === undefined) return
          const written = await writeTo(address, name, list)
          for (const [at, { index }] of list.entries()) {
            outcomes.set(index, written[at] ?? unanswered)
          }
        }),
      )
      const inOrder = records.map((_record, index) => outcomes.get(index) ?? unanswered)
      // A broker that is gone or that leads no more: the next call asks who leads now.
      if (inOrder.some(isNotRefusal)) topics.forget(name, topic)
      return inOrder
    },
    close: () => connections.close(),
  }
}

/** Why a partition cannot be written to; undefined when its leader is known. */
function placeProblem(name: string, { leaders, brokers }: Topic, partition: number) {
  if (partition >= leaders.length) {
    return failure(
      'PartitionMissing',
      `the topic ${name} has ${leaders.length} partitions, and none with the number ${partition}`,
    )
  }
  const leader = leaders[partition]
  if (leader !== undefined && brokers.has(leader)) return undefined
  return failure('LEADER_NOT_AVAILABLE', `partition ${partition} of ${name} has no leader now`)
}

/** The partition of records that have neither key nor partition: one that can be written to. */
function sharedPartition({ leaders, brokers }: Topic, turn: number): number {
  for (let ahead = 0; ahead < leaders.length; ahead++) {
    const partition = (turn + ahead) % leaders.length
    const leader = leaders[partition]
    if (leader !== undefined && brokers.has(leader)) return partition
  }
  return 0
}

/** The record was not written, for a reason that is not its own. */
const isNotRefusal = (outcome: RecordOutcome) =>
  !outcome.ok && classify(outcome.failure) !== 'record'

/** The time is that of sending: a record must not be too old for its topic because it waited. */
function messageOf(
  topic: string,
  { record: { key, value, headers }, partition }: Placed,
  clock: Clock,
): MessageRecord {
  const timestamp = BigInt(Math.floor(clock.wallMs()))
  return { topic, partition, value, headers: new Map(headers), timestamp, ...(key && { key }) }
}

/** What the broker says of each partition. */
async function responsesOf(
  connection: BrokerConnection,
  messages: MessageRecord[],
  { acks, compression: wanted }: ClusterOptions,
): Promise<(partition: number) => RecordOutcome> {
  // Node has Zstandard from 22.15 on. Readers see no difference.
  const compression = compressionsAlgorithms[wanted].available ? wanted : 'lz4'
  const batch = { compression, producerId: -1n, producerEpoch: -1 }
  const answer = await connection
    .request(connection.produce, acks, replicaTimeoutMs, messages, batch)
    .catch((thrown: unknown) => {
      // The library throws an answer in which a partition has an error.
      if (thrown instanceof ResponseError) return responseIn(thrown)
      throw thrown
    })
  if (typeof answer !== 'object') throw new KafkaProblem('BadAnswer', 'the broker did not answer')
  const partitions = answer.responses.flatMap(({ partitionResponses }) => partitionResponses)
  const byIndex = new Map(partitions.map((one) => [one.index, one]))
  return (partition) => {
    const said = byIndex.get(partition)
    if (said === undefined) return unanswered
    if (said.errorCode === 0) return { ok: true }
    const message = said.recordErrors[0]?.batchIndexErrorMessage ?? said.errorMessage
    return { ok: false, failure: failureOfCode(said.errorCode, message ?? undefined) }
  }
}

type ProduceAnswer = Awaited<ReturnType<BrokerConnection['produce']['async']>>

function responseIn(error: ResponseError): ProduceAnswer {
  const { response } = error as unknown as { readonly response?: ProduceAnswer }
  return response ?? false
}

const unanswered: RecordOutcome = Object.freeze({
  ok: false,
  failure: failure('BadAnswer', 'the answer says nothing about the partition of this record'),
})
