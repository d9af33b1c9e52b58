import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  CreateThingCommand,
  CreateTopicRuleCommand,
  GetTopicRuleCommand,
  DescribeThingCommand,
  IoTClient,
  ListTagsForResourceCommand,
  ReplaceTopicRuleCommand,
} from '@aws-sdk/client-iot'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createMemoryStore } from '../cluster/state/memory-state.ts'
import type { MemoryStore } from '../cluster/state/memory-state.ts'
import { settle } from '../cluster/state/state-fixtures.ts'

/** A lab of its own, except for what the store holds. */
async function joinLab(store: MemoryStore) {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-node-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
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
  const logged: string[] = []
  const logger = createMemoryLogger((line) => logged.push(String(line['msg'])))
  const connection = store.connect()
  const sharedState = { state: connection, clusterName: 'test' }
  const app = await startApp({ config, logger, clock: systemClock, sharedState })
  onTestFinished(() => app.stop())
  const url = `http://127.0.0.1:${app.ports.http}`
  const iot = new IoTClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  })
  onTestFinished(() => iot.destroy())
  return { iot, url, app, logged, folder, faults: connection.faults }
}

const payload = (sql: string) => ({
  sql,
  awsIotSqlVersion: '2016-03-23',
  actions: [
    {
      kinesis: {
        roleArn: 'arn:aws:iam::000000000000:role/r',
        streamName: 's',
        partitionKey: 'k',
      },
    },
  ],
})

const create = (ruleName: string) =>
  new CreateTopicRuleCommand({ ruleName, topicRulePayload: payload("SELECT * FROM 'a/#'") })

test('a client may call any node, and reads no folder of theirs', async () => {
  const store = createMemoryStore(systemClock)
  const [one, other] = [await joinLab(store), await joinLab(store)]
  expect(one.logged).toContain(
    'rules, policies, passwords, access keys, things and certificates are those of cluster test: ' +
      'the folders and files for them are not read (sluice cluster import moves them there)',
  )
  const ruleName = 'r'
  await one.iot.send(
    new CreateTopicRuleCommand({
      ruleName,
      topicRulePayload: payload("SELECT * FROM 'a/#'"),
      tags: 'team=red',
    }),
  )
  await other.iot.send(
    new ReplaceTopicRuleCommand({ ruleName, topicRulePayload: payload("SELECT * FROM 'b/#'") }),
  )
  await settle()
  const { rule, ruleArn } = await one.iot.send(new GetTopicRuleCommand({ ruleName }))
  expect(rule?.sql).toBe("SELECT * FROM 'b/#'")
  const tags = await one.iot.send(new ListTagsForResourceCommand({ resourceArn: ruleArn }))
  expect(tags.tags).toEqual([{ Key: 'team', Value: 'red' }])

  await one.iot.send(new CreateThingCommand({ thingName: 't' }))
  await settle()
  const thing = await other.iot.send(new DescribeThingCommand({ thingName: 't' }))
  expect(thing.version).toBe(1)
  // Nothing of it is in the folders of a node.
  const made = await readdir(one.folder, { recursive: true })
  expect(made.filter((name) => /^rules|^policies|^data\/registry/.test(name))).toEqual([])
})

test('a node that is cut off answers 503 to changes, and says why', async () => {
  const store = createMemoryStore(systemClock)
  const [one, other] = [await joinLab(store), await joinLab(store)]
  await one.iot.send(create('r'))
  await settle()
  other.faults.disconnect('nobody answers')
  await expect(other.iot.send(create('s'))).rejects.toMatchObject({
    name: 'ServiceUnavailableException',
    message: expect.stringContaining('nobody answers') as string,
    $metadata: { httpStatusCode: 503 },
  })
  await expect(other.iot.send(new CreateThingCommand({ thingName: 't' }))).rejects.toMatchObject({
    name: 'ServiceUnavailableException',
  })
  expect((await other.iot.send(new GetTopicRuleCommand({ ruleName: 'r' }))).rule).toBeDefined()
  const healthOf = async () => (await fetch(`${other.url}/v1/health`)).json()
  expect(await healthOf()).toEqual({ status: 'degraded', reasons: ['clusterUnreachable'] })
  other.faults.reconnect()
  await settle()
  expect(await healthOf()).toEqual({ status: 'ok' })
})

test('a lab has mappings of its own, because it has streams of its own', async () => {
  const store = createMemoryStore(systemClock)
  const [one, other] = [await joinLab(store), await joinLab(store)]
  const listAt = async ({ url }: typeof one) => {
    const response = await fetch(`${url}/2015-03-31/event-source-mappings`)
    return ((await response.json()) as { EventSourceMappings: object[] }).EventSourceMappings
  }
  const [own] = [await listAt(one), await listAt(other)]
  expect(own).toHaveLength(1)
  expect([...store.entries.keys()].filter((key) => key.startsWith('mapping.'))).toEqual([])
  expect(await listAt(other)).not.toEqual(own)
})
