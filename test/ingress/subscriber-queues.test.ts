import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSubscriberQueues } from '../../src/ingress/kept/subscriber-queues.ts'
import type { StoredPacket } from '../../src/ingress/kept/subscriber-queues.ts'

const limits = { queuedMax: 1_000, queuedBytesMax: 1_000_000 }

const packetOf = (brokerCounter: number, payloadBytes = 1): StoredPacket => ({
  cmd: 'publish',
  topic: 'a',
  payload: Buffer.alloc(payloadBytes),
  qos: 2,
  retain: false,
  dup: false,
  brokerId: 'broker',
  brokerCounter,
})

test('no two packets that are open have one packet id, whatever ids Aedes wants', () => {
  // Few ids, and those at the end of their range, so that they meet and wrap around.
  const wanted = fc.integer({ min: 0, max: 7 }).map((id) => ((65_531 + id) % 65_535) + 1)
  const send = fc.record({ step: fc.constant('send' as const), wanted })
  const acknowledge = fc.record({ step: fc.constant('acknowledge' as const), nth: fc.nat(20) })
  const steps = fc.array(fc.oneof(send, send, acknowledge), { maxLength: 40 })
  fc.assert(
    fc.property(steps, (taken) => {
      const queues = createSubscriberQueues(limits)
      const sent: { counter: number; id: number; again: number }[] = []
      const acknowledged: (number | undefined)[] = []
      const expected: number[] = []
      for (const [index, step] of taken.entries()) {
        if (step.step === 'send') {
          const packet = { ...packetOf(index + 1), messageId: step.wanted }
          queues.enqueue(['c'], packet)
          queues.update('c', packet)
          // Sent once more, after a reconnect: under the same id.
          const again = { ...packet }
          queues.update('c', again)
          sent.push({ counter: index + 1, id: packet.messageId, again: again.messageId })
        } else {
          const [open] = sent.splice(step.nth, 1)
          if (open === undefined) continue
          acknowledged.push(queues.acknowledge('c', open.id)?.brokerCounter)
          expected.push(open.counter)
        }
      }
      const ids = sent.map(({ id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
      expect(sent.map(({ again }) => again)).toEqual(ids)
      expect(queues.list('c').map(({ messageId }) => messageId)).toEqual(ids)
      expect(acknowledged).toEqual(expected)
    }),
  )
})

/** Approximate memory of a queued packet beside its payload: see `packetBytes`. */
const overheadBytes = 201

const sizeOf = (packet: StoredPacket) =>
  overheadBytes + (packet.cmd === 'publish' ? packet.payload.length : 0)

test('one subscriber of everything does not take the room of the others', () => {
  const queues = createSubscriberQueues({ queuedMax: 1_000, queuedBytesMax: 100_000 })
  let counter = 0
  let notKept = 0
  for (let index = 0; index < 500; index++) {
    notKept += queues.enqueue(['everything'], packetOf(++counter, 1_000))
  }
  const before = queues.list('everything').length
  expect(before + notKept).toBe(500)
  expect(queues.bytes).toBeLessThanOrEqual(25_000)
  // Many of them take all of it, and give way to others that have less.
  for (let index = 0; index < 100; index++) {
    queues.enqueue(['all 1', 'all 2', 'all 3'], packetOf(++counter, 1_000))
  }
  expect(queues.bytes).toBeGreaterThan(95_000)
  for (let index = 0; index < 5; index++) {
    queues.enqueue(['small'], packetOf(++counter, 1_000))
  }
  expect(queues.list('small')).toHaveLength(5)
  const kept = queues.list('everything').map(({ brokerCounter }) => brokerCounter)
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => index + 1))
  expect(queues.bytes).toBeLessThanOrEqual(100_000)
})

test('a subscriber that acknowledges nothing keeps what it was sent, and no more than a share', () => {
  const queues = createSubscriberQueues({ queuedMax: 1_000, queuedBytesMax: 10_000 })
  for (let counter = 1; counter <= 20; counter++) {
    const packet = packetOf(counter, 300)
    queues.enqueue(['long'], packet)
    queues.update('long', { ...packet, messageId: counter })
  }
  const sent = queues.list('long')
  expect(queues.bytes).toBeLessThanOrEqual(2_500)
  for (let counter = 21; counter <= 60; counter++) {
    queues.enqueue([`absent ${counter % 4}`], packetOf(counter, 300))
  }
  expect(queues.enqueue(['short'], packetOf(61, 300))).toBeGreaterThan(0)
  expect(queues.list('short')).toHaveLength(1)
  expect(queues.list('long')).toEqual(sent)
})

test('whatever comes and goes, the bounds hold and the order stays', () => {
  const clients = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  const step = fc.record({
    kind: fc.constantFrom('enqueue', 'enqueue', 'enqueue', 'send', 'acknowledge', 'forget'),
    client: fc.constantFrom(...clients),
    bytes: fc.nat(3_000),
  })
  const queuedBytesMax = 20_000
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queues = createSubscriberQueues({ queuedMax: 20, queuedBytesMax })
      const bytesOf = (client: string) =>
        queues.list(client).reduce((sum, packet) => sum + sizeOf(packet), 0)
      for (const [counter, { kind, client, bytes }] of steps.entries()) {
        const [first] = queues.list(client).filter(({ messageId }) => messageId === undefined)
        const [sent] = queues.list(client).filter(({ messageId }) => messageId !== undefined)
        if (kind === 'enqueue') queues.enqueue([client], packetOf(counter, bytes))
        else if (kind === 'send' && first)
          queues.update(client, { ...first, messageId: counter + 1 })
        else if (kind === 'acknowledge' && sent) queues.acknowledge(client, sent.messageId ?? 0)
        else if (kind === 'forget') queues.forget(client)
        const held = clients.map(bytesOf)
        expect(queues.bytes).toBe(held.reduce((total, each) => total + each, 0))
        expect(queues.bytes).toBeLessThanOrEqual(queuedBytesMax)
        expect(Math.max(...held)).toBeLessThanOrEqual(queuedBytesMax / 4)
        for (const each of clients) {
          const order = queues.list(each).map(({ brokerCounter }) => brokerCounter)
          expect(order).toEqual(order.toSorted((left, right) => left - right))
        }
      }
    }),
  )
})
