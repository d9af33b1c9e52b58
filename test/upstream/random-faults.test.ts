import { expect, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { createRandom } from '../helpers/random.ts'
import { startIngress } from '../ingress/helpers.ts'
import { startUpstream, temporaryDirectory } from './upstream-fixtures.ts'

const runs = 20
const messages = 60
const clientId = 'engine'
const turn = () => new Promise((resolve) => setImmediate(resolve))

/**
 * Messages come while connections are cut and engines end, some of them in the middle of their
 * work. What the broker took is durable in the end, and in the order of the broker. Aedes alone
 * would send new messages before those that wait.
 */
async function run(seed: number): Promise<{ first: number[]; twice: number }> {
  const random = createRandom(seed)
  const { ingress: broker, port } = await startIngress()
  const directory = await temporaryDirectory()
  const clock = createManualClock()
  /** In the order in which an engine handed them to the outbox, which keeps it. */
  const appended: { readonly number: number; isDurable: boolean }[] = []
  const durable = () => appended.filter(({ isDurable }) => isDurable).map(({ number }) => number)
  const start = () =>
    startUpstream({
      port,
      directory,
      clock,
      environment: {
        SLUICE_UPSTREAM_MQTT_VERSION: '5',
        SLUICE_UPSTREAM_CLIENT_ID: clientId,
        SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX: '4',
        SLUICE_UPSTREAM_SESSION_EXPIRY_S: '3600',
      },
      ingest: async ({ payload }) => {
        const entry = { number: Number(payload.toString()), isDurable: false }
        appended.push(entry)
        for (let turns = random(4); turns > 0; turns--) await turn()
        entry.isDurable = true
      },
    })
  let engine = await start()
  await engine.until(engine.isReading)
  for (let number = 1; number <= messages; number++) {
    await broker.publish({
      topic: `plant/${number % 3}`,
      payload: Buffer.from(String(number)),
      qos: 1,
      retain: false,
      transport: 'http',
      timestampMs: 0,
    })
    if (random(100) < 15) await broker.disconnect(clientId)
    if (random(100) < 10) {
      // Without a drain, the engine leaves what is under way.
      const closed = engine.upstream.close({ drainMs: 0 })
      clock.advance(5_000)
      await closed
      engine = await start()
    }
    if (random(2) === 0) await turn()
    clock.advance(500)
  }
  while (new Set(durable()).size < messages) {
    clock.advance(500)
    await turn()
  }
  const first = [...new Set(durable())]
  return { first, twice: durable().length - first.length }
}

test(
  'nothing is lost and the order is kept, through random runs',
  { timeout: 60_000 },
  async () => {
    const all = Array.from({ length: messages }, (_, index) => index + 1)
    let twice = 0
    for (let seed = 1; seed <= runs; seed++) {
      const result = await run(seed)
      expect([seed, result.first]).toEqual([seed, all])
      twice += result.twice
    }
    console.log(`${runs * messages} messages, ${twice} came twice`)
    expect(twice).toBeGreaterThan(0)
  },
)
