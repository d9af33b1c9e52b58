/** Retained messages of a cluster: two brokers in one process that share a store in memory. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import type { IngressOptions } from '../../../src/ingress/ingress.ts'
import type { Message } from '../../../src/message.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createRandom } from '../../helpers/random.ts'
import { createMemoryStore } from '../../cluster/state/memory-state.ts'
import type { MemoryConnection, MemoryStore } from '../../cluster/state/memory-state.ts'
import { connectRaw, publishPacket, settle, startIngress, until } from '../helpers.ts'
import type { RawClient, TestIngress } from '../helpers.ts'
import { joinRetained } from './retained-parts.ts'

interface Node extends TestIngress {
  readonly connection: MemoryConnection
}

interface NodeOptions {
  readonly clock?: Clock
  readonly ingest?: (message: Message) => Promise<void>
  readonly limits?: Partial<IngressOptions>
}

async function startNode(
  store: MemoryStore,
  { clock = systemClock, ingest, limits }: NodeOptions = {},
): Promise<Node> {
  const connection = store.connect()
  const retained = await joinRetained(connection, clock)
  const started = await startIngress(ingest, limits, undefined, clock, undefined, retained)
  return { ...started, connection }
}

async function startTwo(options?: NodeOptions) {
  const store = createMemoryStore(options?.clock ?? systemClock)
  return { store, one: await startNode(store, options), other: await startNode(store, options) }
}

const contentOf = ({ ingress }: Node) =>
  ingress
    .listRetained({ max: 100 })
    .map(({ topic, payload }) => `${topic}=${payload.toString()}`)
    .join(' ')

async function publish(client: RawClient, topic: string, payload: string, qos: 0 | 1 = 1) {
  client.send(publishPacket({ topic, payload, qos, retain: true }))
  if (qos === 1) await client.next()
}

describe('a message that was retained at one node', () => {
  test('reaches a subscriber of another one, and of one that starts later', async () => {
    const { store, one, other } = await startTwo()
    const publisher = await connectRaw(one.port)
    await publish(publisher, 'a/b', 'first')
    await publish(publisher, 'a/b', 'last')
    expect(contentOf(one)).toBe('a/b=last')
    await settle()
    for (const { port } of [other, await startNode(store)]) {
      const subscriber = await connectRaw(port, { clientId: `s${port}` })
      const subscriptions = [{ topic: 'a/#', qos: 1 as const }]
      subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions })
      expect(await subscriber.next()).toMatchObject({ cmd: 'suback' })
      const expected = { topic: 'a/b', payload: Buffer.from('last'), retain: true, qos: 1 }
      expect(await subscriber.next()).toMatchObject(expected)
    }
  })

  test('is there at once for its publisher, however late the watch tells', async () => {
    const { one, other } = await startTwo({ clock: createManualClock() })
    one.connection.faults.watchDelayMs = 60_000
    const publisher = await connectRaw(one.port)
    await publish(await connectRaw(other.port), 'a', 'of the other')
    await publish(publisher, 'a', 'own')
    expect(contentOf(one)).toBe('a=own')
    await publish(publisher, 'a', '')
    expect(contentOf(one)).toBe('')
  })

  test('is cleared at all nodes by a message without payload', async () => {
    const { store, one, other } = await startTwo()
    await publish(await connectRaw(one.port), 'a', '1')
    await publish(await connectRaw(other.port), 'a', '')
    await settle()
    expect([contentOf(one), contentOf(other), store.entries.size]).toEqual(['', '', 0])
  })

  test('goes at all nodes when its time is over', async () => {
    const clock = createManualClock()
    const { store, one, other } = await startTwo({ clock })
    await one.ingress.publish({
      topic: 'a',
      payload: Buffer.from('1'),
      qos: 1,
      retain: true,
      transport: 'http',
      timestampMs: clock.wallMs(),
      mqtt5: { messageExpirySeconds: 60, contentType: 'text/plain' },
    })
    await settle()
    expect(other.ingress.retained('a')?.carried?.mqtt5).toMatchObject({ contentType: 'text/plain' })
    clock.advance(60_001)
    const later = await startNode(store, { clock })
    expect([one, other, later].map(contentOf)).toEqual(['', '', ''])
  })

  test.each([60, 200])('of a topic of %i characters of four bytes is shared', async (length) => {
    const limits = { topicBytesMax: 1_000 }
    const { one, other } = await startTwo({ limits })
    const topic = `long/${'\u{1f600}'.repeat(length)}`
    await publish(await connectRaw(one.port), topic, '1')
    await settle()
    expect(contentOf(other)).toBe(`${topic}=1`)
    await publish(await connectRaw(one.port), topic, '')
    await settle()
    expect(contentOf(other)).toBe('')
  })
})

describe('the last message of a client is the one that is retained', () => {
  test('though an earlier one took longer to become durable', async () => {
    const outcomes: (() => void)[] = []
    const ingest = ({ payload }: Message) =>
      payload.toString() === 'first'
        ? new Promise<void>((resolve) => outcomes.push(resolve))
        : Promise.resolve()
    const { store, one, other } = await startTwo({ ingest })
    const publisher = await connectRaw(one.port)
    const packets = ['first', 'second'].map((payload, index) =>
      publishPacket({ topic: 'a', payload, retain: true, messageId: index + 1 }),
    )
    publisher.send(...packets)
    await until(() => outcomes.length === 1)
    await settle()
    outcomes[0]?.()
    for (const _ of packets) await publisher.next()
    await settle()
    expect([contentOf(one), contentOf(other)]).toEqual(['a=second', 'a=second'])
    expect(contentOf(await startNode(store))).toBe('a=second')
  })

  test('also where messages of QoS 0 and 1 take turns', async () => {
    const { one, other } = await startTwo()
    const publisher = await connectRaw(one.port)
    for (let value = 1; value < 40; value++) {
      const qos = value % 3 === 0 ? 1 : 0
      publisher.send(publishPacket({ topic: 'a', payload: `${value}`, qos, retain: true }))
    }
    await until(() => contentOf(one) === 'a=39')
    await until(() => contentOf(other) === 'a=39')
    await settle()
    expect([contentOf(one), contentOf(other)]).toEqual(['a=39', 'a=39'])
  })
})

describe('while the store cannot be reached', () => {
  test('a message of QoS 1 is not acknowledged, and what was retained stays', async () => {
    const { one, other } = await startTwo()
    await publish(await connectRaw(one.port), 'a', '1')
    one.connection.faults.disconnect('nobody answers')
    const publisher = await connectRaw(one.port)
    publisher.send(publishPacket({ topic: 'a', payload: '2', retain: true }))
    await publisher.closed
    expect(publisher.waiting).toEqual([])
    expect([contentOf(one), contentOf(other)]).toEqual(['a=1', 'a=1'])
    one.connection.faults.reconnect()
    await publish(await connectRaw(one.port), 'a', '3')
    await settle()
    expect([contentOf(one), contentOf(other)]).toEqual(['a=3', 'a=3'])
  })

  test('one of QoS 0 is handed to subscribers, not retained, and counted', async () => {
    const { one } = await startTwo()
    one.connection.faults.disconnect()
    const subscriber = await connectRaw(one.port, { clientId: 'subscriber' })
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
    await subscriber.next()
    await publish(await connectRaw(one.port), 'a', '1', 0)
    expect(await subscriber.next()).toMatchObject({ topic: 'a' })
    expect(contentOf(one)).toBe('')
    const count = () => one.metric('messagesNotKept', { reason: 'retained_unreachable' })
    await until(async () => (await count()) === 1)
  })

  test('a write whose answers do not come leaves what the store has', async () => {
    const { one, other } = await startTwo()
    await publish(await connectRaw(one.port), 'a', '1')
    one.connection.faults.requestsLost = 3
    await publish(await connectRaw(one.port), 'a', '2', 0)
    const count = () => one.metric('messagesNotKept', { reason: 'retained_unreachable' })
    await until(async () => (await count()) === 1)
    expect([contentOf(one), contentOf(other)]).toEqual(['a=1', 'a=1'])
    one.connection.faults.answersLost = 2
    await publish(await connectRaw(one.port), 'a', '3')
    await settle()
    expect([contentOf(one), contentOf(other)]).toEqual(['a=3', 'a=3'])
  })
})

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'three nodes under faults end with what the store holds (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const clock = createManualClock()
    const store = createMemoryStore(clock)
    const nodes = [0, 1, 2].map(() => store.connect())
    const joined = await Promise.all(nodes.map((node) => joinRetained(node, clock)))
    const pending: Promise<unknown>[] = []
    for (let step = 0; step < 120; step++) {
      const at = random(3)
      const [faults, retained] = [nodes[at]?.faults, joined[at]]
      if (faults === undefined || retained === undefined) continue
      const act = random(10)
      if (act === 0) faults.disconnect()
      else if (act === 1) faults.reconnect(random(2) === 0)
      else if (act === 2) faults.watchDelayMs = random(3) * 40
      else if (act === 3) faults.answersLost = random(4)
      else if (act === 4) faults.requestsLost = random(4)
      else {
        const payload = Buffer.from(random(5) === 0 ? '' : String(step))
        const qos = random(2) === 0 ? 0 : 1
        const packet = { topic: `t${random(3)}`, payload, qos, retain: true } as const
        if (qos === 0) retained.store(packet)
        else {
          const keep = retained.preparing(undefined)(packet, undefined)
          const isGone = random(4) === 0
          const handOn = () => {
            if (!isGone) retained.store(packet)
            keep?.settle()
          }
          pending.push(keep?.write().then(handOn, () => undefined) ?? Promise.resolve())
        }
      }
      if (random(2) === 0) await settle()
      clock.advance(random(30))
    }
    for (const { faults } of nodes) {
      Object.assign(faults, { answersLost: 0, requestsLost: 0 })
      faults.reconnect()
    }
    for (let turn = 0; turn < 20; turn++) {
      await settle()
      clock.advance(500)
    }
    await Promise.all(pending)
    const fresh = await joinRetained(store.connect(), clock)
    const textOf = (of: (typeof joined)[number]) =>
      of.list({ max: 10 }).map(({ topic, payload }) => `${topic}=${payload.toString()}`)
    const stored = textOf(fresh)
    expect(joined.map(textOf)).toEqual([stored, stored, stored])
  },
)
