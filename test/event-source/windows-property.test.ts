import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MappingSettings } from '../../src/event-source/mapping-settings.ts'
import { collected, createTestShard, failed, returned, settle, textsIn } from './shard-parts.ts'
import type { ShardRun, TestCall, WindowEvent } from './shard-parts.ts'

/**
 * Windows with parallel batches, failures and restarts, against a model. What must hold:
 *
 * - The state of each final invocation holds records of its window alone, each of them once.
 * - Each record is in the state of exactly one final invocation whose end reached the disk.
 * - A final invocation whose end did not reach the disk is one that a crash came too close behind:
 *   its records are counted again. Without a crash there is none.
 */
type Step =
  | { readonly kind: 'put'; readonly key: string }
  | { readonly kind: 'read'; readonly recordsMax: number }
  | { readonly kind: 'answer'; readonly index: number; readonly how: 'ok' | 'fail' | 'half' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'stepBack'; readonly ms: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'settings'; readonly batches: number; readonly bisects: boolean }

const lengthMs = 10_000

const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put'),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('read'), recordsMax: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('answer'),
      index: fc.nat(3),
      how: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'half'),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush') }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 1, max: 12_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stepBack'), ms: fc.integer({ min: 1, max: 8_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('settings'),
      batches: fc.integer({ min: 1, max: 4 }),
      bisects: fc.boolean(),
    }),
  },
) as fc.Arbitrary<Step>

interface Final {
  readonly texts: readonly string[]
  /** How many calls had been answered with this one. */
  readonly answeredCalls: number
}

function createModel() {
  const shard = createTestShard()
  let settings: Partial<MappingSettings> = {
    TumblingWindowInSeconds: lengthMs / 1_000,
    ParallelizationFactor: 2,
    BatchSize: 3,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  }
  let run: ShardRun = shard.start(settings)
  /** Final invocations that were answered in this run, and are not on disk. */
  let recent: Final[] = []
  const durable: Final[] = []

  /** A window is over by the time of day: each step back makes it last longer. */
  let steppedBackMs = 0

  function stepBack(ms: number): void {
    steppedBackMs += ms
    shard.clock.setWall(shard.clock.wallMs() - ms)
  }

  function flush(): boolean {
    const save = shard.flush()
    if (!save) return false
    durable.push(...recent.filter((final) => final.answeredCalls <= save.answeredCalls))
    recent = recent.filter((final) => final.answeredCalls > save.answeredCalls)
    return true
  }

  function answer(call: TestCall, how: 'ok' | 'fail' | 'half'): void {
    const { event } = call
    checkRecords(event)
    if (how === 'fail') return call.answer(failed)
    if (how === 'half' && event.Records.length > 1) return call.answer(halfOf(event))
    if (event.isFinalInvokeForWindow) {
      recent.push({
        texts: event.state.texts ?? [],
        answeredCalls: shard.answeredCalls() + 1,
      })
    }
    call.answer(collected(event))
  }

  function checkRecords(event: WindowEvent): void {
    const texts = [...(event.state.texts ?? []), ...textsIn(event)]
    expect(new Set(texts).size).toBe(texts.length)
    const startMs = Date.parse(event.window.start)
    for (const text of texts) expect(windowOf(text)).toBe(startMs)
  }

  const windowOf = (text: string) => {
    const { approximateArrivalMs = 0 } = shard.records[Number(text)] ?? {}
    return Math.floor(approximateArrivalMs / lengthMs) * lengthMs
  }

  async function stop(): Promise<void> {
    run.stopping.abort()
    await settle()
    while (run.calls.length > 0 || run.saves.length > 0) {
      const [call] = run.calls
      if (call) answer(call, 'ok')
      else flush()
      await settle()
    }
    await run.done
    // A stop that has ended leaves nothing behind that was answered and is not on disk.
    expect(recent).toEqual([])
  }

  return {
    async take(step: Step): Promise<void> {
      if (step.kind === 'put') shard.put(String(shard.records.length), step.key)
      else if (step.kind === 'read') run.read(step.recordsMax)
      else if (step.kind === 'flush') flush()
      else if (step.kind === 'advance') shard.clock.advance(step.ms)
      else if (step.kind === 'stepBack') stepBack(step.ms)
      else if (step.kind === 'answer') {
        const call = run.calls[step.index % Math.max(1, run.calls.length)]
        if (call) answer(call, step.how)
      } else {
        if (step.kind === 'crash') {
          recent = []
          shard.crash()
        } else await stop()
        if (step.kind === 'settings') {
          const { batches, bisects } = step
          settings = {
            ...settings,
            ParallelizationFactor: batches,
            BisectBatchOnFunctionError: bisects,
          }
        }
        run = shard.start(settings)
      }
      await settle()
    },
    /** Goes on without faults until all windows are over. */
    async finish(): Promise<void> {
      let isQuiet = 0
      while (isQuiet < 3 + steppedBackMs / lengthMs) {
        shard.clock.advance(lengthMs)
        run.read()
        await settle()
        isQuiet++
        while (run.calls.length > 0 || run.saves.length > 0) {
          isQuiet = 0
          const [call] = run.calls
          if (call) answer(call, 'ok')
          else flush()
          await settle()
        }
      }
      await stop()
    },
    /** The records in the final states that are on disk, in order. */
    counted: () => durable.flatMap(({ texts }) => texts.map(Number)).toSorted((a, b) => a - b),
    written: () => shard.records.map((_, index) => index),
  }
}

/** All but the last record are done. */
function halfOf(event: WindowEvent) {
  const last = event.Records.at(-1)
  const done = textsIn(event).slice(0, -1)
  return returned({
    state: { texts: [...(event.state.texts ?? []), ...done] },
    batchItemFailures: [{ itemIdentifier: last?.kinesis.sequenceNumber }],
  })
}

test('every record is in the final state of its window once, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { minLength: 10, maxLength: 120 }), async (steps) => {
      const model = createModel()
      for (const each of steps) await model.take(each)
      await model.finish()
      expect(model.counted()).toEqual(model.written())
    }),
    { numRuns: 300 },
  )
}, 120_000)
