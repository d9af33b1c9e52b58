import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPublishRate } from '../../../src/ingress/gate/publish-rate.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { connectRaw, encode, publishPacket, settle, startIngress, until } from '../helpers.ts'

const address = { host: '127.0.0.1', port: 0 }

const startAt = async (publishRate: number) => {
  const clock = createManualClock()
  const started = await startIngress(undefined, { publishRate }, address, clock)
  return { ...started, clock }
}

test.each([0, 1, 2] as const)(
  'QoS %i: as many at once as in a second; the rest waits and is not lost',
  async (qos) => {
    const { port, messages, clock, metric } = await startAt(10)
    const client = await connectRaw(port)
    client.send(
      ...Array.from({ length: 25 }, (_, index) => publishPacket({ qos, messageId: index + 1 })),
    )
    await until(() => messages.length === 10)
    await settle()
    expect(messages.length).toBe(10)
    clock.advance(500)
    await until(() => messages.length === 15)
    await settle()
    expect(messages.length).toBe(15)
    clock.advance(1_000)
    await until(() => messages.length === 25)
    expect(client.isClosed).toBe(false)
    expect(await metric('mqttConnectionsRefused')).toBe(0)
  },
)

test('a client that is held back is not read from, gets PINGRESPs, and delays no other client', async () => {
  const { port, messages, clock } = await startAt(1)
  const client = await connectRaw(port, { clientId: 'held' })
  client.send(publishPacket(), publishPacket({ messageId: 2 }), { cmd: 'pingreq' })
  expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 })
  const other = await connectRaw(port, { clientId: 'other' })
  other.send(publishPacket())
  expect(await other.next()).toMatchObject({ cmd: 'puback' })
  expect(messages.length).toBe(2)
  clock.advance(1_000)
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 2 })
})

test('a client that disconnects while it is held back is dropped', async () => {
  const { port, messages, clock, metric } = await startAt(1)
  const client = await connectRaw(port)
  client.send(publishPacket({ qos: 0 }), publishPacket({ qos: 0 }))
  await until(() => messages.length === 1)
  client.destroy()
  await until(async () => (await metric('mqttConnections')) === 0)
  clock.advance(10_000)
  await settle()
  expect(messages.length).toBe(1)
})

test('without a limit no message waits', async () => {
  const { port, messages } = await startAt(0)
  const client = await connectRaw(port)
  client.send(Buffer.concat(Array.from({ length: 500 }, () => encode(publishPacket({ qos: 0 })))))
  await until(() => messages.length >= 500)
  expect(messages.length).toBe(500)
})

test('whatever a client does, no more pass in any time than that time and one burst allow', () => {
  const steps = fc.array(fc.oneof(fc.constant('publish' as const), fc.nat(3_000)), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), steps, (perSecond, taken) => {
      const clock = createManualClock()
      const rate = createPublishRate({ clock, changed: () => {} }, perSecond)
      const passedAtMs: number[] = []
      for (const step of taken) {
        if (step !== 'publish') clock.advance(step)
        else if (rate?.isReady()) {
          rate.take()
          passedAtMs.push(clock.monotonicMs())
        }
      }
      for (const [index, fromMs] of passedAtMs.entries()) {
        const lastMs = passedAtMs.at(-1) ?? fromMs
        const allowed = perSecond + ((lastMs - fromMs + 1) / 1_000) * perSecond + 1
        expect(passedAtMs.length - index).toBeLessThanOrEqual(allowed)
      }
    }),
  )
})
