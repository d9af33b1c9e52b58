import { describe, expect, test } from 'vitest'
import type { BatchHandler } from '../../src/event-source/batch-handler.ts'
import { createTumblingWindow } from '../../src/event-source/tumbling-window.ts'
import type { OpenWindow } from '../../src/event-source/tumbling-window.ts'
import type { WindowOfEvent } from '../../src/event-source/lambda-event.ts'
import { putTexts } from '../consumers/consumer-parts.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { printing, startMappings } from './mapping-parts.ts'

const minuteMs = 60_000
const record = (approximateArrivalMs: number) => ({
  sequenceNumber: String(approximateArrivalMs),
  partitionKey: 'k',
  data: Buffer.from(''),
  approximateArrivalMs,
  sinceMs: 0,
  finish: () => undefined,
})

/** A window of a minute over a function that counts records; what it was invoked with. */
function windowOfMinute(stateOf: (before: number, count: number) => unknown, stored?: OpenWindow) {
  const invocations: (Omit<WindowOfEvent, 'endMs'> & { readonly count: number })[] = []
  const handler: BatchHandler = {
    async handle(records, window) {
      if (!window) return true
      const { startMs, state, isFinal, isTerminatedEarly } = window.forEvent()
      invocations.push({ startMs, state, isFinal, isTerminatedEarly, count: records.length })
      const before = typeof state === 'number' ? state : 0
      window.takeOver(stateOf(before, records.length), records)
      return true
    },
  }
  const { signal } = new AbortController()
  return { window: createTumblingWindow({ handler, signal }, minuteMs, stored), invocations }
}

const sum = (before: number, count: number) => before + count
const flags = { isFinal: false, isTerminatedEarly: false }

describe('a tumbling window', () => {
  test('hands the state on from batch to batch, and to one last invocation', async () => {
    const { window, invocations } = windowOfMinute(sum)
    await window.handle([record(1), record(2)])
    await window.handle([record(3)])
    await window.handle([record(minuteMs)])
    expect(invocations).toEqual([
      { startMs: 0, state: {}, count: 2, ...flags },
      { startMs: 0, state: 2, count: 1, ...flags },
      { startMs: 0, state: 3, count: 0, isFinal: true, isTerminatedEarly: false },
      { startMs: minuteMs, state: {}, count: 1, ...flags },
    ])
  })

  test('ends early when its state is longer than 1 MB', async () => {
    const { window, invocations } = windowOfMinute(() => 'x'.repeat(1024 * 1024))
    await window.handle([record(1)])
    expect(invocations[1]).toMatchObject({ count: 0, isFinal: true, isTerminatedEarly: true })
    expect(window.open()).toBeUndefined()
  })

  test('goes on in the next run with the state that was kept', async () => {
    const first = windowOfMinute(sum)
    await first.window.handle([record(1)])
    const next = windowOfMinute(sum, first.window.open())
    expect(next.window.open()).toMatchObject({ endMs: minuteMs })
    await next.window.handle([record(2)])
    expect(next.invocations).toEqual([{ startMs: 0, state: 1, count: 1, ...flags }])
  })

  test('is closed once, and not when none is open', async () => {
    const { window, invocations } = windowOfMinute(sum)
    await window.close()
    await window.handle([record(1)])
    await window.close()
    await window.close()
    expect(invocations.map(({ isFinal }) => isFinal)).toEqual([false, true])
  })
})

test('a mapping with windows sends them in the form of Lambda, and ends them in time', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const run = await startMappings(lab, {
    'f.mjs': printing(
      `return { state: { count: (event.state.count ?? 0) + event.Records.length } }`,
    ),
  })
  await run.create({ TumblingWindowInSeconds: 1 })
  await putTexts(kinesisClient(lab), 's', ['1', '2', '3'])
  const final = () => run.events().find((event) => event['isFinalInvokeForWindow'] === true)
  await run.until(() => final() !== undefined)
  const [first] = run.events()
  const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string
  expect(first).toMatchObject({
    window: { start: iso, end: iso },
    state: {},
    shardId: 'shardId-000000000000',
    eventSourceARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
    isFinalInvokeForWindow: false,
    isWindowTerminatedEarly: false,
  })
  expect(final()).toMatchObject({ Records: [], state: { count: 3 } })
})
