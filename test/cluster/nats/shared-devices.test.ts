/** What devices of a cluster share, by whole engines on three NATS servers. */
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startEngine, until } from './cluster-engine.ts'
import { findNatsServer } from './find-nats-server.ts'
import { startNatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`

async function startNode(natsUrl: string) {
  const variables = { SLUICE_ACCOUNT_ID: '210987654321' }
  const { stop, mqttUrl, url } = await startEngine(natsUrl, variables)
  return {
    stop,
    async connect(): Promise<MqttClient> {
      const client = await connectAsync(mqttUrl)
      onTestFinished(() => void client.end(true))
      return client
    },
    async ask(route: string, body?: object, method = body ? 'POST' : 'GET') {
      const response = await fetch(`${url}${route}`, {
        method,
        ...(body && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
  }
}

type Node = Awaited<ReturnType<typeof startNode>>

const payloadOf = async (node: Node, topic: string) => {
  const { body } = await node.ask(`/retainedMessage/${encodeURIComponent(topic)}`)
  const { payload = '' } = body as { payload?: string }
  return Buffer.from(payload, 'base64').toString()
}

describe.skipIf(!program.isFound)(`what devices of a cluster share${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  test('retained messages are at all nodes within a second, and after a restart of all', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const [one, other] = await Promise.all([startNode(servers.url), startNode(servers.url)])
    const publisher = await one.connect()
    await publisher.publishAsync('a/b c', 'first', { qos: 1, retain: true })
    await publisher.publishAsync('a/b c', 'last', { qos: 1, retain: true })
    await publisher.publishAsync('cleared', 'x', { qos: 1, retain: true })
    await publisher.publishAsync('cleared', '', { qos: 1, retain: true })
    expect(await payloadOf(one, 'a/b c')).toBe('last')
    expect(await until(async () => (await payloadOf(other, 'a/b c')) === 'last')).toBeLessThan(
      1_000,
    )
    await publisher.publishAsync('d', 'of QoS 0', { qos: 0, retain: true })
    await until(async () => (await payloadOf(other, 'd')) === 'of QoS 0')

    await Promise.all([one.stop(), other.stop()])
    const again = await startNode(servers.url)
    const listed = await again.ask('/retainedMessage')
    const topics = (listed.body['retainedTopics'] as { topic: string }[]).map(({ topic }) => topic)
    expect(topics.toSorted()).toEqual(['a/b c', 'd'])
    const subscriber = await again.connect()
    const got = new Promise<string>((resolve) =>
      subscriber.on('message', (topic, payload) => resolve(`${topic}=${payload.toString()}`)),
    )
    await subscriber.subscribeAsync('a/#')
    expect(await got).toBe('a/b c=last')
  }, 60_000)
  test('concurrent updates of a shadow at three nodes lose none', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const start = () => startNode(servers.url)
    const nodes = await Promise.all([start(), start(), start()])
    const versions: number[] = []
    const updates = nodes.map(async (node, at) => {
      for (let count = 0; count < 10; count++) {
        const state = { reported: { [`n${at}-${count}`]: count } }
        const { body } = await node.ask('/things/lamp/shadow', { state })
        versions.push(body['version'] as number)
      }
    })
    await Promise.all(updates)
    const ordered = versions.toSorted((one, other) => one - other)
    expect(ordered).toEqual(versions.map((_, at) => at + 1))
    const device = await nodes[0].connect()
    const answer = new Promise<string>((resolve) =>
      device.on('message', (_topic, payload) => resolve(payload.toString())),
    )
    await device.subscribeAsync('$aws/things/lamp/shadow/name/x/update/accepted')
    await device.publishAsync('$aws/things/lamp/shadow/name/x/update', '{"state":{"desired":{}}}', {
      qos: 1,
    })
    expect(JSON.parse(await answer)).toMatchObject({ version: 1 })
    await nodes[1].ask('/things/lamp/shadow?name=x', undefined, 'DELETE')
    await nodes[1].ask('/things/lamp/shadow?name=y', { state: { reported: { a: 1 } } })

    await Promise.all(nodes.map(({ stop }) => stop()))
    const again = await start()
    const { body } = await again.ask('/things/lamp/shadow')
    const { reported } = (body as { state: { reported: object } }).state
    expect([body['version'], Object.keys(reported).length]).toEqual([30, 30])
    const listed = await again.ask('/api/things/shadow/ListNamedShadowsForThing/lamp')
    expect(listed.body['results']).toEqual(['y'])
    expect((await again.ask('/v1/shadows')).body['shadows']).toEqual([
      { thingName: 'lamp', version: 30 },
      { thingName: 'lamp', shadowName: 'y', version: 1 },
    ])
    const revived = await again.ask('/things/lamp/shadow?name=x', { state: { reported: {} } })
    expect(revived.body['version']).toBe(2)
  }, 60_000)
})
