/** Three engines of one cluster, as processes on NATS servers, of which one is killed. */
import {
  CreateTopicRuleCommand,
  IoTClient,
  ListTopicRulesCommand,
  ReplaceTopicRuleCommand,
} from '@aws-sdk/client-iot'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { readStream } from '../../helpers/read-stream.ts'
import { callingLab, region, startEngine, until } from './cluster-engine.ts'
import { findNatsServer } from './find-nats-server.ts'
import { startNatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
const outage = { kind: 'error', code: 'InternalFailure', message: 'down' } as const

async function startLab() {
  const accountId = '210987654321'
  const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId })
  onTestFinished(() => lab.close())
  const endpoint = `http://127.0.0.1:${lab.port}`
  const kinesis = new KinesisClient({ region, endpoint, credentials })
  onTestFinished(() => kinesis.destroy())
  lab.ensureStream('temps', 2)
  return { lab, kinesis, endpoint }
}

async function startNode(natsUrl: string, endpoint: string) {
  const { sluice, mqttUrl, url } = await startEngine(natsUrl, callingLab(endpoint))
  const iot = new IoTClient({ endpoint: url, region, credentials, maxAttempts: 1 })
  onTestFinished(() => iot.destroy())
  return {
    sluice,
    iot,
    async publish(topic: string, numbers: readonly number[]) {
      const client = await connectAsync(mqttUrl)
      for (const n of numbers) await client.publishAsync(topic, JSON.stringify({ n }), { qos: 1 })
      await client.endAsync()
    },
    async ask(route: string, body?: object) {
      const init = { method: 'POST', body: JSON.stringify(body) }
      const response = await fetch(`${url}${route}`, body && init)
      return (await response.json()) as Record<string, unknown>
    },
  }
}

const payload = (topicFilter: string, partitionKey: string) => ({
  sql: `SELECT n FROM '${topicFilter}'`,
  awsIotSqlVersion: '2016-03-23',
  actions: [
    {
      kinesis: {
        roleArn: 'arn:aws:iam::210987654321:role/write',
        streamName: 'temps',
        partitionKey,
      },
    },
  ],
})

describe.skipIf(!program.isFound)(`engines of a cluster${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  test('deliver what a killed one acknowledged, and any of them replays dead letters', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const { lab, kinesis, endpoint } = await startLab()
    const start = () => startNode(servers.url, endpoint)
    const [one, two, three] = await Promise.all([start(), start(), start()])

    const create = (ruleName: string, ...of: Parameters<typeof payload>) =>
      one.iot.send(new CreateTopicRuleCommand({ ruleName, topicRulePayload: payload(...of) }))
    const shown = { status: {} as Record<string, unknown> }
    await until(async () => {
      shown.status = await two.ask('/v1/cluster')
      return (shown.status['problems'] as readonly string[]).length === 0
    })
    expect(shown.status).toMatchObject({
      nodes: [{ release: '0.1.0' }, { release: '0.1.0' }, { release: '0.1.0' }],
      log: { replicas: 3, followers: [{ isOnline: true }, { isOnline: true }] },
    })

    await create('temps', 'temps/+', '${topic(2)}')
    await create('lacking', 'lacking/+', '${missing}')
    await until(async () => {
      const { rules } = await two.iot.send(new ListTopicRulesCommand({}))
      return rules?.length === 2
    })
    const first = Array.from({ length: 20 }, (_, index) => index)
    await two.publish('temps/7', first)
    const numbersOf = async (count: number) =>
      (await readStream(kinesis, 'temps', count)).map(
        ({ data }) => (JSON.parse(data.toString()) as { n: number }).n,
      )
    expect(await numbersOf(first.length)).toEqual(first)

    for (const operation of ['PutRecord', 'PutRecords'] as const) {
      lab.faults.add({ operation, effect: outage })
    }
    const second = Array.from({ length: 20 }, (_, index) => 100 + index)
    await two.publish('temps/7', second)
    await two.publish('lacking/7', [1_000])
    two.sluice.kill('SIGKILL')
    await two.sluice.ended
    lab.faults.clear()
    const arrived = await numbersOf(first.length + second.length)
    expect([...new Set(arrived)]).toEqual([...first, ...second])

    const lettersAt = async (node: typeof one) =>
      (await node.ask('/v1/dead-letters'))['deadLetters'] as readonly object[]
    await until(async () => (await lettersAt(three)).length === 1)
    expect(await lettersAt(one)).toEqual(await lettersAt(three))
    const topicRulePayload = payload('lacking/+', '7')
    await one.iot.send(new ReplaceTopicRuleCommand({ ruleName: 'lacking', topicRulePayload }))
    await until(async () => {
      const answer = await three.ask('/v1/dead-letters/replay', { ruleName: 'lacking' })
      return answer['replayed'] === 1
    })
    await until(async () => (await numbersOf(arrived.length + 1)).includes(1_000))
    expect(await lettersAt(one)).toEqual([])

    const ledgerAt = async (node: typeof one) =>
      (await node.ask('/v1/outbox'))['ledger'] as Readonly<Record<string, number>>
    // The dead letter that was replayed counts as one record.
    const all = { accepted: 41, delivered: 41, queued: 0, deadLettered: 0 }
    for (const node of [one, three]) {
      await until(async () => (await ledgerAt(node))['delivered'] === all.delivered)
      expect(await ledgerAt(node)).toMatchObject(all)
    }
    for (const node of [one, three]) {
      node.sluice.kill('SIGTERM')
      expect(await node.sluice.ended).toBe(0)
    }
  })
})
