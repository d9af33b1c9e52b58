import {
  CreateStreamCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
  RegisterStreamConsumerCommand,
} from '@aws-sdk/client-kinesis'
import type { GetShardIteratorCommandInput, Shard } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { region } from '../lab-fixtures.ts'

/** What a case does its work with: a client, and streams of its own. */
export interface Bench {
  readonly port: number
  readonly client: KinesisClient
  /** A stream that nobody else has, ACTIVE. */
  readonly stream: (shardCount?: number) => Promise<TestStream>
  /** A stream of one shard that all share who leave it as it is, but for small records. */
  readonly common: () => Promise<TestStream>
}

export interface TestStream {
  readonly StreamName: string
  readonly StreamARN: string
  /** Resolves when a change of the stream is done. */
  readonly active: () => Promise<void>
  readonly shards: () => Promise<readonly Shard[]>
  readonly put: (text: string, ExplicitHashKey?: string) => Promise<string>
  readonly iterator: (input?: Partial<GetShardIteratorCommandInput>) => Promise<string>
  /** The ARN of a new consumer that is ACTIVE. */
  readonly consumer: (ConsumerName: string) => Promise<string>
}

export const idOf = (number: number) => `shardId-${String(number).padStart(12, '0')}`

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
const requestTimeoutMs = 15_000
const pollMs = 15
const creatingMax = 4

export function createBench(port: number): Bench {
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${port}`,
    region,
    credentials,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ requestTimeout: requestTimeoutMs }),
  })
  let streams = 0
  const inTurn = createTurns(creatingMax)
  const stream = async (shardCount = 1) => {
    const StreamName = `stream-${++streams}`
    await inTurn(async () => {
      await client.send(new CreateStreamCommand({ StreamName, ShardCount: shardCount }))
      await whenActive(client, StreamName)
    })
    return testStream(client, StreamName, inTurn)
  }
  let common: Promise<TestStream> | undefined
  return { port, client, stream, common: () => (common ??= stream()) }
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>

/** So many pieces of work at a time, as fewer than five streams and consumers may be CREATING. */
function createTurns(atOnceMax: number): InTurn {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= atOnceMax) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

async function testStream(
  client: KinesisClient,
  StreamName: string,
  inTurn: InTurn,
): Promise<TestStream> {
  const described = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
  const StreamARN = described.StreamDescriptionSummary?.StreamARN ?? ''
  return {
    StreamName,
    StreamARN,
    active: () => whenActive(client, StreamName),
    async shards() {
      return (await client.send(new ListShardsCommand({ StreamName }))).Shards ?? []
    },
    async put(text, ExplicitHashKey) {
      const command = new PutRecordCommand({
        StreamName,
        PartitionKey: 'key',
        ExplicitHashKey,
        Data: Buffer.from(text),
      })
      return (await client.send(command)).SequenceNumber ?? ''
    },
    async iterator(input = {}) {
      const command = new GetShardIteratorCommand({
        StreamName,
        ShardId: idOf(0),
        ShardIteratorType: 'TRIM_HORIZON',
        ...input,
      })
      return (await client.send(command)).ShardIterator ?? ''
    },
    consumer: (ConsumerName) =>
      inTurn(async () => {
        const command = new RegisterStreamConsumerCommand({ StreamARN, ConsumerName })
        const ConsumerARN = (await client.send(command)).Consumer?.ConsumerARN ?? ''
        await until(async () => {
          const found = await client.send(new DescribeStreamConsumerCommand({ ConsumerARN }))
          return found.ConsumerDescription?.ConsumerStatus === 'ACTIVE'
        })
        return ConsumerARN
      }),
  }
}

const whenActive = (client: KinesisClient, StreamName: string) =>
  until(async () => {
    const found = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
    return found.StreamDescriptionSummary?.StreamStatus === 'ACTIVE'
  })

async function until(holds: () => Promise<boolean>): Promise<void> {
  do await new Promise((resolve) => setTimeout(resolve, pollMs))
  while (!(await holds()))
}

/** The name of the error that something ends with, or else what it ends with. */
export async function nameOfError(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'no error'
  } catch (error) {
    return error instanceof Error ? error.name : String(error)
  }
}
