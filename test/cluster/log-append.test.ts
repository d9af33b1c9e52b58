import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { decodeChunk } from '../../src/cluster/lanes/chunk-codec.ts'
import { laneOf } from '../../src/cluster/lanes/lane-of.ts'
import { createLogAppend } from '../../src/cluster/lanes/log-append.ts'
import { LogFullError, batchMessagesMax } from '../../src/cluster/log/replicated-log.ts'
import type { Chunk } from '../../src/cluster/log/replicated-log.ts'
import type { NewRecord } from '../../src/outbox/outbox.ts'
import { createClusterMetrics } from '../../src/telemetry/cluster-metrics.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { newRecord } from '../outbox/records.ts'

/** A log whose answers the test gives. */
function openAppend() {
  const clock = createManualClock()
  const batches: (readonly Chunk[])[] = []
  const answers: { resolve: () => void; reject: (thrown: unknown) => void }[] = []
  const dropped: NewRecord[] = []
  const registry = new Registry()
  const log = {
    append: (chunks: readonly Chunk[]) => {
      batches.push(chunks)
      return new Promise<void>((resolve, reject) => {
        answers.push({ resolve, reject })
      })
    },
  }
  const appending = createLogAppend({
    log,
    clock,
    onDropped: (records) => void dropped.push(...records),
    metrics: createClusterMetrics(registry),
  })
  return { registry, clock, batches, answers, dropped, appending }
}

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

const record = (key: string, text = 'text') => newRecord('stream', key, text)

function countOf(chunk: Chunk | undefined): number {
  const decoded = chunk && decodeChunk(chunk.data)
  return decoded?.kind === 'records' ? decoded.values.length : 0
}

test('messages that wait for the log together become one batch, a chunk for each lane', async () => {
  const { batches, answers, appending } = openAppend()
  const first = appending.append([record('a')])
  await turn()
  const others = ['a', 'b', 'a'].map((key) => appending.append([record(key)]))
  await turn()
  expect(batches).toHaveLength(1)
  answers[0]?.resolve()
  await first
  await turn()
  answers[1]?.resolve()
  await Promise.all(others)
  expect(batches[1]?.map((chunk) => [chunk.lane, countOf(chunk)])).toEqual([
    [laneOf('a'), 2],
    [laneOf('b'), 1],
  ])
})

test('at a middling load a batch gathers for a while, and with few messages none does', async () => {
  const { clock, batches, answers, appending } = openAppend()
  async function appendAt(count: number): Promise<void> {
    const appended = Array.from({ length: count }, () => appending.append([record('a')]))
    await turn()
    for (let step = 0; step < 10; step++) {
      answers.at(-1)?.resolve()
      await turn()
      clock.advance(20)
    }
    await Promise.all(appended)
  }
  await appendAt(20)
  expect(batches).toHaveLength(1)
  await appendAt(400)
  await appendAt(400)
  await appendAt(400)
  const before = batches.length
  void appending.append([record('a')])
  await turn()
  expect(batches).toHaveLength(before)
  clock.advance(20)
  await turn()
  expect(batches).toHaveLength(before + 1)
})

test('the time of a batch is measured until the log has it', async () => {
  const { registry, clock, answers, appending } = openAppend()
  const stored = appending.append([record('a')])
  await turn()
  clock.advance(300)
  answers[0]?.resolve()
  await stored
  const refused = appending.append([record('a')]).catch(() => undefined)
  await turn()
  clock.advance(300)
  answers[1]?.reject(new Error('broken'))
  await refused
  const text = await registry.metrics()
  expect(text).toContain('sluice_log_commit_seconds_sum 0.3\n')
  expect(text).toContain('sluice_log_commit_seconds_count 1\n')
})

test('messages wait for room in a full log, in their order, and some are dropped', async () => {
  const { clock, batches, answers, dropped, appending } = openAppend()
  const first = appending.append([record('a', '1')])
  const mayDrop = appending.append([record('a', 'dropped')], { whenFull: 'drop' })
  await turn()
  answers[0]?.reject(new LogFullError('no room'))
  await mayDrop
  expect(appending.isFull()).toBe(true)
  const second = appending.append([record('a', '2')])
  await appending.append([record('a', 'dropped at once')], { whenFull: 'drop' })
  expect(dropped.map(({ data }) => data.toString())).toEqual(['dropped', 'dropped at once'])
  for (let attempt = 1; attempt <= 3; attempt++) {
    clock.advance(250)
    await turn()
    if (attempt < 3) answers[attempt]?.reject(new LogFullError('no room'))
    await turn()
  }
  const moved = appending.appendMoved([record('a', 'moved')])
  answers[4]?.resolve()
  await moved
  answers[3]?.resolve()
  await first
  await turn()
  answers[5]?.resolve()
  await second
  expect(batches.map((chunks) => chunks.map(countOf))).toEqual([[2], [1], [1], [1], [1], [1]])
  await turn()
  expect([appending.isFull(), appending.waitingBytes()]).toEqual([false, 0])
})

test('what waits for room is refused when the log closes', async () => {
  const { answers, appending } = openAppend()
  const refused = appending.append([record('a')])
  await turn()
  answers[0]?.reject(new LogFullError('no room'))
  await turn()
  const outcome = Promise.allSettled([refused])
  const closed = appending.close()
  await turn()
  answers[1]?.reject(new LogFullError('no room'))
  expect(await outcome).toMatchObject([{ reason: { code: 'OutboxFull' } }])
  await closed
})

test('what no batch takes is refused as a fault of its rule', async () => {
  const { batches, appending } = openAppend()
  const large = record('a', 'x'.repeat(600 * 1024))
  await expect(appending.append([large])).rejects.toMatchObject({ code: 'ActionFailed' })
  const many = Array.from({ length: batchMessagesMax + 1 }, (_, index) =>
    newRecord(`stream-${index}`, 'a', 'x'),
  )
  await expect(appending.append(many)).rejects.toMatchObject({ code: 'ActionFailed' })
  expect(batches).toHaveLength(0)
})

test('when it closes, what was appended is stored, and later messages are refused', async () => {
  const { batches, answers, appending } = openAppend()
  const appended = appending.append([record('a')])
  const closed = appending.close()
  await expect(appending.append([record('a')])).rejects.toMatchObject({ code: 'OutboxWriteFailed' })
  await turn()
  answers[0]?.resolve()
  await Promise.all([appended, closed])
  expect(batches).toHaveLength(1)
})
