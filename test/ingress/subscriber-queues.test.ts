import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSubscriberQueues } from '../../src/ingress/kept/subscriber-queues.ts'
import type { StoredPacket } from '../../src/ingress/kept/subscriber-queues.ts'

const limits = { queuedMax: 1_000, queuedBytesMax: 1_000_000 }

const packetOf = (brokerCounter: number): StoredPacket => ({
  cmd: 'publish',
  topic: 'a',
  payload: Buffer.from('x'),
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
