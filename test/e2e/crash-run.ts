/**
 * The engine is killed again and again while clients publish; its Kinesis, in another process,
 * survives. What was acknowledged must be in the stream, in order; where the rule has them, in a
 * table in order, and in a queue.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { CreateStreamCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { readStreamUntil } from '../helpers/read-stream.ts'
import type { StreamRecord } from '../helpers/read-stream.ts'
import { startSequencePublisher } from '../helpers/sequence-publisher.ts'
import type { SequencePublisher } from '../helpers/sequence-publisher.ts'
import { startQueueAndTable } from './queue-and-table.ts'
import type { QueueAndTable } from './queue-and-table.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

export interface CrashRunOptions {
  readonly kills: number
  readonly clients: number
  /** Each message goes to a queue and to a table as well. */
  readonly hasServices?: boolean
  /** Of the moments of the kills. */
  readonly seed: number
}

export interface CrashRunResult {
  readonly published: number
  readonly acknowledged: number
  readonly records: number
  readonly duplicates: number
  /** What is wrong, one line each; empty when all held. */
  readonly faults: readonly string[]
}

/** Publishes of one client that are not acknowledged yet. */
const window = 8
/** Keeps the load at some thousands of messages a second, whatever the machine. */
const pauseMs = 5
const killAfterMs = { min: 150, max: 700 }
const streamName = 'sequences'
const arrivalCheckMs = 50

/** Runs it, from the start of both processes to the last record read. */
export async function crashRun(options: CrashRunOptions): Promise<CrashRunResult> {
  const folder = await temporaryFolder()
  const lab = startSluice(['kinesis'], { SLUICE_LAB_LIMITS: 'off' })
  const services = await startQueueAndTable()
  const running: { engine?: SluiceProcess } = {}
  try {
    const { kinesis: labPort } = await lab.ready()
    const endpoint = `http://127.0.0.1:${String(labPort)}`
    const kinesis = new KinesisClient({
      region: 'us-east-1',
      endpoint,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    await kinesis.send(new CreateStreamCommand({ StreamName: streamName, ShardCount: 2 }))
    const { hasServices = false } = options
    await writeRule(folder.path, hasServices)
    const endpoints = { kinesis: endpoint, services: services.endpoint }
    const start = (mqttPort: string) => startEngine(folder.path, endpoints, mqttPort)
    running.engine = start('0')
    const { mqtt } = await running.engine.ready()
    const port = String(mqtt)
    const publishers = Array.from({ length: options.clients }, (_, index) =>
      startSequencePublisher({
        port: Number(port),
        key: `c${index}`,
        topicPrefix: 'sequences/',
        window,
        pauseMs,
      }),
    )
    // Each client has begun, however slow the machine is.
    while (publishers.some((publisher) => publisher.acknowledged() === 0)) {
      await pause(arrivalCheckMs)
    }
    const random = createRandom(options.seed)
    for (let kill = 0; kill < options.kills; kill++) {
      const { min, max } = killAfterMs
      await pause(min + random() * (max - min))
      running.engine.kill('SIGKILL')
      await running.engine.ended
      running.engine = start(port)
      await running.engine.ready()
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const result = await compare(kinesis, publishers)
    if (!hasServices) return result
    await allArrived(services, publishers)
    return { ...result, faults: [...result.faults, ...faultsOfServices(services, publishers)] }
  } finally {
    running.engine?.kill('SIGKILL')
    services.close()
    lab.kill('SIGKILL')
    await Promise.all([running.engine?.ended, lab.ended])
    await folder.remove()
  }
}

function startEngine(
  folder: string,
  endpoints: { readonly kinesis: string; readonly services: string },
  mqttPort: string,
): SluiceProcess {
  return startSluice(['start'], {
    SLUICE_MQTT_PORT: mqttPort,
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: path.join(folder, 'rules'),
    SLUICE_ACCOUNT_ID: '210987654321',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'AKIASLUICE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_ENDPOINT_URL_KINESIS: endpoints.kinesis,
    AWS_ENDPOINT_URL_STS: endpoints.kinesis,
    AWS_ENDPOINT_URL: endpoints.services,
  })
}

async function writeRule(folder: string, hasServices: boolean): Promise<void> {
  const roleArn = 'arn:aws:iam::210987654321:role/write'
  const kinesis = { roleArn, streamName, partitionKey: '${topic(2)}' }
  const queueUrl = 'https://sqs.us-east-1.amazonaws.com/210987654321/sequences'
  const dynamoDB = {
    roleArn,
    tableName: 'sequences',
    hashKeyField: 'id',
    hashKeyValue: '${topic(2)}',
  }
  await mkdir(path.join(folder, 'rules'))
  await writeFile(
    path.join(folder, 'rules', 'sequences.json'),
    JSON.stringify({
      sql: "SELECT n, topic(2) AS key FROM 'sequences/+'",
      awsIotSqlVersion: '2016-03-23',
      actions: hasServices
        ? [{ kinesis }, { sqs: { roleArn, queueUrl } }, { dynamoDB }]
        : [{ kinesis }],
    }),
  )
}

async function compare(
  kinesis: KinesisClient,
  publishers: readonly SequencePublisher[],
): Promise<CrashRunResult> {
  const acknowledged = publishers.reduce((sum, each) => sum + each.acknowledged(), 0)
  const isEnough = createDistinctCount(acknowledged)
  const records = await readStreamUntil(kinesis, streamName, isEnough)
  kinesis.destroy()
  const byKey = new Map<string, number[]>()
  for (const { partitionKey, data } of records) {
    const ofKey = byKey.get(partitionKey) ?? []
    byKey.set(partitionKey, ofKey)
    ofKey.push((JSON.parse(data.toString()) as { readonly n: number }).n)
  }
  const faults = publishers.flatMap((publisher) =>
    faultsOf(publisher, byKey.get(publisher.key) ?? []),
  )
  const distinct = [...byKey.values()].reduce((sum, ofKey) => sum + new Set(ofKey).size, 0)
  return {
    published: publishers.reduce((sum, each) => sum + each.published(), 0),
    acknowledged,
    records: records.length,
    duplicates: records.length - distinct,
    faults,
  }
}

const isComplete = (numbers: readonly number[], count: number) =>
  numbers.length >= count && new Set(numbers).size >= count

/**
 * Waits until queue and table have as many different numbers of each key as were acknowledged, and
 * the table has the last one: a write whose answer was lost in a kill comes again, and so do the
 * writes of its key after it.
 */
async function allArrived(
  { queued, written }: QueueAndTable,
  publishers: readonly SequencePublisher[],
): Promise<void> {
  for (const publisher of publishers) {
    const { key } = publisher
    const count = publisher.acknowledged()
    const isWritten = () => isComplete(written(key), count) && (written(key).at(-1) ?? 0) === count
    while (!isComplete(queued(key), count) || !isWritten()) await pause(arrivalCheckMs)
  }
}

function faultsOfServices(
  { queued, written }: QueueAndTable,
  publishers: readonly SequencePublisher[],
): string[] {
  return publishers.flatMap((publisher) => {
    const { key } = publisher
    const sorted = queued(key).toSorted((left, right) => left - right)
    return [
      ...faultsOf(publisher, sorted).map((fault) => `queue: ${fault}`),
      ...faultsOf(publisher, written(key)).map((fault) => `table: ${fault}`),
    ]
  })
}

/** True once so many different records were read; each record is looked at once. */
function createDistinctCount(count: number) {
  const seen = new Set<string>()
  let looked = 0
  return (records: readonly StreamRecord[]): boolean => {
    for (; looked < records.length; looked++) {
      const record = records[looked]
      seen.add(`${record?.partitionKey} ${record?.data.toString()}`)
    }
    return seen.size >= count
  }
}

function faultsOf(publisher: SequencePublisher, arrived: readonly number[]): string[] {
  const { key, misplaced: misplacedAnswers } = publisher
  const first = [...new Set(arrived)]
  const missing = Array.from({ length: publisher.acknowledged() }, (_, index) => index + 1).filter(
    (n) => !first.includes(n),
  )
  const misplaced = first.filter((n, index) => n !== index + 1)
  // What comes again after a lost answer is followed by all that came after it.
  const skipped = arrived.filter((n, index) => index > 0 && n > (arrived[index - 1] ?? 0) + 1)
  return [
    ...misplacedAnswers.slice(0, 3),
    ...skipped.slice(0, 3).map((n) => `${key}: ${n} follows an older one than its predecessor`),
    ...missing.slice(0, 3).map((n) => `${key}: ${n} was acknowledged and is missing`),
    ...misplaced.slice(0, 3).map((n) => `${key}: ${n} is out of order, or follows a gap`),
  ]
}

/** Numbers in [0, 1) that are the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
