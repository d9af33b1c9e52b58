import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  KinesisClient,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from '@aws-sdk/client-kinesis'
import { createHistogram } from './histogram.ts'
import { cpuMicroseconds } from './processes.ts'

/**
 * `npm run bench:lab`: how fast the local Kinesis is there, how many records it takes in PutRecords
 * of 500 x 200 B (with its data on disk, and kinesalite beside it), what a million of them cost in
 * memory, and how long a record takes from its put to an event of enhanced fan-out. Each server is
 * a process of its own, without limits; the records are prepared before, so that the client costs
 * little.
 */
const { values: options } = parseArgs({
  options: {
    /** Measured time of each server. */
    seconds: { type: 'string', default: '5' },
  },
})
const seconds = Number(options.seconds)

const recordsPerCall = 500
const recordBytes = 200
const shardCount = 4
const connections = 4
const storedRecords = 1_000_000
const fanOutPuts = 500
const fanOutIntervalMs = 10
const StreamName = 'bench'
const StreamARN = `arn:aws:kinesis:us-east-1:000000000000:stream/${StreamName}`

interface LabProcess {
  readonly pid: number
  readonly port: number
  readonly readyMs: number
  stop(): Promise<void>
}

async function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<LabProcess> {
  const startMs = performance.now()
  const child = spawn(process.execPath, args, {
    env: {
      PATH: process.env['PATH'],
      SLUICE_LAB_PORT: '0',
      SLUICE_LAB_LIMITS: 'off',
      SLUICE_LAB_MAX_BYTES: String(4 * 1024 ** 3),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = await new Promise<{ kinesis: number }>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended (${code})`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as { msg: string; kinesis: number }
      if (entry.msg === 'ready') resolve(entry)
    })
  })
  return {
    pid: child.pid ?? 0,
    port: ready.kinesis,
    readyMs: performance.now() - startMs,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

const startSluice = () => start([path.resolve('dist/main.js'), 'kinesis'])
const startOnDisk = (SLUICE_LAB_DATA: string) =>
  start([path.resolve('dist/main.js'), 'kinesis'], { SLUICE_LAB_DATA })
const startKinesalite = () => start([path.join(import.meta.dirname, 'lab-peer.js')])

const agent = new Agent({ keepAlive: true })

function call(port: number, operation: string, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': `Kinesis_20131202.${operation}`,
          'content-length': body.length,
          // kinesalite looks for it.
          authorization:
            'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=a',
          'x-amz-date': '20260101T000000Z',
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`${operation}: ${response.statusCode} ${text}`))
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

const json = (input: object): Buffer => Buffer.from(JSON.stringify(input))

async function createStream(port: number): Promise<void> {
  await call(port, 'CreateStream', json({ StreamName, ShardCount: shardCount }))
  for (;;) {
    const text = await call(port, 'DescribeStreamSummary', json({ StreamName }))
    if (text.includes('"ACTIVE"')) return
    await sleep(10)
  }
}

const putBodies = Array.from({ length: 16 }, () =>
  json({
    StreamName,
    Records: Array.from({ length: recordsPerCall }, () => ({
      PartitionKey: randomBytes(8).toString('hex'),
      Data: randomBytes(recordBytes).toString('base64'),
    })),
  }),
)

/** Puts until `isEnough` says so, over all connections; gives how many records. */
async function put(
  port: number,
  isEnough: (records: number) => boolean,
  bodies: readonly Buffer[] = putBodies,
): Promise<number> {
  let calls = 0
  const loop = async () => {
    while (!isEnough(calls * recordsPerCall)) {
      calls++
      const body = bodies[calls % bodies.length] ?? Buffer.alloc(0)
      const text = await call(port, 'PutRecords', body)
      if (!text.includes('"FailedRecordCount":0')) throw new Error(text.slice(0, 200))
    }
  }
  await Promise.all(Array.from({ length: connections }, loop))
  return calls * recordsPerCall
}

async function measurePuts(name: string, lab: LabProcess): Promise<void> {
  await createStream(lab.port)
  const warmMs = performance.now() + 1_000
  await put(lab.port, () => performance.now() > warmMs)
  const cpuBefore = await cpuMicroseconds(lab.pid)
  const startMs = performance.now()
  const records = await put(lab.port, () => performance.now() > startMs + seconds * 1_000)
  const wallSeconds = (performance.now() - startMs) / 1_000
  const cpuSeconds = ((await cpuMicroseconds(lab.pid)) - cpuBefore) / 1e6
  row(`${name}: PutRecords, records a second`, records / wallSeconds)
  row(`${name}: PutRecords, records a CPU second`, records / cpuSeconds)
}

/** Calls with one record each: with a disk, every call waits for a flush. */
async function measureSinglePuts(name: string, lab: LabProcess): Promise<void> {
  const body = json({
    StreamName,
    Records: [{ PartitionKey: 'key', Data: randomBytes(recordBytes).toString('base64') }],
  })
  const startMs = performance.now()
  const calls = await put(lab.port, () => performance.now() > startMs + seconds * 1_000, [body])
  const wallSeconds = (performance.now() - startMs) / 1_000
  row(`${name}: PutRecords of one record, calls a second`, calls / recordsPerCall / wallSeconds)
}

async function measureAllPuts(name: string, lab: LabProcess): Promise<void> {
  await measurePuts(name, lab)
  await measureSinglePuts(name, lab)
}

async function measureOnDisk(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'))
  const open = () => startOnDisk(folder)
  try {
    await withLab(open, (lab) => measureAllPuts('sluice on disk', lab))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureMemory(lab: LabProcess): Promise<void> {
  await createStream(lab.port)
  await put(lab.port, (records) => records >= storedRecords)
  const status = await readFile(`/proc/${lab.pid}/status`, 'utf8')
  const mebibytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  row('sluice: RSS with 1 M records of 200 B, MiB', mebibytes)
}

/** From just before the put to the event, in the same process. */
async function measureFanOut(lab: LabProcess): Promise<void> {
  await call(lab.port, 'CreateStream', json({ StreamName, ShardCount: 1 }))
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${lab.port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  })
  const register = new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'bench' })
  const { Consumer } = await client.send(register)
  await sleep(200)
  const { EventStream } = await client.send(
    new SubscribeToShardCommand({
      ConsumerARN: Consumer?.ConsumerARN,
      ShardId: 'shardId-000000000000',
      StartingPosition: { Type: 'LATEST' },
    }),
  )
  const histogram = createHistogram()
  const reading = (async () => {
    let seen = 0
    for await (const { SubscribeToShardEvent: event } of EventStream ?? []) {
      for (const { PartitionKey } of event?.Records ?? []) {
        histogram.add((performance.now() - Number(PartitionKey)) * 1_000)
        seen++
      }
      if (seen >= fanOutPuts) return
    }
  })()
  const Data = randomBytes(recordBytes).toString('base64')
  for (let index = 0; index < fanOutPuts; index++) {
    const PartitionKey = String(performance.now())
    void call(lab.port, 'PutRecord', json({ StreamName, Data, PartitionKey }))
    await sleep(fanOutIntervalMs)
  }
  await reading
  client.destroy()
  const { p50 = 0, p99 = 0 } = histogram.latency() ?? {}
  row('sluice: fan-out, put to event, p50 ms', p50 / 1_000)
  row('sluice: fan-out, put to event, p99 ms', p99 / 1_000)
}

async function measureReady(): Promise<void> {
  const times: number[] = []
  for (let round = 0; round < 5; round++) {
    const lab = await startSluice()
    times.push(lab.readyMs)
    await lab.stop()
  }
  row('sluice: process to ready, ms', times.toSorted((a, b) => a - b)[2] ?? 0)
}

function row(name: string, value: number): void {
  const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
  console.log(`${name.padEnd(52)} ${shown.padStart(12)}`)
}

async function withLab(
  open: () => Promise<LabProcess>,
  measure: (lab: LabProcess) => Promise<void>,
): Promise<void> {
  const lab = await open()
  try {
    await measure(lab)
  } finally {
    await lab.stop()
  }
}

await measureReady()
await withLab(startSluice, (lab) => measureAllPuts('sluice', lab))
await measureOnDisk()
await withLab(startKinesalite, (lab) => measurePuts('kinesalite', lab))
await withLab(startSluice, measureMemory)
await withLab(startSluice, measureFanOut)
agent.destroy()
