import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { createRetainedMessages } from '../../src/ingress/kept/retained-messages.ts'
import type { RetainedMessage } from '../../src/ingress/kept/retained-messages.ts'
import { subscriptionMatches } from '../../src/topics/topic-filter.ts'
import { connectRaw, publishPacket, settle, startIngress as startOwn, until } from './helpers.ts'
import type { RawClient } from './helpers.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createMemoryStore } from '../cluster/state/memory-state.ts'
import { joinRetained } from './kept/retained-parts.ts'

interface Subscriber {
  /** The topics that came with RETAIN 1. */
  readonly retained: string[]
  /** The last value of each topic, and those that came after a newer one. */
  readonly latest: Map<string, number>
  readonly older: string[]
}

/** Subscribes and takes all that comes, at QoS 0 so that nothing has to be answered. */
async function subscribe(port: number, clientId: string): Promise<Subscriber> {
  const client = await connectRaw(port, { clientId, keepalive: 0 })
  const subscriber: Subscriber = { retained: [], latest: new Map(), older: [] }
  void take(client, subscriber)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] })
  return subscriber
}

async function take(client: RawClient, { retained, latest, older }: Subscriber): Promise<void> {
  for (;;) {
    const packet = await client.next().catch(() => undefined)
    if (packet === undefined) return
    if (packet.cmd !== 'publish') continue
    const { topic } = packet
    const value = Number(packet.payload.toString())
    if (packet.retain) retained.push(topic)
    if (value < (latest.get(topic) ?? 0)) older.push(`${topic} ${value}`)
    latest.set(topic, value)
  }
}

const topics = Array.from({ length: 200 }, (_, index) => `r/${index % 4}/${index}`)

/** Publishes rising values, retained, each message when the one before is acknowledged. */
async function publishRounds(port: number, isOver: () => boolean) {
  const client = await connectRaw(port, { clientId: 'publisher', keepalive: 0 })
  let value = 0
  do {
    value++
    client.send(
      ...topics.map((topic, index) =>
        publishPacket({ topic, payload: String(value), retain: true, messageId: index + 1 }),
      ),
    )
    for (const _ of topics) await client.next()
  } while (!isOver())
  return value
}

describe.each(['own', 'shared'] as const)(
  'subscribers that come beside a publisher, %s',
  (whose) => {
    const startIngress = async (...[ingest, options]: Parameters<typeof startOwn>) => {
      if (whose === 'own') return startOwn(ingest, options)
      const retained = await joinRetained(createMemoryStore(systemClock).connect())
      return startOwn(ingest, options, undefined, systemClock, undefined, retained)
    }

    test('get each topic once as it was retained, and never an older value after it', async () => {
      const { port } = await startIngress()
      let isOver = true
      await publishRounds(port, () => isOver)
      isOver = false
      const publishing = publishRounds(port, () => isOver)
      const subscribers: Subscriber[] = []
      for (let index = 0; index < 20; index++) {
        subscribers.push(await subscribe(port, `subscriber-${index}`))
        await settle()
      }
      isOver = true
      const last = await publishing
      const isCaughtUp = ({ retained, latest }: Subscriber) =>
        retained.length >= topics.length && topics.every((topic) => latest.get(topic) === last)
      await until(() => subscribers.every(isCaughtUp))
      await settle()

      for (const { retained, older } of subscribers) {
        expect(older).toEqual([])
        expect(retained.toSorted()).toEqual(topics.toSorted())
      }
    })

    test('get what was retained when they subscribed, though they read slowly', async () => {
      const { port, ingress } = await startIngress(undefined, { drainTimeoutMs: 60_000 })
      const payload = Buffer.alloc(60_000, '1')
      const large = Array.from({ length: 200 }, (_, index) => `large/${index}`)
      const publish = async (topic: string, of: Buffer) =>
        ingress.distribute({
          topic,
          payload: of,
          qos: 0,
          retain: true,
          transport: 'http',
          timestampMs: 1,
        })
      for (const topic of large) await publish(topic, payload)
      const client = await connectRaw(port, { keepalive: 0 })
      client.pause()
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] })
      await settle()
      // The subscriber holds its publishers up, so nobody waits for them.
      const newer = Buffer.alloc(60_000, '2')
      const publishing = Promise.all(large.map((topic) => publish(topic, newer)))
      await settle()
      client.resume()
      await publishing
      const got: string[] = []
      while (got.length < 2 * large.length) {
        const packet = await client.next()
        if (packet.cmd !== 'publish') continue
        got.push(`${packet.topic} ${packet.payload.toString('utf8', 0, 1)} ${packet.retain}`)
      }
      for (const topic of large) {
        expect(got.filter((line) => line.startsWith(`${topic} `))).toEqual([
          `${topic} 1 true`,
          `${topic} 2 false`,
        ])
      }
    })
  },
)

test('a retained message comes at the QoS of the subscription at most', async () => {
  const { port } = await startOwn()
  const publisher = await connectRaw(port)
  publisher.send(publishPacket({ topic: 'a/b', retain: true }))
  await publisher.next()
  const client = await connectRaw(port, { clientId: 'c' })
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 0 }] })
  await client.next()
  expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'a/b', qos: 0, retain: true })
})

test('a snapshot gives what was kept at its moment, each once, whatever is stored meanwhile', () => {
  const topic = fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2', 'c', '$own/1')
  const store = fc.record({ step: fc.constant('store' as const), topic, isCleared: fc.boolean() })
  const filter = fc.constantFrom('#', 'a/#', '+/1', 'c')
  const begin = fc.record({
    step: fc.constant('begin' as const),
    filters: fc.array(filter, { minLength: 1, maxLength: 3 }),
  })
  const read = fc.record({ step: fc.constant('read' as const), nth: fc.nat(4) })
  const steps = fc.array(fc.oneof(store, store, begin, read, read), { maxLength: 60 })
  fc.assert(fc.property(steps, runSnapshots), { numRuns: 500 })
})

type Step =
  | { readonly step: 'store'; readonly topic: string; readonly isCleared: boolean }
  | { readonly step: 'begin'; readonly filters: readonly string[] }
  | { readonly step: 'read'; readonly nth: number }

const lineOf = (message: RetainedMessage) => `${message.topic} ${message.payload.toString()}`

function runSnapshots(steps: readonly Step[]): void {
  // With a bound that is met: what has no room takes the old value along.
  const limits = { retainedMax: 4, retainedBytesMax: 1_000 }
  const retained = createRetainedMessages(createManualClock(), limits)
  const snapshots: { next: () => unknown; got: string[]; expected: string[] }[] = []
  for (const [index, step] of steps.entries()) {
    if (step.step === 'store') {
      const payload = Buffer.from(step.isCleared ? '' : String(index))
      retained.store({ topic: step.topic, payload, qos: 0 })
    } else if (step.step === 'begin') {
      const got: string[] = []
      const add = (message: RetainedMessage) => void got.push(lineOf(message))
      const snapshot = retained.snapshot(step.filters, add)
      const expected = retained
        .list({ max: 10 })
        .filter((message) => step.filters.some((of) => subscriptionMatches(of, message.topic)))
        .map(lineOf)
      const next = () => {
        const message = snapshot.next()
        if (message !== undefined) add(message)
        return message
      }
      snapshots.push({ next, got, expected })
    } else {
      snapshots[step.nth]?.next()
    }
  }
  for (const { next, got, expected } of snapshots) {
    while (next() !== undefined);
    expect(got.toSorted()).toEqual(expected.toSorted())
  }
}
