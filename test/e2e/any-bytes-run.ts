/**
 * Clients whose bytes make little sense, many at a time, against a running engine; well-behaved
 * clients beside them must notice nothing of it, and the engine must keep nothing.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'
import { mutatedSession, noisePrefix, noiseRuleName } from './mutated-mqtt.ts'
import type { MutatedSession } from './mutated-mqtt.ts'

export interface AnyBytesOptions {
  readonly sessions: number
  /** Of the bytes: with the number of a session it gives them again. */
  readonly seed: number
}

export interface AnyBytesResult {
  /** Messages of the well-behaved clients. */
  readonly acknowledged: number
  readonly longestWaitMs: number
  /** Private memory of the engine that the second half of the sessions added. */
  readonly keptBytes: number
  /** What is wrong, one line each; empty when all held. */
  readonly faults: readonly string[]
}

const openMax = 32
/** After the client's last byte. */
const closeTimeoutMs = 15_000
/** For connections and bytes to be given back, and memory by the collector. */
const settleTimeoutMs = 20_000
const pollMs = 20
/** Less than a subscriber has to drain, for whom a publisher would wait. */
const answeredWithinMs = 4_000
/** Between two messages of a well-behaved client. */
const pauseMs = 2
const keptBytesMax = 64 * 1_048_576
const heapMebibytesMax = 128
const region = 'us-east-1'
const accountId = '210987654321'
const witnessPrefix = 'witness/'

/** Runs it, from the start of the engine to its end by SIGTERM. */
export async function anyBytesRun({ sessions, seed }: AnyBytesOptions): Promise<AnyBytesResult> {
  const folder = await temporaryFolder()
  const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId })
  let engine: SluiceProcess | undefined
  try {
    lab.ensureStream('witness', 2)
    lab.ensureStream('noise', 2)
    await writeRules(folder.path)
    engine = startEngine(folder.path, lab)
    const target = await targetOf(engine)
    const subscriber = await startSubscriber(target)
    const witnesses = await Promise.all([startWitness(target, 1), startWitness(target, 2)])
    const half = Math.ceil(sessions / 2)
    const faults = await sendSessions(target, seed, { from: 0, to: half })
    const before = await ownBytesOf(engine)
    faults.push(...(await sendSessions(target, seed, { from: half, to: sessions })))
    for (const witness of witnesses) await witness.stop()
    faults.push(...(await subscriber.faultsAfter(witnesses)))
    faults.push(...(await unreturned(target)))
    const keptBytes = (await memoryAtRest(target, before)) - before
    if (keptBytes > keptBytesMax) faults.push(`${keptBytes} bytes of memory are not given back`)
    faults.push(...(await streamFaults(lab, witnesses)), ...(await endFaults(engine)))
    const longestWaitMs = Math.max(...witnesses.map((witness) => witness.longestWaitMs()))
    if (longestWaitMs > answeredWithinMs) faults.push(`an answer took ${longestWaitMs} ms`)
    return {
      acknowledged: witnesses.reduce((sum, witness) => sum + witness.acknowledged(), 0),
      longestWaitMs,
      keptBytes,
      faults: [...faults, ...witnesses.flatMap((witness) => witness.faults)],
    }
  } finally {
    engine?.kill('SIGKILL')
    await engine?.ended
    await lab.close()
    await folder.remove()
  }
}

async function writeRules(folder: string): Promise<void> {
  const rules = path.join(folder, 'rules')
  await mkdir(rules)
  const roleArn = `arn:aws:iam::${accountId}:role/write`
  const rule = (sql: string, streamName: string) =>
    JSON.stringify({
      sql,
      awsIotSqlVersion: '2016-03-23',
      actions: [{ kinesis: { roleArn, streamName, partitionKey: '${topic(2)}' } }],
    })
  const noise = `SELECT *, topic() AS topic FROM '${noisePrefix}#' WHERE n > 4`
  await writeFile(path.join(rules, `${noiseRuleName}.json`), rule(noise, 'noise'))
  await writeFile(
    path.join(rules, 'witness.json'),
    rule(`SELECT * FROM '${witnessPrefix}+'`, 'witness'),
  )
}

function startEngine(folder: string, lab: LabServer): SluiceProcess {
  const endpoint = `http://127.0.0.1:${lab.port}`
  return startSluice(['start'], {
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: path.join(folder, 'rules'),
    SLUICE_ACCOUNT_ID: accountId,
    // Metrics are read.
    SLUICE_AUTH: 'off',
    // So that what is not given back ends it, and the collector does not wait for more.
    NODE_OPTIONS: `--max-old-space-size=${heapMebibytesMax}`,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: 'AKIASLUICE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_ENDPOINT_URL_KINESIS: endpoint,
    AWS_ENDPOINT_URL_STS: endpoint,
  })
}

interface Target {
  readonly engine: SluiceProcess
  readonly ports: Readonly<Record<MutatedSession['transport'], number>>
}

async function targetOf(engine: SluiceProcess): Promise<Target> {
  const { mqtt, http } = await engine.ready()
  return { engine, ports: { tcp: Number(mqtt), webSocket: Number(http) } }
}

async function sendSessions(
  { engine, ports }: Target,
  seed: number,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<string[]> {
  const faults: string[] = []
  const open = new Set<number>()
  let next = from
  const endedEarly = async () => {
    const code = await engine.ended
    const suspects = [...open].join(' ')
    next = to
    throw new Error(
      `the engine ended (${code}), seed ${seed}, sessions ${suspects}: ${engine.stderr()}`,
    )
  }
  const sendSome = async () => {
    while (next < to) {
      const number = next++
      open.add(number)
      const session = mutatedSession(seed, number, ports.webSocket)
      const isClosed = await send(session, ports[session.transport])
      open.delete(number)
      if (isClosed) continue
      const bytes = Buffer.concat(session.chunks).toString('hex')
      faults.push(`seed ${seed}, session ${number} (${session.transport}) stays open: ${bytes}`)
    }
  }
  await Promise.race([Promise.all(Array.from({ length: openMax }, sendSome)), endedEarly()])
  return faults
}

/** @returns false when the server does not close the connection */
async function send({ chunks, ending }: MutatedSession, port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined).resume()
  const closed = new Promise<boolean>((resolve) => {
    socket.once('close', () => resolve(true))
    socket.once('timeout', () => resolve(false))
  })
  for (const chunk of chunks) {
    if (socket.destroyed) break
    socket.write(chunk)
    await nextTurn()
  }
  if (ending === 'reset') socket.resetAndDestroy()
  else socket.setTimeout(closeTimeoutMs).end()
  const isClosed = await closed
  socket.destroy()
  return isClosed
}

interface Witness {
  readonly key: string
  readonly acknowledged: () => number
  readonly longestWaitMs: () => number
  readonly faults: readonly string[]
  readonly stop: () => Promise<void>
}

/** Publishes 1, 2, 3 and so on, each when the one before is acknowledged; never comes back. */
async function startWitness({ ports }: Target, qos: 1 | 2): Promise<Witness> {
  const key = `qos-${qos}`
  const faults: string[] = []
  // One of them speaks MQTT 5, and so does the subscriber.
  const client = await openClient(ports.tcp, `witness-${key}`, faults, qos === 1 ? 5 : 4)
  let acknowledged = 0
  let longestWaitMs = 0
  const stopping = new AbortController()
  const publishing = (async () => {
    while (!stopping.signal.aborted && client.connected) {
      const payload = JSON.stringify({ n: acknowledged + 1 })
      const startMs = performance.now()
      await client.publishAsync(`${witnessPrefix}${key}`, payload, { qos })
      acknowledged += 1
      longestWaitMs = Math.max(longestWaitMs, performance.now() - startMs)
      await pause(pauseMs)
    }
  })().catch((thrown: unknown) => void faults.push(`${key}: ${String(thrown)}`))
  return {
    key,
    acknowledged: () => acknowledged,
    longestWaitMs: () => Math.round(longestWaitMs),
    faults,
    async stop() {
      stopping.abort()
      await publishing
      client.removeAllListeners('close')
      await client.endAsync()
    },
  }
}

/** Gets what the witnesses publish, once each and in order. */
async function startSubscriber({ ports }: Target) {
  const faults: string[] = []
  const client = await openClient(ports.tcp, 'witness-subscriber', faults, 5)
  const received = new Map<string, number[]>()
  client.on('message', (topic, payload) => {
    const key = topic.slice(witnessPrefix.length)
    const numbers = received.get(key) ?? []
    received.set(key, numbers)
    numbers.push(numberIn(payload))
  })
  await client.subscribeAsync(`${witnessPrefix}+`, { qos: 1 })
  return {
    async faultsAfter(witnesses: readonly Witness[]): Promise<readonly string[]> {
      const isAll = () =>
        witnesses.every(
          ({ key, acknowledged }) => (received.get(key)?.length ?? 0) >= acknowledged(),
        )
      await until(() => isAll() || !client.connected)
      client.removeAllListeners('close')
      await client.endAsync()
      return [
        ...faults,
        ...witnesses.flatMap((each) => sequenceFaults('subscriber', each, received)),
      ]
    },
  }
}

async function openClient(
  port: number,
  clientId: string,
  faults: string[],
  protocolVersion: 4 | 5 = 4,
): Promise<MqttClient> {
  const client = await connectAsync({ port, clientId, protocolVersion, reconnectPeriod: 0 })
  client.on('close', () => faults.push(`${clientId} was disconnected`))
  return client
}

const numberIn = (payload: Buffer): number =>
  (JSON.parse(payload.toString()) as { readonly n: number }).n

function sequenceFaults(
  place: string,
  { key, acknowledged }: Witness,
  received: ReadonlyMap<string, readonly number[]>,
): readonly string[] {
  const numbers = received.get(key) ?? []
  const misplaced = numbers.findIndex((n, index) => n !== index + 1)
  if (misplaced === -1 && numbers.length === acknowledged()) return []
  return [
    `${place}: ${numbers.length} messages of ${key}, of which ${acknowledged()} are acknowledged; ` +
      `the first that is not in its place is ${misplaced + 1}`,
  ]
}

async function streamFaults(
  lab: LabServer,
  witnesses: readonly Witness[],
): Promise<readonly string[]> {
  const kinesis = new KinesisClient({
    region,
    endpoint: `http://127.0.0.1:${lab.port}`,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  const count = witnesses.reduce((sum, witness) => sum + witness.acknowledged(), 0)
  const received = new Map<string, number[]>()
  for (const { partitionKey, data } of await readStream(kinesis, 'witness', count)) {
    const numbers = received.get(partitionKey) ?? []
    received.set(partitionKey, numbers)
    numbers.push(numberIn(data))
  }
  kinesis.destroy()
  return witnesses.flatMap((witness) => sequenceFaults('stream', witness, received))
}

/** What of the gauges that count what clients hold does not go back to zero. */
async function unreturned({ ports }: Target): Promise<readonly string[]> {
  const names = ['sluice_mqtt_connections', 'sluice_mqtt_held_bytes']
  let text = ''
  const valueOf = (name: string) => new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
  await until(async () => {
    text = await metricsText(ports.webSocket)
    return names.every((name) => valueOf(name) === '0')
  })
  return names.flatMap((name) => (valueOf(name) === '0' ? [] : [`${name} is ${valueOf(name)}`]))
}

async function metricsText(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/v1/metrics`)).text()
}

/** Reading metrics gives the collector something to do. */
async function memoryAtRest({ engine, ports }: Target, before: number): Promise<number> {
  let now = await ownBytesOf(engine)
  await until(async () => {
    await metricsText(ports.webSocket)
    now = await ownBytesOf(engine)
    return now - before <= keptBytesMax
  })
  return now
}

/** 0 where the system does not say. */
async function ownBytesOf({ pid }: SluiceProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return 1_024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}

/** It says nothing that nobody foresaw, and ends as it is asked to. */
async function endFaults(engine: SluiceProcess): Promise<readonly string[]> {
  const unforeseen = engine.logLines.filter(
    ({ level, code }) => level === 'fatal' || level === undefined || (level === 'error' && !code),
  )
  engine.kill('SIGTERM')
  const code = await engine.ended
  return [
    ...unforeseen.map((line) => `log: ${JSON.stringify(line)}`),
    ...(engine.stderr() === '' ? [] : [`stderr: ${engine.stderr()}`]),
    ...(code === 0 ? [] : [`the engine ended with ${code}`]),
  ]
}

/** Looks again and again, until it holds or there was time enough for it. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + settleTimeoutMs
  while (!(await holds()) && performance.now() < endMs) await pause(pollMs)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
