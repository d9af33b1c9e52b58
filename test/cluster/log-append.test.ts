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
  answers[1]?.reject(new LogFullError('full'))
  await refused
  const text = await registry.metrics()
  expect(text).toContain('sluice_log_commit_seconds_sum 0.3\n')
  expect(text).toContain('sluice_log_commit_seconds_count 1\n')
})

test('a full log refuses a message, and drops one that may be dropped', async () => {
  const { answers, dropped, appending } = openAppend()
  const refused = appending.append([record('a')])
  const mayDrop = appending.append([record('b', 'dropped')], { whenFull: 'drop' })
  const outcomes = Promise.allSettled([refused, mayDrop])
  await turn()
  answers[0]?.reject(new LogFullError('no room'))
  expect(await outcomes).toMatchObject([
    { status: 'rejected', reason: { code: 'OutboxFull' } },
    { status: 'fulfilled' },
  ])
  expect(dropped.map(({ data }) => data.toString())).toEqual(['dropped'])
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
