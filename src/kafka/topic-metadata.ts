import { ResponseError } from '@platformatic/kafka'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { BrokerAddress } from './client-properties.ts'
import type { Connections } from './connections.ts'
import { failureOfCode } from './kafka-failure.ts'
import { KafkaProblem } from './kafka-problem.ts'

/** What a cluster says of a topic. */
export interface Topic {
  /** The id of the broker that leads each partition; undefined while there is none. */
  readonly leaders: readonly (number | undefined)[]
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  readonly askedAtMs: number
}

/** Who leads the partitions of topics. */
interface TopicMetadata {
  /** @throws Error of the library, of the network or KafkaProblem */
  of(name: string): Promise<Topic>
  /** The same, unless it was asked for just now. */
  newerThan(name: string, topic: Topic): Promise<Topic>
  /** What was said of the topic is not true any more. */
  forget(name: string, topic: Topic): void
}

const topicsMax = 1_000
/** Kafka's own clients use the same (metadata.max.age.ms). */
const validMs = 300_000
/** Between two questions for a partition that a topic does not have. */
const betweenAsksMs = 5_000
/** A topic that a broker creates on demand is there a moment after the first question. */
const creationMs = 250
const unknownTopicCode = 3

export function createTopicMetadata(
  { clock }: { readonly clock: Clock },
  connections: Connections,
  servers: readonly BrokerAddress[],
): TopicMetadata {
  const topics = createBoundedMap<string, Topic>(topicsMax)
  const asking = new Map<string, Promise<Topic>>()
  let turn = Math.floor(Math.random() * servers.length)

  /** Any broker that answers: one that is connected already, or one of the bootstrap servers. */
  async function anyConnection(): Promise<BrokerConnection> {
    const open = await connections.anyOpen()
    if (open !== undefined) return open
    let failure: unknown
    turn += 1
    for (let ahead = 0; ahead < servers.length; ahead++) {
      const server = servers[(turn + ahead) % servers.length]
      if (server === undefined) continue
      try {
        return await connections.to(server)
      } catch (thrown) {
        failure = thrown
      }
    }
    throw failure
  }

  async function ask(name: string): Promise<Topic> {
    const first = await answerFor(await anyConnection(), name)
    let said = first.topics.find((topic) => topic.name === name)
    let { brokers } = first
    if (said?.errorCode === unknownTopicCode) {
      await clock.sleep(creationMs)
      const second = await answerFor(await anyConnection(), name)
      said = second.topics.find((topic) => topic.name === name)
      brokers = second.brokers
    }
    if (said === undefined) throw new KafkaProblem('BadAnswer', `no answer about topic ${name}`)
    if (said.errorCode !== 0) {
      const { code, message } = failureOfCode(said.errorCode)
      throw new KafkaProblem(code, `topic ${name}: ${message}`)
    }
    return topicOf(said.partitions, brokers, clock.monotonicMs())
  }

  function askOnce(name: string): Promise<Topic> {
    const running = asking.get(name)
    if (running !== undefined) return running
    const begun = ask(name)
      .then((topic) => {
        topics.set(name, topic)
        return topic
      })
      .finally(() => asking.delete(name))
    asking.set(name, begun)
    return begun
  }

  return {
    async of(name) {
      const known = topics.get(name)
      const isValid = known !== undefined && clock.monotonicMs() < known.askedAtMs + validMs
      return isValid ? known : askOnce(name)
    },
    async newerThan(name, topic) {
      return clock.monotonicMs() < topic.askedAtMs + betweenAsksMs ? topic : askOnce(name)
    },
    forget(name, topic) {
      if (topics.get(name) === topic) topics.delete(name)
    },
  }
}

type Answer = Awaited<ReturnType<BrokerConnection['metadata']['async']>>

async function answerFor(connection: BrokerConnection, name: string): Promise<Answer> {
  try {
    // As Kafka's own clients do, it lets the broker create the topic, where it is set up to.
    return await connection.request(connection.metadata, [name], true, false)
  } catch (thrown) {
    // The library throws an answer in which a topic or a partition has an error.
    const { response } = thrown as { readonly response?: Answer }
    if (thrown instanceof ResponseError && response !== undefined) return response
    throw thrown
  }
}

function topicOf(
  partitions: Answer['topics'][number]['partitions'],
  brokers: Answer['brokers'],
  askedAtMs: number,
): Topic {
  const leaders: (number | undefined)[] = partitions.map(() => undefined)
  for (const { partitionIndex, leaderId } of partitions) {
    if (!(partitionIndex in leaders)) throw new KafkaProblem('BadAnswer', 'a partition is missing')
    leaders[partitionIndex] = leaderId >= 0 ? leaderId : undefined
  }
  if (leaders.length === 0) throw new KafkaProblem('BadAnswer', 'the topic has no partition')
  const known = brokers.filter(isAddress)
  return {
    leaders,
    brokers: new Map(known.map(({ nodeId, host, port }) => [nodeId, { host, port }])),
    askedAtMs,
  }
}

const isAddress = ({ host, port }: BrokerAddress) => host !== '' && port > 0 && port < 65_536
