/** Clients at two engines of a cluster, as processes on NATS servers. */
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { startEngine, until } from './cluster-engine.ts'
import { findNatsServer } from './find-nats-server.ts'
import { startNatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const lookEveryMs = 20

async function startNode(natsUrl: string) {
  const { mqttUrl } = await startEngine(natsUrl)
  return {
    async connect(clientId: string) {
      const client = await connectAsync(mqttUrl, { clientId, reconnectPeriod: 0 })
      onTestFinished(() => client.endAsync(true))
      const got: string[] = []
      client.on('message', (topic, payload) => got.push(`${topic} ${payload.toString()}`))
      return { client, got }
    },
  }
}

describe.skipIf(!program.isFound)(`clients of several engines${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  test('get messages and events of each other, and have one connection for an id', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const [one, two] = await Promise.all([startNode(servers.url), startNode(servers.url)])
    const { client, got } = await two.connect('reader')
    await client.subscribeAsync(['dt/+/t', '$aws/events/presence/+/device'], { qos: 1 })
    // The servers tell each other of a subscription some milliseconds later.
    const { client: device } = await one.connect('probe')
    while (got.length === 0) {
      await device.publishAsync('dt/probe/t', '', { qos: 1 })
      await systemClock.sleep(lookEveryMs)
    }
    const { client: publisher } = await one.connect('device')
    const numbers = Array.from({ length: 100 }, (_, index) => `${index}`)
    await Promise.all(numbers.map((n) => publisher.publishAsync('dt/7/t', n, { qos: 1 })))
    await publisher.endAsync()
    await until(() => got.some((line) => line.includes('presence/disconnected')))
    expect(got.filter((line) => line.startsWith('dt/7/t'))).toEqual(
      numbers.map((n) => `dt/7/t ${n}`),
    )
    const events = got.filter((line) => line.startsWith('$aws/'))
    expect(events.map((line) => line.split(' ')[0])).toEqual([
      '$aws/events/presence/connected/device',
      '$aws/events/presence/disconnected/device',
    ])

    await client.subscribeAsync('$aws/events/presence/+/roamer', { qos: 1 })
    await one.connect('roamer')
    const isTold = (text: string) =>
      got.some((line) => line.includes('/roamer ') && line.includes(text))
    await until(() => isTold('"connected"'))
    const { client: later } = await two.connect('roamer')
    await until(() => isTold('DUPLICATE_CLIENTID'))
    expect(later.connected).toBe(true)
  })
})
