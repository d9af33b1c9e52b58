import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { putTexts } from '../consumers/consumer-parts.ts'
import { printing, startMappings } from './mapping-parts.ts'

/** Two mappings of one stream, stopped; one of their files may then be damaged. */
async function stoppedMappings() {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const first = await startMappings(lab, { 'f.mjs': printing(), 'g.mjs': printing() })
  const good = await first.create({ FunctionName: 'f' })
  const bad = await first.create({ FunctionName: 'g' })
  await first.stop()
  const { dataDir } = first
  const folder = path.join(dataDir, 'event-source', 'mappings')
  return { lab, dataDir, folder, good, bad, file: path.join(folder, `${bad}.json`) }
}

type Stopped = Awaited<ReturnType<typeof stoppedMappings>>

const withSettings =
  (changes: object) =>
  ({ file }: Stopped) => {
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { settings: object }
    writeFileSync(file, JSON.stringify({ ...stored, settings: { ...stored.settings, ...changes } }))
  }

describe('a mapping file that is not usable is left out, and the others run', () => {
  test.each<[string, (stopped: Stopped) => void, RegExp]>([
    ['a file that was cut off', ({ file }) => truncateSync(file, 20), /JSON/],
    ['an empty file', ({ file }) => truncateSync(file, 0), /JSON/],
    ['JSON that is no mapping', ({ file }) => writeFileSync(file, '[]'), /must be an object/],
    ['a file without settings', ({ file }) => writeFileSync(file, '{"uuid":"x"}'), /settings|uuid/],
    ['a source that is none', withSettings({ EventSourceArn: 'here' }), /event source/],
    ['a function name that is none', withSettings({ FunctionName: '../f' }), /functionName/],
    ['a number out of range', withSettings({ BatchSize: -1 }), /batchSize/],
    [
      'a filter that is none',
      withSettings({ FilterCriteria: { Filters: [{ Pattern: '{"data": 1}' }] } }),
      /filter pattern/,
    ],
    [
      'a folder',
      ({ file }) => {
        rmSync(file)
        mkdirSync(file)
      },
      /regular file/,
    ],
    [
      'a pipe, which nobody writes to',
      ({ file }) => {
        rmSync(file)
        execFileSync('mkfifo', [file])
      },
      /regular file/,
    ],
    [
      'a file that is too long',
      ({ file }) => writeFileSync(file, ' '.repeat(2_000_000)),
      /1048576/,
    ],
    [
      'the copy of another mapping',
      ({ file, folder, good }) => {
        writeFileSync(file, readFileSync(path.join(folder, `${good}.json`)))
      },
      /uuid/,
    ],
  ])('%s', async (_, damage, reason) => {
    const stopped = await stoppedMappings()
    damage(stopped)
    const { lab, dataDir, folder, good, bad, file } = stopped
    const run = await startMappings(lab, {}, { dataDir })
    expect(run.mappings.unusableFiles()).toEqual([file])
    const logged = run.logLines.filter(({ level }) => level === 'error')
    expect(logged).toMatchObject([{ file, reason: expect.stringMatching(reason) }])
    await putTexts(kinesisClient(lab), 's', ['1'])
    await run.until(() => run.texts().length >= 1)
    const { EventSourceMappings } = run.mappings.list({})
    expect(EventSourceMappings.map(({ UUID }) => UUID)).toEqual([good])
    // It is for its owner to mend or remove.
    expect(readdirSync(folder)).toContain(`${bad}.json`)
  })
})

test('a mapping runs when its file is mended, and is forgotten when it is removed', async () => {
  const { lab, dataDir, file, folder, bad } = await stoppedMappings()
  const text = readFileSync(file, 'utf8')
  const other = path.join(folder, 'other.json')
  writeFileSync(file, text.slice(0, 20))
  writeFileSync(other, '{')
  const run = await startMappings(lab, {}, { dataDir })
  expect(run.mappings.unusableFiles()).toEqual([file, other].toSorted())
  writeFileSync(file, text)
  rmSync(other)
  await run.until(() => run.mappings.unusableFiles().length === 0)
  expect(run.mappings.get(bad)).toMatchObject({ UUID: bad, FunctionArn: /:g$/ })
  await putTexts(kinesisClient(lab), 's', ['1'])
  await run.until(() => run.texts().length === 2)
})
