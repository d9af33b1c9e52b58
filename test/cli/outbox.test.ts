import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { describeFailure } from '../../src/cli/terminal/host.ts'
import { openDataFolder } from '../../src/storage/data-folder.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { newRecord, openTestOutbox, temporaryDirectory, textsOf } from '../outbox/outbox-parts.ts'

async function run(...words: string[]) {
  const host = createTestHost()
  try {
    await createProgram(host).parseAsync(['node', 'sluice', 'outbox', ...words])
  } catch (thrown) {
    host.stderr.write(describeFailure(thrown))
    host.setExitCode(1)
  }
  return { code: host.exitCode(), ...host.written }
}

const dataFile = (directory: string) => path.join(directory, 'outbox', 'data.mdb')
const recordCount = 1_500
const payload = 'x'.repeat(80)
const all = Array.from({ length: recordCount }, (_, n) => `${n} ${payload}`)

let made: Promise<Buffer> | undefined

/** The file of an outbox whose tree of records has branch pages. */
function wholeFile(): Promise<Buffer> {
  made ??= (async () => {
    const { outbox, directory } = await openNew()
    await Promise.all(all.map((text) => outbox.append([newRecord('a', 'key', text)])))
    await outbox.close()
    return readFileSync(dataFile(directory))
  })()
  return made
}

async function openNew() {
  const directory = temporaryDirectory()
  const folder = await openDataFolder(directory, 'engine')
  folder.close()
  return { directory, ...(await openTestOutbox(directory)) }
}

/** A data folder with this file of an outbox. */
async function folderWith(bytes: Buffer): Promise<string> {
  const { directory, outbox } = await openNew()
  await outbox.close()
  writeFileSync(dataFile(directory), bytes)
  return directory
}

function withBit(whole: Buffer, bit: number): Buffer {
  const bytes = Buffer.from(whole)
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return bytes
}

function quarantined(directory: string): number {
  const file = path.join(directory, 'quarantine', 'outbox.ndjson')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
}

describe('sluice outbox', () => {
  test('finds nothing in a healthy outbox, and changes nothing', async () => {
    const whole = await wholeFile()
    const directory = await folderWith(whole)
    expect(await run('verify', directory)).toEqual({
      code: 0,
      stderr: '',
      stdout: `${dataFile(directory)}: ${recordCount} records and 0 dead letters can be read\nnothing is damaged\n`,
    })
    expect(await run('repair', directory)).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(dataFile(directory)).equals(whole)).toBe(true)
  })

  test('exports records and dead letters with their destinations', async () => {
    const { directory, outbox } = await openNew()
    await outbox.append([newRecord('a', 'key', 'first'), newRecord('b', 'key', 'second')])
    const [a] = outbox.destinations()
    const [record] = outbox.read(a?.id ?? 0, 0, { countMax: 1, bytesMax: 1_000 })
    const reason = { code: 'Refused', message: 'for the test' }
    const given = record ? [{ record, reason, attempts: 1, firstMs: 1, lastMs: 2 }] : []
    await outbox.giveUp(a?.id ?? 0, given)
    await outbox.close()
    const { code, stdout, stderr } = await run('export', directory)
    const lines = stdout.trimEnd().split('\n')
    expect([code, stderr]).toEqual([0, ''])
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        kind: 'deadLetter',
        reason,
        dataBase64: Buffer.from('first').toString('base64'),
        destination: { streamName: 'a' },
      },
      {
        kind: 'record',
        ruleName: 'telemetry',
        partitionKey: 'key',
        dataBase64: Buffer.from('second').toString('base64'),
        destination: { streamName: 'b' },
      },
    ])
  })

  test('is refused while an engine uses the folder, and for what is no data folder', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory, 'engine')
    for (const command of ['verify', 'export', 'repair']) {
      expect(await run(command, directory)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('is in use by') as string,
      })
      expect(await run(command, temporaryDirectory())).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('no data folder') as string,
      })
    }
    folder.close()
  })

  test('a file that is cut short is repaired with what is left', async () => {
    const whole = await wholeFile()
    const directory = await folderWith(whole.subarray(0, 4_096 * 30))
    await expect(openTestOutbox(directory)).rejects.toMatchObject({ code: 'DataFolderDamaged' })
    expect((await run('verify', directory)).code).toBe(1)
    const { stdout } = await run('repair', directory)
    expect(stdout).toMatch(/\d{2,} records and 0 dead letters are kept/)
    const { outbox } = await openTestOutbox(directory)
    expect(outbox.size().records).toBeGreaterThan(100)
    await outbox.close()
    const kept = readdirSync(path.join(directory, 'outbox')).filter((name) => name !== 'lock.mdb')
    expect(kept).toEqual(['data.mdb', expect.stringMatching(/^data\.mdb\.damaged-\d+$/)])
  })

  test('any changed bit costs one record at most, which is in quarantine', async () => {
    const whole = await wholeFile()
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length * 8 - 1 }), async (bit) => {
        const directory = await folderWith(withBit(whole, bit))
        const verified = await run('verify', directory)
        const repaired = await run('repair', directory)
        expect(repaired).toMatchObject({ code: 0, stderr: '' })
        const again = await run('verify', directory)
        expect(again).toMatchObject({ code: 0, stderr: '' })
        const { outbox } = await openTestOutbox(directory)
        const texts = new Set(textsOf(outbox, 'a'))
        const lost = all.filter((text) => !texts.has(text))
        expect(lost.length).toBeLessThanOrEqual(quarantined(directory))
        expect(lost.length).toBeLessThanOrEqual(1)
        expect(lost.length > 0 && verified.code === 0).toBe(false)
        await outbox.append([newRecord('a', 'key', 'one more')])
        await outbox.close()
      }),
      // The kind of each meta page, its transaction, and its root.
      {
        numRuns: 40,
        examples: [144, 32_912, 1_217, 33_985, 1_090, 33_858, 1_643_020].map((bit) => [bit]),
      },
    )
  }, 120_000)

  test('a damaged branch page costs no record', async () => {
    const whole = await wholeFile()
    const pages = whole.length / 4_096
    const branch = Array.from({ length: pages }, (_, page) => page).find(
      (page) => page > 1 && whole.readUInt16LE(page * 4_096 + 18) === 1,
    )
    expect(branch).toBeDefined()
    const first = (branch ?? 0) * 4_096
    // The header, the first and the last nodes.
    for (const byte of [0, 18, 20, 22, 24, 4_088, 4_094]) {
      const directory = await folderWith(withBit(whole, (first + byte) * 8 + 1))
      await run('repair', directory)
      const { outbox } = await openTestOutbox(directory)
      const texts = new Set(textsOf(outbox, 'a'))
      expect([byte, all.filter((text) => !texts.has(text)).length]).toEqual([byte, 0])
      await outbox.close()
    }
  }, 60_000)
})
