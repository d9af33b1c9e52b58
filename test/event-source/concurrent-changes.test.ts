import { readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createRetryBackoff } from '../../src/consumers/retry-backoff.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { numbered, putTexts } from '../consumers/consumer-parts.ts'
import { printing, startMappings } from './mapping-parts.ts'
import type { StartedMappings } from './mapping-parts.ts'

async function startMapping() {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const run = await startMappings(lab, { 'f.mjs': printing(), 'g.mjs': printing() })
  const uuid = await run.create({ BatchSize: 10 })
  await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
  return { lab, run, uuid, kinesis: kinesisClient(lab) }
}

const stateOf = ({ mappings }: StartedMappings, uuid: string) =>
  mappings.list({}).EventSourceMappings.find(({ UUID }) => UUID === uuid)?.['State']

const files = (dataDir: string) => readdirSync(path.join(dataDir, 'event-source', 'mappings'))

describe('changes of one mapping at the same time', () => {
  test.each(['update first', 'delete first'])('are made one by one: %s', async (order) => {
    const { run, uuid, kinesis } = await startMapping()
    const change = {
      update: () => run.mappings.update(uuid, { BatchSize: 5 }),
      delete: () => run.mappings.delete(uuid),
    }
    const changes =
      order === 'update first'
        ? [change.update(), change.delete()]
        : [change.delete(), change.update()]
    const results = await Promise.allSettled(changes)
    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatchObject({ reason: { code: 'ResourceInUseException' } })
    // The first one is the writer.
    await run.until(() => stateOf(run, uuid) === 'Enabled' || stateOf(run, uuid) === undefined)
    if (order === 'update first') await run.mappings.delete(uuid)
    await run.until(() => run.mappings.list({}).EventSourceMappings.length === 0)
    expect(files(run.dataDir)).toEqual([])
    await putTexts(kinesis, 's', numbered(3))
    await run.create({ FunctionName: 'g' })
    await run.until(() => run.texts().length >= 3)
    const invoked = run.logLines.filter(({ msg }) => String(msg).startsWith('EVENT'))
    expect(invoked.every((line) => line['function'] === 'g')).toBe(true)
  })

  test('make one runner, and none is lost', async () => {
    const { run, uuid, kinesis } = await startMapping()
    const results = await Promise.allSettled(
      numbered(6, 1).map((size) => run.mappings.update(uuid, { BatchSize: Number(size) })),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
    await putTexts(kinesis, 's', numbered(20))
    await run.until(() => run.texts().length >= 20)
    expect(run.texts()).toEqual(numbered(20))
  })

  test('keep what each of them has changed', async () => {
    const { run, uuid } = await startMapping()
    const both = await Promise.allSettled([
      run.mappings.update(uuid, { BatchSize: 7 }),
      run.mappings.update(uuid, { MaximumRetryAttempts: 3 }),
    ])
    await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
    const [first, second] = both.map(({ status }) => status === 'fulfilled')
    const configuration = run.mappings.get(uuid)
    expect(configuration['BatchSize']).toBe(first ? 7 : 10)
    expect(configuration['MaximumRetryAttempts']).toBe(second ? 3 : -1)
  })
})

test('after a time without failures the next one counts as the first', async () => {
  let nowMs = 0
  const delays: number[] = []
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => () => undefined,
    sleep: async (delayMs: number) => void delays.push(delayMs),
  }
  const logger = { warn: () => undefined, error: () => undefined }
  const options = { firstDelayMs: 1_000, delayMsMax: 30_000, text: 'it failed', fields: {} }
  const backoff = createRetryBackoff({ clock, logger }, options)
  const { signal } = new AbortController()
  for (let count = 0; count < 6; count++) {
    await backoff.afterFailure(new Error('a single fault'), signal)
    nowMs += 120_000
  }
  expect(Math.max(...delays)).toBeLessThanOrEqual(1_000)
})
