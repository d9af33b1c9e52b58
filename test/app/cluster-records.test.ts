/** Engines whose accepted records are in a log that they share; the log is in memory. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CreateTopicRuleCommand, IoTClient } from '@aws-sdk/client-iot'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { NodeRequests } from '../../src/cluster/operators/node-requests.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createMemoryLog, noFaults } from '../cluster/memory-log.ts'
import { createMemoryServers } from '../cluster/memory-servers.ts'
import { createNodeClock } from '../cluster/node-clock.ts'
import { createMemoryStore } from '../cluster/state/memory-state.ts'
import { createRandom } from '../helpers/random.ts'

const lookEveryMs = 20
const aloneInCluster: NodeRequests = {
  ask: () => Promise.reject(new Error('there is no other node')),
  serve: () => () => undefined,
}

function createSharedLog() {
  const servers = createMemoryServers()
  const network = { hasLeader: true }
  const store = createMemoryStore(systemClock)
  const clock = systemClock
  const open = () =>
    createMemoryLog({
      servers,
      network,
      clock,
      nodeClock: createNodeClock(clock, 0),
      random: createRandom(1),
      link: { isPartitioned: false, faults: noFaults },
    })
  return { network, servers, store, open }
}

type SharedLog = ReturnType<typeof createSharedLog>

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-node-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function startLab(folder: string, cluster?: SharedLog) {
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_POLICIES_DIR: path.join(folder, 'policies'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
    },
    'lab',
  )
  const sharedState = cluster && {
    state: cluster.store.connect(),
    clusterName: 'test',
    records: { openLog: async () => cluster.open(), requests: aloneInCluster },
  }
  const logger = createMemoryLogger(() => undefined)
  const app = await startApp({ config, logger, clock: systemClock, sharedState })
  const url = `http://127.0.0.1:${app.ports.http}`
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const iot = new IoTClient({ endpoint: url, region: 'us-east-1', credentials })
  onTestFinished(() => iot.destroy())
  const ask = async (route: string) =>
    (await (await fetch(`${url}${route}`)).json()) as Record<string, unknown>
  return { app, iot, stop: () => app.stop(), ask }
}

const createRule = new CreateTopicRuleCommand({
  ruleName: 'temps',
  topicRulePayload: {
    sql: "SELECT * FROM 'temps/+'",
    awsIotSqlVersion: '2016-03-23',
    actions: [
      {
        kinesis: {
          roleArn: 'arn:aws:iam::000000000000:role/r',
          streamName: 'temps',
          partitionKey: '${topic(2)}',
        },
      },
    ],
  },
})

async function publishing(mqttPort: number) {
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`)
  onTestFinished(() => client.endAsync(true))
  return (n: number) => client.publishAsync('temps/7', JSON.stringify({ n }), { qos: 1 })
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await systemClock.sleep(lookEveryMs)
}

test('a message is acknowledged when the log has its records, and any node tells of them', async () => {
  const cluster = createSharedLog()
  const folder = await temporaryFolder()
  const one = await startLab(folder, cluster)
  const other = await startLab(await temporaryFolder(), cluster)
  await one.iot.send(createRule)
  const publish = await publishing(one.app.ports.mqtt)
  await publish(1)
  expect(existsSync(path.join(folder, 'data', 'outbox'))).toBe(false)
  const ledgerAt = async ({ ask }: typeof one) =>
    (await ask('/v1/outbox'))['ledger'] as { delivered: number; accepted: number }
  await until(async () => (await ledgerAt(other)).delivered === 1)

  const answer = { isThere: false }
  cluster.network.hasLeader = false
  const published = publish(2).then(() => (answer.isThere = true))
  await systemClock.sleep(300)
  expect(answer.isThere).toBe(false)
  cluster.network.hasLeader = true
  await published
  await until(async () => (await ledgerAt(other)).delivered === 2)
  await until(async () => (await ledgerAt(one)).accepted === 2)

  // What it has handed over is delivered by the other one, at once.
  await other.stop()
  await publish(3)
  await until(async () => (await ledgerAt(one)).delivered === 3)
  await one.stop()
  expect(cluster.servers.chunks().length).toBeLessThanOrEqual(3)
})

test('a data folder with records of its own is refused, and stays as it was', async () => {
  const folder = await temporaryFolder()
  const alone = await startLab(folder)
  await alone.iot.send(createRule)
  const topicRulePayload = {
    sql: "SELECT * FROM 'lacking'",
    actions: [
      {
        kinesis: {
          roleArn: 'arn:aws:iam::000000000000:role/r',
          streamName: 'temps',
          partitionKey: '${missing}',
        },
      },
    ],
  }
  await alone.iot.send(new CreateTopicRuleCommand({ ruleName: 'lacking', topicRulePayload }))
  const client = await connectAsync(`mqtt://127.0.0.1:${alone.app.ports.mqtt}`)
  await client.publishAsync('lacking', '{}', { qos: 1 })
  await client.endAsync()
  await alone.stop()
  await expect(startLab(folder, createSharedLog())).rejects.toMatchObject({
    code: 'ClusterMisconfigured',
    message: expect.stringContaining('0 records and 1 dead letters') as string,
  })
  const again = await startLab(folder)
  expect(((await again.ask('/v1/dead-letters'))['deadLetters'] as unknown[]).length).toBe(1)
  await again.stop()
})
