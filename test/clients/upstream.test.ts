/**
 * Sluice as a client of Mosquitto, and killed again and again: what Mosquitto acknowledged to its
 * publishers reaches the stream.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { CreateStreamCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { TestContext } from 'vitest'
import { freePorts } from '../helpers/free-ports.ts'
import { readStreamUntil } from '../helpers/read-stream.ts'
import type { StreamRecord } from '../helpers/read-stream.ts'
import { startSequencePublisher } from '../helpers/sequence-publisher.ts'
import type { SequencePublisher } from '../helpers/sequence-publisher.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const runMsMax = 120_000
const streamName = 'sequences'
const clients = 10
const kills = 5
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** @returns its port, or why there is none */
async function startMosquitto(folder: string, isAnonymous = true): Promise<number | string> {
  const [port = 0] = await freePorts(1)
  const file = path.join(folder, 'mosquitto.conf')
  const settings = [
    `listener ${port} 127.0.0.1`,
    `allow_anonymous ${String(isAnonymous)}`,
    // The default of 1,000 messages drops what comes while an engine is away for long.
    'max_queued_messages 0',
    // From other users than root it does not change to.
    `user ${process.env['USER'] ?? 'root'}`,
  ]
  await writeFile(file, `${settings.join('\n')}\n`)
  const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` }
  const child = spawn('mosquitto', ['-c', file], { env: environment, stdio: 'ignore' })
  const failed = once(child, 'error').then(
    ([thrown]) => (thrown as Error).message,
    () => 'it ended',
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const opened = (async () => {
    for (;;) {
      const socket = connect(port, '127.0.0.1')
      const isOpen = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'error').then(() => false),
      ]).catch(() => false)
      socket.destroy()
      if (isOpen) return port
      await pause(20)
    }
  })()
  return Promise.race([opened, failed])
}

interface Site {
  readonly mosquitto: number
  readonly kinesis: KinesisClient
  /** Starts an engine with a data folder of this name. */
  start(name: string): Promise<SluiceProcess>
}

async function startSite(
  it: TestContext,
  environment: Readonly<Record<string, string>>,
): Promise<Site> {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const mosquitto = await startMosquitto(folder.path)
  if (typeof mosquitto === 'string') return it.skip(`there is no Mosquitto: ${mosquitto}`)
  const lab = startSluice(['kinesis'], { SLUICE_LAB_LIMITS: 'off' })
  onTestFinished(() => lab.kill('SIGKILL'))
  const { kinesis: labPort } = await lab.ready()
  const endpoint = `http://127.0.0.1:${String(labPort)}`
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const kinesis = new KinesisClient({ region: 'us-east-1', endpoint, credentials })
  onTestFinished(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: streamName, ShardCount: 2 }))
  const rules = path.join(folder.path, 'rules')
  await mkdir(rules)
  const roleArn = 'arn:aws:iam::210987654321:role/write'
  const action = { kinesis: { roleArn, streamName, partitionKey: '${topic(2)}' } }
  const rule = {
    sql: "SELECT n FROM 'sequences/+'",
    awsIotSqlVersion: '2016-03-23',
    actions: [action],
  }
  await writeFile(path.join(rules, 'sequences.json'), JSON.stringify(rule))
  return {
    mosquitto,
    kinesis,
    async start(name) {
      const engine = startSluice(['start'], {
        SLUICE_UPSTREAM_URL: `mqtt://127.0.0.1:${mosquitto}`,
        SLUICE_UPSTREAM_FILTERS: 'sequences/#',
        SLUICE_DATA_DIR: path.join(folder.path, name),
        SLUICE_RULES_DIR: rules,
        SLUICE_ACCOUNT_ID: '210987654321',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'AKIASLUICE',
        AWS_SECRET_ACCESS_KEY: 'secret',
        AWS_ENDPOINT_URL_KINESIS: endpoint,
        AWS_ENDPOINT_URL_STS: endpoint,
        ...environment,
      })
      onTestFinished(() => engine.kill('SIGKILL'))
      await engine.logged(({ msg }) => msg === 'messages of the upstream broker are read')
      return engine
    },
  }
}

const publishTo = (port: number): SequencePublisher[] =>
  Array.from({ length: clients }, (_, index) =>
    startSequencePublisher({
      port,
      key: `c${index}`,
      topicPrefix: 'sequences/',
      window: 8,
      pauseMs: 5,
    }),
  )

/** Reads the stream until all is there that Mosquitto acknowledged: its numbers, by key. */
async function readNumbers(
  { kinesis }: Site,
  publishers: readonly SequencePublisher[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const count = publishers.reduce((sum, each) => sum + each.acknowledged(), 0)
  const seen = new Set<string>()
  let looked = 0
  const isEnough = (records: readonly StreamRecord[]) => {
    for (const { partitionKey, data } of records.slice(looked)) {
      seen.add(`${partitionKey} ${data.toString()}`)
    }
    looked = records.length
    return seen.size >= count
  }
  const numbers = new Map<string, number[]>()
  for (const { partitionKey, data } of await readStreamUntil(kinesis, streamName, isEnough)) {
    const ofKey = numbers.get(partitionKey) ?? []
    numbers.set(partitionKey, ofKey)
    ofKey.push((JSON.parse(data.toString()) as { readonly n: number }).n)
  }
  return numbers
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
const ascending = (numbers: Iterable<number>) => [...numbers].toSorted((a, b) => a - b)

function tell(what: string, numbers: ReadonlyMap<string, readonly number[]>): void {
  const all = [...numbers.values()]
  const records = all.reduce((sum, { length }) => sum + length, 0)
  const different = all.reduce((sum, ofKey) => sum + new Set(ofKey).size, 0)
  console.log(`${what}: ${different} messages, ${records - different} records came twice`)
}

describe.each(['3.1.1', '5'])('a session of QoS 1 at Mosquitto, MQTT %s', (version) => {
  test(
    'loses nothing and keeps the order, through `kill -9`',
    { timeout: runMsMax },
    async (it) => {
      const site = await startSite(it, { SLUICE_UPSTREAM_MQTT_VERSION: version })
      let engine = await site.start('engine')
      const publishers = publishTo(site.mosquitto)
      for (let kill = 0; kill < kills; kill++) {
        await pause(400)
        engine.kill('SIGKILL')
        await engine.ended
        // Messages wait at Mosquitto meanwhile.
        await pause(200)
        engine = await site.start('engine')
      }
      await Promise.all(publishers.map((publisher) => publisher.stop()))
      const numbers = await readNumbers(site, publishers)
      tell(`MQTT ${version}, ${kills} kills`, numbers)
      for (const publisher of publishers) {
        const first = [...new Set(numbers.get(publisher.key))]
        expect([publisher.key, first]).toEqual([publisher.key, upTo(publisher.acknowledged())])
      }
      engine.kill('SIGTERM')
      expect(await engine.ended).toBe(0)
    },
  )
})

test(
  'a group of two loses nothing when each is killed in turn',
  { timeout: runMsMax },
  async (it) => {
    const site = await startSite(it, { SLUICE_UPSTREAM_SHARE_GROUP: 'sluice' })
    const names = ['one', 'two']
    const engines = await Promise.all(names.map((name) => site.start(name)))
    const publishers = publishTo(site.mosquitto)
    for (let kill = 0; kill < kills; kill++) {
      const which = kill % names.length
      await pause(400)
      engines[which]?.kill('SIGKILL')
      await engines[which]?.ended
      await pause(200)
      engines[which] = await site.start(names[which] ?? '')
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const numbers = await readNumbers(site, publishers)
    tell(`$share, ${kills} kills`, numbers)
    for (const publisher of publishers) {
      // Mosquitto deals the messages of a topic to both: the order is gone.
      const different = ascending(new Set(numbers.get(publisher.key)))
      expect([publisher.key, different]).toEqual([publisher.key, upTo(publisher.acknowledged())])
    }
  },
)

test.for(['3.1.1', '5'])(
  'a login that Mosquitto refuses is told in one line, MQTT %s',
  async (version, it) => {
    const folder = await temporaryFolder()
    onTestFinished(() => folder.remove())
    const mosquitto = await startMosquitto(folder.path, false)
    if (typeof mosquitto === 'string') it.skip(`there is no Mosquitto: ${mosquitto}`)
    const engine = startSluice(['lab'], {
      SLUICE_UPSTREAM_URL: `mqtt://127.0.0.1:${mosquitto}`,
      SLUICE_UPSTREAM_MQTT_VERSION: version,
      SLUICE_UPSTREAM_CLIENT_ID: 'engine',
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    })
    onTestFinished(() => engine.kill('SIGKILL'))
    const { msg } = await engine.logged(
      ({ stage, level }) => stage === 'upstream' && level === 'error',
    )
    expect(msg).toMatch(
      /^the upstream broker is not connected: it refused the connection: it does not let the client engine in: user and password/,
    )
  },
)
