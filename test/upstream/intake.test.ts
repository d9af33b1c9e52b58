import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Message } from '../../src/message.ts'
import { createIntake } from '../../src/upstream/intake.ts'

const unacknowledgedMax = 4

const messageOf = (number: number, qos: 0 | 1): Message => ({
  topic: 'plant/1',
  payload: Buffer.from(String(number)),
  qos,
  retain: false,
  transport: 'mqtt',
  timestampMs: 0,
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

const numberOf = ({ payload }: Message) => Number(payload.toString())

/**
 * What messages come, and how the disk answers: in which order, and what it refuses. Each step
 * settles one of the messages that the engine has and that are not settled.
 */
const runs = fc.record({
  qos: fc.array(fc.constantFrom<0 | 1>(0, 1, 1, 1), { minLength: 1, maxLength: 20 }),
  settle: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 9 })), { minLength: 60 }),
})

test('acknowledgements keep the order, stop at a failure, and never run ahead', async () => {
  await fc.assert(
    fc.asyncProperty(runs, async ({ qos, settle }) => {
      const open: { number: number; resolve(): void; reject(thrown: Error): void }[] = []
      const outcomes = new Map<number, 'durable' | 'refused'>()
      const ingested: number[] = []
      const acknowledged: number[] = []
      const distributed: number[] = []
      const failures: number[] = []
      let proceeds = 0
      const intake = createIntake(
        {
          ingest: (message) =>
            new Promise<void>((resolve, reject) => {
              ingested.push(numberOf(message))
              open.push({ number: numberOf(message), resolve, reject })
            }),
          distribute: async (message, kept) => {
            distributed.push(numberOf(message))
            await turn()
            kept()
          },
          finished: () => undefined,
          notDistributed: () => undefined,
          failed: (message) => void failures.push(numberOf(message)),
        },
        { unacknowledgedMax },
      )
      let next = 0
      const takeNext = () => {
        const number = next++
        const quality = qos[number]
        if (quality === undefined) return
        const acknowledge = () => {
          expect(outcomes.get(number)).toBe('durable')
          if (quality > 0) acknowledged.push(number)
        }
        intake.take(messageOf(number, quality), acknowledge, () => {
          proceeds++
          takeNext()
        })
      }
      takeNext()
      for (const [which, luck] of settle) {
        expect(intake.unfinished).toBeLessThanOrEqual(unacknowledgedMax)
        const [settled] = open.length === 0 ? [] : open.splice(which % open.length, 1)
        if (settled === undefined) break
        outcomes.set(settled.number, luck === 0 ? 'refused' : 'durable')
        if (luck === 0) settled.reject(new Error('full'))
        else settled.resolve()
        await turn()
        await turn()
      }
      await intake.idle()
      // Everything was read and handed to the engine, in order.
      expect(proceeds).toBe(qos.length)
      expect(ingested).toEqual(qos.map((_quality, number) => number))
      const lost = qos.findIndex((quality, n) => quality > 0 && outcomes.get(n) === 'refused')
      const end = lost === -1 ? qos.length : lost
      expect(failures).toEqual(lost === -1 ? [] : [lost])
      expect(acknowledged).toEqual(
        qos.flatMap((quality, number) => (quality > 0 && number < end ? [number] : [])),
      )
      expect(distributed).toEqual(distributed.toSorted((left, right) => left - right))
      for (let number = 0; number < end; number++) expect(distributed).toContain(number)
    }),
    { numRuns: 150 },
  )
})
