import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { createFleet } from '../../src/cli/mqtt/fleet.ts'
import { connectBroker } from '../../src/cli/mqtt/mqtt-connection.ts'
import { createMqttSender } from '../../src/cli/mqtt/mqtt-sender.ts'
import { startIngress } from '../ingress/helpers.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** A message that stays in memory takes several hundred bytes. */
const bytesOfMessageMax = 100
const [first, later] = [2_000, 20_000]

/** Heap bytes that each of the later messages has left behind, beside what the broker keeps. */
async function bytesLeft(
  { messages }: { readonly messages: unknown[] },
  publish: () => Promise<void>,
): Promise<number> {
  for (let count = 0; count < first; count++) await publish()
  messages.length = 0
  collect()
  const before = process.memoryUsage().heapUsed
  for (let count = 0; count < later; count++) await publish()
  messages.length = 0
  collect()
  return (process.memoryUsage().heapUsed - before) / later
}

const brokerOn = (port: number) => ({
  host: '127.0.0.1',
  port,
  tls: undefined,
  user: undefined,
  password: undefined,
})

test('a fleet that publishes without end holds no message that was acknowledged', async () => {
  const broker = await startIngress()
  const { signal } = new AbortController()
  const fleet = createFleet(brokerOn(broker.port), { signal, acknowledged: () => undefined })
  const message = { device: 'd', topic: 'env/d/telemetry', payload: '{}' }
  expect(await bytesLeft(broker, () => fleet.publish(message))).toBeLessThan(bytesOfMessageMax)
  await fleet.drained()
  await fleet.close()
}, 60_000)

test('a sender that publishes without end holds no message that was acknowledged', async () => {
  const broker = await startIngress()
  const client = await connectBroker(brokerOn(broker.port), { clientId: 'c' })
  const sender = createMqttSender(client, (what) => new SluiceError('BrokerUnreachable', what))
  const message = { topic: 'a', payload: Buffer.from('{}'), qos: 1, retain: false } as const
  expect(await bytesLeft(broker, () => sender.publish(message))).toBeLessThan(bytesOfMessageMax)
  await sender.drained()
  await client.endAsync()
}, 60_000)
