/** Two brokers of one cluster, with clients of both versions of MQTT. */
import { connectAsync } from 'mqtt'
import type { IClientOptions } from 'mqtt'
import { EventEmitter, once } from 'node:events'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { createClientClaims } from '../../../src/cluster/clients/client-claims.ts'
import { createIngress } from '../../../src/ingress/ingress.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import { atTheEnd } from '../../helpers/at-the-end.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { until } from '../../ingress/helpers.ts'

interface LifecycleEvent {
  readonly disconnectReason?: string
  readonly versionNumber: number
}

async function startNode(wire: EventEmitter, origin: string, clock: Clock = systemClock) {
  const bus = {
    publish: (data: Uint8Array) => void wire.emit('told', data),
    listen: (receive: (data: Uint8Array) => void) => void wire.on('told', receive),
  }
  const events: string[] = []
  const versions: number[] = []
  const ingress = await createIngress({
    ingest: () => Promise.resolve(),
    announce(messages) {
      for (const { topic, payload } of messages) {
        const event = JSON.parse(payload.toString()) as LifecycleEvent
        versions.push(event.versionNumber)
        events.push([topic.split('/')[3], event.disconnectReason ?? ''].join(' ').trim())
      }
      return Promise.resolve()
    },
    claims: createClientClaims({ bus, clock }, origin),
    logger: createMemoryLogger(() => undefined),
    metrics: createMetrics(),
    clock,
  })
  atTheEnd(() => ingress.close())
  const { port } = await ingress.listen({ host: '127.0.0.1', port: 0 })
  return {
    ingress,
    events,
    versions,
    async connect(options: IClientOptions) {
      const url = `mqtt://127.0.0.1:${port}`
      const client = await connectAsync(url, { reconnectPeriod: 0, ...options })
      atTheEnd(() => client.endAsync(true))
      return client
    },
  }
}

async function startTwo() {
  const wire = new EventEmitter()
  return { one: await startNode(wire, 'one'), two: await startNode(wire, 'two') }
}

test('a client of MQTT 5 that connects at another node is told so, and both events are', async () => {
  const { one, two } = await startTwo()
  const first = await one.connect({ clientId: 'x', protocolVersion: 5 })
  const ended = new Promise<number | undefined>((resolve) => {
    first.on('disconnect', ({ reasonCode }) => resolve(reasonCode))
  })
  const second = await two.connect({ clientId: 'x', protocolVersion: 5 })
  expect(await ended).toBe(0x8e)
  await until(() => one.events.length === 2)
  expect(one.events).toEqual(['connected', 'disconnected DUPLICATE_CLIENTID'])
  expect(two.events).toEqual(['connected'])
  // Consumers of events sort by it.
  expect([one.versions, two.versions]).toEqual([[0, 0], [1]])
  expect(second.connected).toBe(true)
})

test('a client of MQTT 3.1.1 that connects again and again is at one node', async () => {
  const { one, two } = await startTwo()
  for (let turn = 0; turn < 3; turn++) {
    for (const [node, other] of [
      [one, two],
      [two, one],
    ] as const) {
      const client = await node.connect({ clientId: 'x' })
      await until(() => other.ingress.connection('x')?.socket === undefined)
      expect(client.connected).toBe(true)
    }
  }
})

test('a client that comes back after hours has a higher version number than anywhere', async () => {
  const clock = createManualClock()
  const wire = new EventEmitter()
  const one = await startNode(wire, 'one', clock)
  const two = await startNode(wire, 'two', clock)
  for (const node of [one, two, one]) {
    const isTold = once(wire, 'told')
    await node.connect({ clientId: 'x' })
    await isTold
    clock.advance(2 * 3_600_000)
  }
  await until(() => one.events.filter((event) => event === 'connected').length === 2)
  expect(two.versions[0]).toBe(1)
  expect(Math.max(...one.versions)).toBe(2)
})

test('a new session at one node ends the one at another node', async () => {
  const { one, two } = await startTwo()
  const kept = await one.connect({ clientId: 'x', clean: false })
  await kept.subscribeAsync('a', { qos: 1 })
  await kept.endAsync()
  await until(() => one.ingress.connection('x')?.socket === undefined)
  expect(one.ingress.subscriptions('x')).toHaveLength(1)
  await two.connect({ clientId: 'x', clean: true })
  await until(() => one.ingress.subscriptions('x') === undefined)
})
