import { Aedes } from 'aedes'
import mqtt from 'mqtt'
import { afterAll, expect, test, vi } from 'vitest'
import { startIngress } from '../helpers.ts'

const publish = vi.spyOn(Aedes.prototype, 'publish')
afterAll(() => publish.mockRestore())

test('Aedes looks for subscribers while there are any, connected or absent', async () => {
  const { port, ingress, messages } = await startIngress()
  const connect = (clientId: string, clean: boolean) =>
    mqtt.connectAsync({ port, clientId, clean, reconnectPeriod: 0 })
  const device = await connect('device', true)
  let sent = 0
  const isLookedFor = async (options: { readonly retain?: boolean } = {}) => {
    const topic = `dt/${++sent}`
    await device.publishAsync(topic, 'x', { qos: 1, ...options })
    return publish.mock.calls.some(([packet]) => packet.topic === topic)
  }

  expect(await isLookedFor()).toBe(false)
  expect(await isLookedFor({ retain: true })).toBe(true)

  const watcher = await connect('watcher', true)
  await watcher.subscribeAsync('other/#')
  expect(await isLookedFor()).toBe(true)
  await watcher.unsubscribeAsync('other/#')
  expect(await isLookedFor()).toBe(false)
  await watcher.subscribeAsync('other/#', { qos: 1 })
  await watcher.endAsync()
  await vi.waitFor(async () => expect(await isLookedFor()).toBe(false))

  const session = await connect('session', false)
  await session.subscribeAsync('other/#', { qos: 1 })
  await session.endAsync()
  expect(await isLookedFor()).toBe(true)
  const resumed = await connect('session', false)
  await resumed.unsubscribeAsync('other/#')
  expect(await isLookedFor()).toBe(false)
  await resumed.subscribeAsync('other/#', { qos: 1 })
  await resumed.endAsync()
  expect(await isLookedFor()).toBe(true)
  await ingress.disconnect('session', { cleanSession: true })
  await vi.waitFor(async () => expect(await isLookedFor()).toBe(false))

  await device.endAsync()
  expect(messages).toHaveLength(sent)
})
