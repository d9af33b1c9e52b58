import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KinesisCalls, PutRequest } from '../../src/kinesis/kinesis-calls.ts'
import type { FaultEffect } from '../../src/lab/faults.ts'
import { newRecord } from '../outbox/outbox-parts.ts'
import { openDelivery, textsByKey, withoutDuplicates } from './producer-parts.ts'

const streams = ['stream', 'other']
const keys = ['a', 'b', 'c', 'd']

/** What the calls of a run were, and whether two of one key were ever under way together. */
function createWatch() {
  const underWay = new Map<string, number>()
  const overlaps: string[] = []
  /** The texts of each call that was not taken in full, by stream. */
  const broken: { streamName: string; texts: Set<string> }[] = []
  let inFlight = 0
  let inFlightMax = 0

  function move(request: PutRequest, by: 1 | -1): void {
    inFlight += by
    inFlightMax = Math.max(inFlightMax, inFlight)
    for (const key of new Set(request.records.map(({ partitionKey }) => partitionKey))) {
      const place = `${request.streamName} ${key}`
      const count = (underWay.get(place) ?? 0) + by
      underWay.set(place, count)
      if (count > 1) overlaps.push(place)
    }
  }

  const watch =
    (put: KinesisCalls['put']): KinesisCalls['put'] =>
    async (request) => {
      move(request, 1)
      const outcome = await put(request)
      move(request, -1)
      if (!outcome.answered || outcome.records.some(({ ok }) => !ok)) {
        const texts = new Set(request.records.map(({ data }) => data.toString()))
        broken.push({ streamName: request.streamName, texts })
      }
      return outcome
    }
  return { watch, overlaps, broken, inFlightMax: () => inFlightMax }
}

const effect: fc.Arbitrary<FaultEffect> = fc.constantFrom<FaultEffect[]>(
  { kind: 'failEntries', code: 'InternalFailure' },
  { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' },
  { kind: 'error', code: 'LimitExceededException' },
  { kind: 'error', code: 'ProvisionedThroughputExceededException' },
  { kind: 'error', code: 'InternalFailureException' },
  { kind: 'error', code: 'ExpiredTokenException' },
  { kind: 'html', status: 503 },
  { kind: 'dropCall' },
  { kind: 'dropAnswer' },
  { kind: 'delay', delayMs: 3 },
)

const scenario = fc.record({
  faults: fc.array(
    fc.record({
      effect,
      probability: fc.constantFrom(0.1, 0.3, 0.6),
      operation: fc.constantFrom('PutRecord', 'PutRecords', 'AssumeRole', undefined),
    }),
    { maxLength: 5 },
  ),
  /** The key and stream of each record, message by message. */
  messages: fc.array(fc.array(fc.tuple(fc.nat(1), fc.nat(3)), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 60,
  }),
  maxInFlight: fc.constantFrom(1, 3, 16),
  recordsPerCallMax: fc.constantFrom(1, 2, 5, 500),
  faultSeed: fc.nat(1_000),
})

/** Pairs of texts that arrived the other way round than they were accepted. */
function inversionsOf(arrived: readonly string[]): [string, string][] {
  return arrived.flatMap((text, index) =>
    arrived
      .slice(index + 1)
      .filter((later) => Number(later) < Number(text))
      .map((later): [string, string] => [text, later]),
  )
}

describe('order, whatever fails', () => {
  it('loses nothing, overlaps no key, and inverts only records of one call that failed in part', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ faults, messages, faultSeed, ...limits }) => {
        const { watch, overlaps, broken, inFlightMax } = createWatch()
        const delivery = await openDelivery({
          streams,
          haste: 200,
          ...limits,
          watch,
          faultSeed,
        })
        const { lab, outbox, producer } = delivery
        for (const { operation, ...rule } of faults) {
          // Few enough that a run ends soon, and enough that records fail again and again.
          lab.faults.add({ ...rule, times: 30, ...(operation === undefined ? {} : { operation }) })
        }
        producer.start()
        const expected = new Map<string, string[]>()
        let text = 0
        const appends = messages.map((message) =>
          outbox.append(
            message.map(([stream, key]) => {
              const record = newRecord(streams[stream] ?? '', keys[key] ?? '', String(text++))
              const place = `${streams[stream]} ${record.partitionKey}`
              expected.set(place, [...(expected.get(place) ?? []), record.data.toString()])
              return record
            }),
          ),
        )
        await Promise.all(appends)
        await producer.idle()

        const doubled = faults.some(({ effect: { kind } }) => kind === 'dropAnswer')
        for (const streamName of streams) {
          const arrived = textsByKey(lab, streamName)
          for (const key of keys) {
            const all = arrived.get(key) ?? []
            const first = withoutDuplicates(all)
            const accepted = expected.get(`${streamName} ${key}`) ?? []
            expect(first.toSorted()).toEqual(accepted.toSorted())
            expect(doubled || all.length === first.length).toBe(true)
            const unexplained = inversionsOf(first).filter(
              ([left, right]) =>
                !broken.some(
                  (call) =>
                    call.streamName === streamName && call.texts.has(left) && call.texts.has(right),
                ),
            )
            expect(unexplained).toEqual([])
          }
        }
        expect(overlaps).toEqual([])
        expect(inFlightMax()).toBeLessThanOrEqual(limits.maxInFlight * streams.length)
        await delivery.close()
      }),
      { numRuns: 20 },
    )
  })
})
