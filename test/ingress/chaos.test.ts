import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import {
  connectPacket,
  connectRaw,
  encode,
  openRaw,
  publishPacket,
  startIngress,
  until,
} from './helpers.ts'

test('whatever order and time ingest takes, and whoever is cut off: acknowledged in order, and only what was ingested', async () => {
  const plans = fc.record({
    delaysMs: fc.array(fc.nat(12), { minLength: 1, maxLength: 50 }),
    failsEvery: fc.integer({ min: 20, max: 200 }),
    clients: fc.array(
      fc.record({
        qualities: fc.array(fc.constantFrom(0 as const, 1 as const, 2 as const), {
          minLength: 1,
          maxLength: 90,
        }),
        cutAfterMs: fc.option(fc.nat(15)),
        clean: fc.boolean(),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  await fc.assert(
    fc.asyncProperty(plans, async ({ delaysMs, failsEvery, clients }) => {
      const durable = new Set<string>()
      const failed = new Set<string | undefined>()
      let count = 0
      const { port, metric, ingress } = await startIngress(async (message) => {
        const turn = count++
        await systemClock.sleep(delaysMs[turn % delaysMs.length] ?? 0)
        if (turn % failsEvery === failsEvery - 1) {
          failed.add(message.clientId)
          throw new Error('no room')
        }
        durable.add(message.topic)
      })
      await Promise.all(
        clients.map(async ({ qualities, cutAfterMs, clean }, client) => {
          const clientId = `c${client}`
          const raw = await connectRaw(port, { clientId, clean })
          const packets = qualities.map((qos, index) =>
            publishPacket({ qos, topic: `${clientId}/${index}`, messageId: index + 1 }),
          )
          raw.send(...packets, { cmd: 'disconnect' })
          if (cutAfterMs === null) await raw.closed
          else await systemClock.sleep(cutAfterMs)
          const answered = raw.waiting.map(({ messageId }) => Number(messageId))
          raw.destroy()
          expect(answered.every((id) => durable.has(`${clientId}/${id - 1}`))).toBe(true)
          const due = qualities.flatMap((qos, index) => (qos === 0 ? [] : [index + 1]))
          expect(answered).toEqual(due.slice(0, answered.length))
          const isComplete = cutAfterMs === null && !failed.has(clientId)
          expect(isComplete ? answered : due).toEqual(due)
        }),
      )
      await until(async () => (await metric('mqttConnections')) === 0)
      await until(async () => (await metric('mqttHeldBytes')) === 0)
      await ingress.close()
    }),
    { numRuns: 25 },
  )
})

test('bytes that make no sense: the broker lives and serves the others', async () => {
  const { port, metric } = await startIngress()
  const witness = await connectRaw(port, { clientId: 'witness' })
  const sensible = [
    encode(publishPacket()),
    encode(publishPacket({ qos: 2, messageId: 2 })),
    encode({ cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: 'a/#', qos: 2 }] }),
    encode({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['a/#'] }),
    encode({ cmd: 'pubrel', messageId: 2 }),
    encode({ cmd: 'pingreq' }),
    encode(connectPacket({ clientId: 'other' })),
  ]
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const pieces = fc.array(fc.oneof(fc.constantFrom(...sensible), noise), { maxLength: 8 })
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(pieces, flips, fc.boolean(), async (parts, changes, connects) => {
      const bytes = Buffer.concat(parts)
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
      const client = await openRaw(port)
      client.send(...(connects ? [connectPacket({ clientId: 'noise' })] : []), bytes)
      client.end()
      await client.closed
    }),
    { numRuns: 150 },
  )
  witness.send(publishPacket())
  expect(await witness.next()).toMatchObject({ cmd: 'puback' })
  await until(async () => (await metric('mqttConnections')) === 1)
  await until(async () => (await metric('mqttHeldBytes')) === 0)
})
