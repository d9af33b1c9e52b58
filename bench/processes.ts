import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type {
  ActionKind,
  FloorKind,
  LoadAnswer,
  LoadReport,
  LoadRequest,
  SinkAnswer,
  SinkRequest,
} from './messages.ts'

/** The processes of a benchmark, and what the system knows about them. */
export interface Server {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

export interface Sink extends Server {
  count(): Promise<Extract<SinkAnswer, { kind: 'count' }>>
  tell(request: SinkRequest): void
}

const sibling = (name: string): string => path.join(import.meta.dirname, name)

export async function startSink(): Promise<Sink> {
  const child = fork(sibling('sink.js'))
  const listening = await nextMessage<SinkAnswer>(child, ({ kind }) => kind === 'listening')
  const tell = (request: SinkRequest): void => void child.send(request)
  return {
    pid: pidOf(child),
    port: listening.kind === 'listening' ? listening.port : 0,
    tell,
    async count() {
      tell({ kind: 'count' })
      const answer = await nextMessage<SinkAnswer>(child, ({ kind }) => kind === 'count')
      if (answer.kind !== 'count') throw new Error('the sink does not count')
      return answer
    },
    stop: () => stopChild(child),
  }
}

export async function startFloor(kind: FloorKind): Promise<Server> {
  const child = fork(sibling('floor.js'), [kind])
  const port = await nextMessage<number>(child, () => true)
  return { pid: pidOf(child), port, stop: () => stopChild(child) }
}

/**
 * Runs one load.
 *
 * @param measuring called when the load generator has warmed up
 */
export async function runLoad(request: LoadRequest, measuring: () => void): Promise<LoadReport> {
  const child = fork(sibling('load.js'))
  child.send(request)
  try {
    for (;;) {
      const answer = await nextMessage<LoadAnswer>(child, () => true)
      if (answer.kind === 'report') return answer.report
      measuring()
    }
  } finally {
    await stopChild(child)
  }
}

export interface EngineOptions {
  readonly sinkPort: number
  readonly unansweredMax: number
  /** Rules with filters that no message has. */
  readonly otherRules: number
  /** What the rule does with each message; a record of Kinesis when absent. */
  readonly action?: ActionKind | undefined
  /** Rules that match each message; one when absent. */
  readonly matchingRules?: number | undefined
  /** Whether each topic has a stream of its own. */
  readonly hasManyStreams?: boolean | undefined
  /** A data folder to go on with; absent for a new one that is removed at the end. */
  readonly dataDir?: string
}

export interface Engine extends Server {
  readonly httpPort: number
  /** From the start of the process to its line `ready`. */
  readonly readyMs: number
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'))
  const rulesDir = path.join(folder, 'rules')
  await mkdir(rulesDir)
  for (const [name, payload] of Object.entries(rules(options))) {
    await writeFile(path.join(rulesDir, `${name}.json`), JSON.stringify(payload))
  }
  const endpoint = `http://127.0.0.1:${options.sinkPort}`
  const main = process.env['SLUICE_BENCH_MAIN'] ?? path.resolve('dist/main.js')
  const startMs = performance.now()
  // For a profile: SLUICE_BENCH_NODE_ARGS='--cpu-prof --cpu-prof-dir=/tmp/profile'
  const nodeArgs = process.env['SLUICE_BENCH_NODE_ARGS']?.split(' ') ?? []
  const child = spawn(process.execPath, [...nodeArgs, main, 'start'], {
    env: {
      PATH: process.env['PATH'],
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_AUTH: 'off',
      SLUICE_RULES_DIR: rulesDir,
      SLUICE_DATA_DIR: options.dataDir ?? path.join(folder, 'data'),
      SLUICE_MQTT_UNANSWERED_MAX: String(options.unansweredMax),
      SLUICE_OUTBOX_MAX_BYTES: String(16 * 1024 ** 3),
      SLUICE_ACCOUNT_ID: '000000000000',
      SLUICE_LOG_LEVEL: 'info',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
      AWS_ENDPOINT_URL_FIREHOSE: endpoint,
      AWS_ENDPOINT_URL_KINESIS: endpoint,
      AWS_ENDPOINT_URL_SQS: endpoint,
      AWS_ENDPOINT_URL_STS: endpoint,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = await new Promise<Record<string, unknown>>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the engine ended (${code})`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>
      if (entry['msg'] === 'ready') resolve(entry)
      else if (entry['level'] !== 'info') console.error(line)
    })
  })
  return {
    pid: pidOf(child),
    port: Number(ready['mqtt']),
    httpPort: Number(ready['http']),
    readyMs: performance.now() - startMs,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Rules with a WHERE that every message fulfils, and others that none is for. */
function rules({
  otherRules,
  matchingRules = 1,
  hasManyStreams = false,
  action: kind = 'kinesis',
}: EngineOptions): Record<string, object> {
  const action = hasManyStreams ? manyStreams : { [kind]: actions[kind] }
  const all: Record<string, object> = {}
  for (let index = 0; index < matchingRules; index++)
    all[`bench_${index}`] = rule('bench/+', action)
  for (let index = 0; index < otherRules; index++) {
    all[`other_${index}`] = rule(`other/${index}/+`, { kinesis: actions.kinesis })
  }
  return all
}

const roleArn = 'arn:aws:iam::000000000000:role/bench'
const queueUrl = 'https://sqs.us-east-1.amazonaws.com/000000000000/bench'

const actions = {
  kinesis: { roleArn, streamName: 'bench', partitionKey: '${topic()}' },
  sqs: { roleArn, queueUrl, useBase64: false },
  firehose: { roleArn, deliveryStreamName: 'bench', separator: '\n' },
}

const manyStreams = { kinesis: { ...actions.kinesis, streamName: 'bench-${topic(2)}' } }

const rule = (filter: string, action: object): object => ({
  sql: `SELECT * FROM '${filter}' WHERE temp > 20`,
  awsIotSqlVersion: '2016-03-23',
  actions: [action],
})

/** CPU time of a process so far, of all its threads, in microseconds. */
export async function cpuMicroseconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick
}

/** Linux counts in ticks of 10 ms. */
export const microsecondsPerTick = 10_000

export interface MemoryWatch {
  /** The most that was seen, in bytes. */
  stop(): number
}

/**
 * The memory of a process but for the files that it maps, in bytes; 0 once it has ended. The
 * outbox's file is mapped and counts into RSS, though it is page cache.
 */
export async function readAnonymousBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}

/** Watches the memory of a process. */
export function watchMemory(pid: number): MemoryWatch {
  let peak = 0
  const look = async (): Promise<void> => {
    peak = Math.max(peak, await readAnonymousBytes(pid))
  }
  const timer = setInterval(() => void look(), 100)
  return {
    stop() {
      clearInterval(timer)
      return peak
    },
  }
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process did not start')
  return pid
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

function nextMessage<Message>(
  child: ChildProcess,
  isWanted: (message: Message) => boolean,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a process ended (${code})`))
    const onMessage = (message: unknown) => {
      if (!isWanted(message as Message)) return
      child.off('message', onMessage)
      child.off('exit', onExit)
      resolve(message as Message)
    }
    child.on('message', onMessage)
    child.once('exit', onExit)
  })
}
