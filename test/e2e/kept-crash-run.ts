/**
 * The engine is killed again and again while clients publish retained messages, messages for
 * sessions, and updates of shadows. What was acknowledged must be there after each start.
 */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import mqtt from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { createRandom } from '../helpers/random.ts'
import { startSequencePublisher } from '../helpers/sequence-publisher.ts'
import type { SequencePublisher } from '../helpers/sequence-publisher.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

export interface KeptCrashOptions {
  readonly kills: number
  /** Publishers of each kind. */
  readonly clients: number
  /** Of the moments of the kills. */
  readonly seed: number
}

interface KeptCrashResult {
  readonly acknowledged: {
    readonly queued: number
    readonly retained: number
    readonly shadows: number
  }
  /** Messages that reached each session, and how many of them came twice. */
  readonly arrived: Readonly<Record<string, number>>
  readonly duplicates: number
  /** What is wrong, one line each; empty when all held. */
  readonly faults: readonly string[]
}

const killAfterMs = { min: 100, spread: 400 }
const arrivalCheckMs = 20
const window = 4
/** Looks at what has arrived before it counts as missing. */
const waitsMax = 500

/** Both versions of MQTT; `online` sessions are connected whenever the engine runs. */
const sessionKinds = [
  { clientId: 'offline-3.1.1', version: 4, isOnline: false },
  { clientId: 'offline-5', version: 5, isOnline: false },
  { clientId: 'online-3.1.1', version: 4, isOnline: true },
  { clientId: 'online-5', version: 5, isOnline: true },
] as const

type Kind = 'queued' | 'retained' | 'shadows'

export async function keptCrashRun(options: KeptCrashOptions): Promise<KeptCrashResult> {
  const folder = await temporaryFolder()
  await mkdir(path.join(folder.path, 'rules'))
  const running: { engine?: SluiceProcess } = {}
  const sessions = sessionKinds.map((kind) => createSession(kind))
  const faults: string[] = []
  try {
    running.engine = startEngine(folder.path, { mqtt: '0', http: '0' })
    const first = await running.engine.ready()
    const ports = { mqtt: String(first['mqtt']), http: String(first['http']) }
    for (const session of sessions) await session.connect(ports.mqtt)
    const publishers = startPublishers(Number(ports.mqtt), options.clients)
    const all = Object.values(publishers).flat()
    while (all.some((each) => each.acknowledged() === 0)) await pause(arrivalCheckMs)
    const random = createRandom(options.seed)
    for (let kill = 0; kill < options.kills; kill++) {
      for (const session of sessions) {
        // Beyond its bound a queue takes no more, so that each session gets what waits for it.
        const owed = publishers.queued.map(({ key, ...each }) => ({
          key,
          count: each.acknowledged(),
        }))
        await arrivedAll(session, owed)
        if (!session.isOnline) await session.leave()
      }
      await pause(killAfterMs.min + random(killAfterMs.spread))
      running.engine.kill('SIGKILL')
      await running.engine.ended
      const before = countsOf(publishers)
      running.engine = startEngine(folder.path, ports)
      await running.engine.ready()
      faults.push(...(await faultsOfState(ports, before)))
      for (const session of sessions) await session.connect(ports.mqtt)
    }
    await Promise.all(all.map((each) => each.stop()))
    const isThere = () => sessions.every((session) => hasAll(session.arrived, publishers.queued))
    for (let waits = 0; !isThere() && waits < waitsMax; waits++) await pause(arrivalCheckMs)
    for (const { arrived, clientId } of sessions)
      faults.push(
        ...faultsOfQueue(arrived, publishers.queued).map((each) => `${clientId}: ${each}`),
      )
    return resultOf(publishers, sessions, faults)
  } finally {
    for (const session of sessions) await session.leave()
    running.engine?.kill('SIGKILL')
    await running.engine?.ended
    await folder.remove()
  }
}

function startEngine(
  folder: string,
  ports: { readonly mqtt: string; readonly http: string },
): SluiceProcess {
  return startSluice(['start'], {
    SLUICE_MQTT_PORT: ports.mqtt,
    SLUICE_HTTP_PORT: ports.http,
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: path.join(folder, 'rules'),
    SLUICE_ACCOUNT_ID: '210987654321',
    SLUICE_AUTH: 'off',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
  })
}

type Publishers = Readonly<Record<Kind, readonly SequencePublisher[]>>

function startPublishers(port: number, clients: number): Publishers {
  const start = (kind: Kind, more: (key: string) => object) =>
    Array.from({ length: clients }, (_, index) => {
      const key = `${kind}${index}`
      return startSequencePublisher({ port, key, window, pauseMs: 10, ...more(key) })
    })
  return {
    queued: start('queued', (key) => ({ topic: `queued/${key}` })),
    retained: start('retained', (key) => ({ topic: `retained/${key}`, retain: true })),
    shadows: start('shadows', (key) => ({
      topic: `$aws/things/${key}/shadow/update`,
      payloadOf: (n: number) => ({ state: { reported: { n } } }),
    })),
  }
}

interface Session {
  readonly clientId: string
  readonly isOnline: boolean
  /** The numbers that came, by the key of their publisher. */
  readonly arrived: Map<string, number[]>
  connect(port: string): Promise<void>
  leave(): Promise<void>
}

function createSession({ clientId, version, isOnline }: (typeof sessionKinds)[number]): Session {
  const arrived = new Map<string, number[]>()
  let client: MqttClient | undefined
  const options: IClientOptions = {
    clientId,
    clean: false,
    resubscribe: false,
    reconnectPeriod: 0,
    protocolVersion: version,
    ...(version === 5 && { properties: { sessionExpiryInterval: 3_600 } }),
  }
  return {
    clientId,
    isOnline,
    arrived,
    async connect(port) {
      const isFirst = client === undefined
      client?.end(true)
      client = mqtt.connect(`mqtt://127.0.0.1:${port}`, options)
      // Messages of the session may come right behind CONNACK.
      client.on('error', () => {})
      client.on('message', (topic, payload) => {
        const key = topic.slice(topic.indexOf('/') + 1)
        const numbers = arrived.get(key) ?? []
        arrived.set(key, numbers)
        numbers.push((JSON.parse(payload.toString()) as { readonly n: number }).n)
      })
      await new Promise<void>((resolve) => client?.once('connect', () => resolve()))
      if (isFirst) await client.subscribeAsync('queued/+', { qos: 1 })
    },
    async leave() {
      await client?.endAsync().catch(() => undefined)
    },
  }
}

type Counts = ReadonlyMap<string, { readonly acknowledged: number; readonly published: number }>

const countsOf = (publishers: Publishers): Counts =>
  new Map(
    [...publishers.retained, ...publishers.shadows].map((each) => [
      each.key,
      { acknowledged: each.acknowledged(), published: each.published() },
    ]),
  )

/** Retained messages and shadows right after a start: at least what was acknowledged before. */
async function faultsOfState({ http }: { readonly http: string }, before: Counts) {
  const faults: string[] = []
  for (const [key, { acknowledged }] of before) {
    const isShadow = key.startsWith('shadows')
    const place = isShadow ? `things/${key}/shadow` : `retainedMessage/retained%2F${key}`
    const answer = await fetch(`http://127.0.0.1:${http}/${place}`)
    const found = numberIn(await answer.text(), isShadow)
    if (found < acknowledged)
      faults.push(`${key}: ${acknowledged} was acknowledged, ${found} is there`)
  }
  return faults
}

function numberIn(text: string, isShadow: boolean): number {
  const body = JSON.parse(text) as {
    readonly payload?: string
    readonly state?: { readonly reported?: { readonly n?: number } }
  }
  if (isShadow) return body.state?.reported?.n ?? 0
  const payload = Buffer.from(body.payload ?? '', 'base64').toString()
  return payload === '' ? 0 : (JSON.parse(payload) as { readonly n: number }).n
}

/** Waits for messages that were acknowledged; what does not come is found at the end. */
async function arrivedAll(
  { arrived }: Session,
  owed: readonly { readonly key: string; readonly count: number }[],
): Promise<void> {
  const isThere = () => owed.every(({ key, count }) => new Set(arrived.get(key)).size >= count)
  for (let waits = 0; !isThere() && waits < waitsMax; waits++) await pause(arrivalCheckMs)
}

const hasAll = (arrived: Session['arrived'], publishers: readonly SequencePublisher[]): boolean =>
  publishers.every((each) => new Set(arrived.get(each.key)).size >= each.acknowledged())

function faultsOfQueue(
  arrived: Session['arrived'],
  publishers: readonly SequencePublisher[],
): string[] {
  return publishers.flatMap((publisher) => {
    const { key, misplaced } = publisher
    const first = [...new Set(arrived.get(key))]
    const missing = Array.from(
      { length: publisher.acknowledged() },
      (_, index) => index + 1,
    ).filter((n) => !first.includes(n))
    const displaced = first.filter((n, index) => n !== index + 1)
    return [
      ...misplaced.slice(0, 3),
      ...missing.slice(0, 3).map((n) => `${key}: ${n} was acknowledged and is missing`),
      ...displaced.slice(0, 3).map((n) => `${key}: ${n} is out of order`),
    ]
  })
}

function resultOf(
  publishers: Publishers,
  sessions: readonly Session[],
  faults: readonly string[],
): KeptCrashResult {
  const sumOf = (kind: Kind) => publishers[kind].reduce((sum, each) => sum + each.acknowledged(), 0)
  const numbers = sessions.map(({ arrived }) => [...arrived.values()])
  const counts = numbers.map((each) => each.flat().length)
  const distinct = numbers.flat().reduce((sum, each) => sum + new Set(each).size, 0)
  return {
    acknowledged: {
      queued: sumOf('queued'),
      retained: sumOf('retained'),
      shadows: sumOf('shadows'),
    },
    arrived: Object.fromEntries(
      sessions.map(({ clientId }, index) => [clientId, counts[index] ?? 0]),
    ),
    duplicates: counts.reduce((sum, each) => sum + each, 0) - distinct,
    faults,
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
