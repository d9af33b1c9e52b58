import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { QueuedRecord } from '../../src/outbox/outbox.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { encodeRecord } from '../../src/outbox/store/record-codec.ts'
import {
  destination,
  everything,
  idOf,
  newRecord,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

/** What a record of `newRecord` takes on disk. */
const storedBytes = (key: string, text: string) => encodeRecord(newRecord('a', key, text), 0).length

describe('the outbox', () => {
  test('reads appended records by destination and in order', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    await Promise.all([
      outbox.append([newRecord('a', 'k1', 'a1'), newRecord('b', 'k1', 'b1')]),
      outbox.append([newRecord('a', 'k2', 'a2')]),
    ])
    expect(textsOf(outbox, 'a')).toEqual(['a1', 'a2'])
    expect(textsOf(outbox, 'b')).toEqual(['b1'])
    const [first, second] = outbox.read(idOf(outbox, 'a'), 0, everything)
    expect(first).toMatchObject({ partitionKey: 'k1', ruleName: 'telemetry', actionIndex: 0 })
    expect(second?.sequence).toBeGreaterThan(first?.sequence ?? Infinity)
    await outbox.close()
  })

  test('resolves at once for a message without records', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    await outbox.append([])
    expect(outbox.size()).toEqual({ records: 0, bytes: 0 })
    await outbox.close()
  })

  test('neither counts nor reads a record before it is durable', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    const told: (readonly number[])[] = []
    outbox.onAppended((ids) => told.push(ids))
    const appended = outbox.append([newRecord('a', 'k', 'one')])
    expect(outbox.size().records).toBe(0)
    expect(textsOf(outbox, 'a')).toEqual([])
    expect(told).toEqual([])
    await appended
    expect(outbox.size()).toEqual({ records: 1, bytes: storedBytes('k', 'one') })
    expect(told).toEqual([[idOf(outbox, 'a')]])
    await outbox.close()
  })

  test('reads up to its limits, and always one record', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    await outbox.append(['1', '22', '333', '4444'].map((text) => newRecord('a', 'k', text)))
    const id = idOf(outbox, 'a')
    const read = (after: number, countMax: number, bytesMax: number) =>
      outbox.read(id, after, { countMax, bytesMax }).map(({ data }) => data.toString())
    expect(read(0, 2, 1_000)).toEqual(['1', '22'])
    expect(read(0, 10, 5)).toEqual(['1', '22'])
    expect(read(0, 10, 1)).toEqual(['1'])
    const [first] = outbox.read(id, 0, everything)
    expect(read(first?.sequence ?? 0, 10, 1_000)).toEqual(['22', '333', '4444'])
    await outbox.close()
  })

  test('keeps one queue for equal destination objects', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    const { region, streamName, credentials, settings } = destination('a')
    const reordered = { kind: 'kinesis' as const, settings, credentials, streamName, region }
    await outbox.append([newRecord('a', 'k', '1')])
    await outbox.append([{ ...newRecord('a', 'k', '2'), destination: reordered }])
    const other = { ...reordered, credentials: { kind: 'process' as const } }
    await outbox.append([{ ...newRecord('a', 'k', '3'), destination: other }])
    expect(outbox.destinations().map(({ records }) => records)).toEqual([2, 1])
    await outbox.close()
  })

  test('never reads delivered records again', async () => {
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory)
    await outbox.append(['1', '2', '3'].map((text) => newRecord('a', 'k', text)))
    const id = idOf(outbox, 'a')
    const [, second] = outbox.read(id, 0, everything)
    outbox.delivered(id, second ? [second] : [])
    expect(textsOf(outbox, 'a')).toEqual(['1', '3'])
    expect(outbox.size()).toEqual({ records: 2, bytes: 2 * storedBytes('k', '1') })
    await outbox.close()
    const { outbox: reopened } = await openTestOutbox(directory)
    expect(textsOf(reopened, 'a')).toEqual(['1', '3'])
    expect(reopened.size()).toEqual({ records: 2, bytes: 2 * storedBytes('k', '1') })
    await reopened.close()
  })

  test('reports how many delivered records are still on disk', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    await outbox.append(['1', '2', '3'].map((text) => newRecord('a', 'k', text)))
    const id = idOf(outbox, 'a')
    expect(outbox.removalsPending()).toBe(0)
    outbox.delivered(id, outbox.read(id, 0, { countMax: 2, bytesMax: 1_000 }))
    expect(outbox.removalsPending()).toBe(2)
    // A further append takes the removals with it.
    await outbox.append([newRecord('a', 'k', '4')])
    expect(outbox.removalsPending()).toBe(0)
    await outbox.close()
  })

  test('reports the age of the oldest waiting record', async () => {
    const clock = createManualClock()
    const { outbox } = await openTestOutbox(temporaryDirectory(), {}, clock)
    await outbox.append([newRecord('a', 'k', '1')])
    clock.advance(5_000)
    await outbox.append([newRecord('a', 'k', '2')])
    const id = idOf(outbox, 'a')
    const [record] = outbox.read(id, 0, everything)
    expect(outbox.oldestAgeMs(id)).toBe(5_000)
    outbox.delivered(id, record ? [record] : [])
    expect(outbox.oldestAgeMs(id)).toBe(0)
    outbox.delivered(id, outbox.read(id, 0, everything))
    expect(outbox.oldestAgeMs(id)).toBeUndefined()
    await outbox.close()
  })

  test('keeps its metrics equal to what it holds', async () => {
    const { outbox, metrics } = await openTestOutbox(temporaryDirectory())
    await outbox.append([newRecord('a', 'key', 'four'), newRecord('b', 'key', 'five5')])
    const id = idOf(outbox, 'a')
    outbox.delivered(id, outbox.read(id, 0, everything))
    const text = await metrics.registry.metrics()
    expect(text).toContain('sluice_records_accepted_total{rule="telemetry",action="0"} 2')
    expect(text).toContain('sluice_outbox_records 1')
    expect(text).toContain(`sluice_outbox_bytes ${storedBytes('key', 'five5')}`)
    expect(text).toContain('sluice_outbox_commit_seconds_count 1')
    await outbox.close()
  })

  test('goes on when a listener throws, and tells the other listeners', async () => {
    const { outbox, lines } = await openTestOutbox(temporaryDirectory())
    outbox.onAppended(() => {
      throw new Error('listener')
    })
    const told: number[] = []
    outbox.onAppended((ids) => void told.push(...ids))
    await outbox.append([newRecord('a', 'k', '1')])
    await outbox.append([newRecord('b', 'k', '2')])
    expect([textsOf(outbox, 'a'), textsOf(outbox, 'b')]).toEqual([['1'], ['2']])
    expect(told).toEqual([idOf(outbox, 'a'), idOf(outbox, 'b')])
    expect(lines).toMatchObject([{ level: 'error' }, { level: 'error' }])
    await outbox.close()
  })

  test('commits earlier appends when it closes, and refuses later ones', async () => {
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory)
    const before = outbox.append([newRecord('a', 'k', 'before')])
    const closing = outbox.close()
    await expect(outbox.append([newRecord('a', 'k', 'after')])).rejects.toMatchObject({
      code: 'OutboxWriteFailed',
    })
    await before
    await closing
    const { outbox: reopened } = await openTestOutbox(directory)
    expect(textsOf(reopened, 'a')).toEqual(['before'])
    await reopened.close()
  })
})

describe('an outbox that cannot be used', () => {
  test.each([
    ['other bytes in its file', (file: string) => writeFileSync(file, 'x'.repeat(8_192))],
    ['zeros in its file', (file: string) => writeFileSync(file, Buffer.alloc(8_192))],
    ['a few bytes in its file', (file: string) => writeFileSync(file, 'x')],
    ['a folder in place of its file', (file: string) => mkdirSync(file)],
  ])('is refused with %s', async (_, spoil) => {
    const directory = temporaryDirectory()
    mkdirSync(path.join(directory, 'outbox'))
    spoil(path.join(directory, 'outbox', 'data.mdb'))
    await expect(openTestOutbox(directory)).rejects.toMatchObject({
      code: expect.stringMatching(/^DataFolder(Damaged|Unusable)$/) as string,
      message: expect.stringContaining(path.join(directory, 'outbox')) as string,
    })
  })
})

/** One step against the outbox and against a plain array. */
type Step =
  | { readonly kind: 'append'; readonly streams: readonly number[] }
  | { readonly kind: 'settle'; readonly stream: number; readonly picks: readonly boolean[] }
  | { readonly kind: 'reopen' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      streams: fc.array(fc.nat(2), { maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      stream: fc.nat(2),
      picks: fc.array(fc.boolean(), { maxLength: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

describe('the outbox against a plain array', () => {
  test('holds the same records in the same order after any steps', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const directory = temporaryDirectory()
        let { outbox } = await openTestOutbox(directory)
        const model: { stream: number; text: string }[] = []
        const appends: Promise<void>[] = []
        for (const [at, taken] of steps.entries()) {
          switch (taken.kind) {
            case 'append': {
              const added = taken.streams.map((stream, index) => ({
                stream,
                text: `${at}.${index}`,
              }))
              model.push(...added)
              const records = added.map(({ stream, text }) => newRecord(`s${stream}`, 'k', text))
              appends.push(outbox.append(records))
              break
            }
            case 'settle': {
              await Promise.all(appends.splice(0))
              const id = idOf(outbox, `s${taken.stream}`)
              const records = outbox.read(id, 0, everything)
              const settled = records.filter((_, index) => taken.picks[index] === true)
              outbox.delivered(id, settled)
              for (const { data } of settled) {
                model.splice(
                  model.findIndex(({ text }) => text === data.toString()),
                  1,
                )
              }
              break
            }
            case 'reopen': {
              await outbox.close()
              outbox = (await openTestOutbox(directory)).outbox
              break
            }
          }
        }
        await Promise.all(appends)
        for (const stream of [0, 1, 2]) {
          const expected = model.filter((entry) => entry.stream === stream)
          expect(textsOf(outbox, `s${stream}`)).toEqual(expected.map(({ text }) => text))
        }
        const all = outbox
          .destinations()
          .flatMap(({ id }): QueuedRecord[] => outbox.read(id, 0, everything))
        const bytes = all.reduce((sum, { stored }) => sum + stored.length, 0)
        expect(outbox.size()).toEqual({ records: model.length, bytes })
        await outbox.close()
      }),
      { numRuns: 40 },
    )
  })
})
