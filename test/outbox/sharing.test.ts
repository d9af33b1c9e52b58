import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { createProgram } from '../../src/cli/program.ts'
import type { NewRecord, Outbox, OutboxOptions, SourceMessage } from '../../src/outbox/outbox.ts'
import { openDataFolder } from '../../src/storage/data-folder.ts'
import { createTestHost } from '../helpers/test-host.ts'
import {
  everything,
  givenUp,
  idOf,
  newRecord,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

const payloadBytes = 32 * 1024
const payload = Buffer.from(`{"text":"${'x'.repeat(payloadBytes - 11)}"}`)

const userProperties = [
  ['b', '1'],
  ['a', ''],
  ['b', '2'],
] as const

const sourceOf = (messageId: string, bytes = payload): SourceMessage => ({
  messageId,
  topic: 'wide/a',
  clientId: 'device',
  traceId: messageId,
  principal: 'anonymous',
  timestampMs: 1_700_000_000_000,
  payload: bytes,
  mqtt5: { contentType: 'text/x', correlationData: Buffer.from([0, 1]), userProperties },
})

/** Records with the payload as it came, data that several agree on, and data of their own. */
function recordsOf(source: SourceMessage, streams: readonly string[]): NewRecord[] {
  const agreed = `${source.messageId} agreed ${'y'.repeat(2_000)}`
  return streams.map((stream, index) => {
    const data = [source.payload, Buffer.from(agreed), Buffer.from(`${source.messageId} ${index}`)]
    return {
      ...newRecord(stream, `key ${index}`, ''),
      data: data[index % data.length] ?? source.payload,
      actionIndex: index % 10,
      source,
    }
  })
}

const dataFile = (directory: string) => path.join(directory, 'outbox', 'data.mdb')
const quarantineFile = (directory: string) => path.join(directory, 'quarantine', 'outbox.ndjson')

/** The keys of records and messages. */
function quarantined(directory: string): string[] {
  if (!existsSync(quarantineFile(directory))) return []
  const lines = readFileSync(quarantineFile(directory), 'utf8').trimEnd().split('\n')
  return lines
    .map((line) => JSON.parse(line) as { table: string; key: string })
    .flatMap(({ table, key }) => (table === 'records' ? [key] : []))
}

/** A message belongs to no destination. */
const isMessage = (key: string) => key.startsWith('00000000')

const read = (outbox: Outbox, stream: string) => outbox.read(idOf(outbox, stream), 0, everything)

const contentsOf = (outbox: Outbox, stream: string) =>
  read(outbox, stream).map((record) => {
    const { partitionKey, data, ruleName, actionIndex } = record
    return { partitionKey, data, ruleName, actionIndex, source: outbox.sourceOf(record) }
  })

const bytesOf = (outbox: Outbox, stream: string) =>
  outbox.destinations().find(({ id }) => id === idOf(outbox, stream))?.bytes ?? 0

/** All that waits to be removed is removed. */
const flushed = (outbox: Outbox) => outbox.deadLetters.delete({ ids: [] })

async function openWith(records: readonly NewRecord[], options?: OutboxOptions) {
  const directory = temporaryDirectory()
  const opened = await openTestOutbox(directory, options)
  await opened.outbox.append(records)
  return { directory, ...opened }
}

const nine = ['a', 'a', 'a', 'b', 'b', 'b', 'b', 'b', 'b']

describe('records of one message', () => {
  test('share it, in memory, on disk and after a restart, with all that they are', async () => {
    const given = recordsOf(sourceOf('m1'), nine)
    const { directory, outbox } = await openWith(given)
    const expected = (stream: string) =>
      given
        .filter((_, index) => nine[index] === stream)
        .map(({ partitionKey, data, ruleName, actionIndex, source }) => {
          return { partitionKey, data, ruleName, actionIndex, source }
        })
    const [first, , , last] = read(outbox, 'b')
    expect(first?.data.buffer).toBe(last?.data.buffer)
    expect(outbox.size().bytes).toBeLessThan(payloadBytes + 2_000 + nine.length * 200)
    await outbox.close()
    const again = await openTestOutbox(directory)
    expect(again.lines).toEqual([])
    for (const stream of ['a', 'b']) {
      expect(contentsOf(again.outbox, stream)).toEqual(expected(stream))
    }
    const [one, , , other] = read(again.outbox, 'b')
    expect(one?.data.buffer).toBe(other?.data.buffer)
    await again.outbox.close()
  })

  test.each<[string, readonly NewRecord[]]>([
    ['a single record', recordsOf(sourceOf('m'), ['a'])],
    ['small messages', recordsOf(sourceOf('m', Buffer.from('{"n":1}')), ['a', 'a'])],
    [
      'records of different messages',
      ['m1', 'm2', 'm3'].flatMap((id) => recordsOf(sourceOf(id), ['a'])),
    ],
  ])('%s: each has all in itself, as before', async (_, records) => {
    const { outbox } = await openWith(records)
    expect(read(outbox, 'a').map(({ stored, message }) => [stored[0], message])).toEqual(
      records.map(() => [0x22, undefined]),
    )
    await outbox.close()
  })

  test('keep it until the last of them has left, and count it for each destination', async () => {
    const { directory, outbox } = await openWith(recordsOf(sourceOf('m1'), nine))
    const all = outbox.size().bytes
    for (const stream of ['a', 'b']) expect(bytesOf(outbox, stream)).toBeGreaterThan(payloadBytes)
    expect(bytesOf(outbox, 'a') + bytesOf(outbox, 'b')).toBeGreaterThan(all)
    outbox.delivered(idOf(outbox, 'a'), read(outbox, 'a'))
    const [first, ...others] = read(outbox, 'b')
    outbox.delivered(idOf(outbox, 'b'), others)
    await flushed(outbox)
    expect(bytesOf(outbox, 'a')).toBe(0)
    expect(bytesOf(outbox, 'b')).toBeGreaterThan(payloadBytes)
    expect(outbox.size()).toEqual({ records: 1, bytes: bytesOf(outbox, 'b') })
    await outbox.close()
    const again = await openTestOutbox(directory)
    expect(again.lines).toEqual([])
    expect(again.outbox.size().bytes).toBeGreaterThan(payloadBytes)
    expect(read(again.outbox, 'b').map(({ sequence }) => sequence)).toEqual([first?.sequence])
    again.outbox.delivered(idOf(again.outbox, 'b'), read(again.outbox, 'b'))
    await flushed(again.outbox)
    expect(again.outbox.size()).toEqual({ records: 0, bytes: 0 })
    await again.outbox.close()
    const empty = await openTestOutbox(directory)
    expect([empty.lines, empty.outbox.size()]).toEqual([[], { records: 0, bytes: 0 }])
    await empty.outbox.close()
  })

  test('a destination that keeps messages fills its share, whoever else shared them', async () => {
    const bytesMax = 20 * payloadBytes
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory, { bytesMax })
    const append = (n: number) => outbox.append(recordsOf(sourceOf(`m${n}`), ['a', 'b', 'a', 'b']))
    for (const n of [0, 1, 2, 3, 4]) {
      await append(n)
      outbox.delivered(idOf(outbox, 'a'), read(outbox, 'a'))
      await flushed(outbox)
    }
    // What `b` keeps is more than a quarter of the whole, and `a` keeps nothing.
    const appended: number[] = []
    const waiting = [5, 6, 7].map(async (n) => {
      await append(n)
      appended.push(n)
    })
    await outbox.append([newRecord('a', 'other key', 'still taken')])
    expect([bytesOf(outbox, 'b') > bytesMax / 4, appended]).toEqual([true, []])

    outbox.delivered(idOf(outbox, 'b'), read(outbox, 'b').slice(0, 4))
    await Promise.all(waiting.slice(0, 2))
    await flushed(outbox)
    expect(appended).toEqual([5, 6])
    outbox.delivered(idOf(outbox, 'b'), read(outbox, 'b'))
    await Promise.all(waiting)
    await outbox.close()
  })

  test('become dead letters that share nothing, and can be replayed', async () => {
    const given = recordsOf(sourceOf('m1'), ['a', 'a', 'a'])
    const { directory, outbox } = await openWith(given)
    const id = idOf(outbox, 'a')
    await outbox.giveUp(
      id,
      read(outbox, 'a').map((record) => givenUp(record)),
    )
    await flushed(outbox)
    expect(outbox.size()).toEqual({ records: 0, bytes: 0 })
    const { deadLetters } = outbox.deadLetters.list()
    expect(deadLetters.map(({ data, source }) => ({ data, source }))).toEqual(
      given.map(({ data, source }) => ({ data, source })),
    )
    await outbox.deadLetters.replay({}, 'asIs')
    expect(contentsOf(outbox, 'a').map(({ data }) => data)).toEqual(given.map(({ data }) => data))
    await outbox.close()
    const again = await openTestOutbox(directory)
    expect(again.lines).toEqual([])
    expect(again.outbox.size().records).toBe(3)
    await again.outbox.close()
  })

  test('of a QoS 0 message that are dropped in part share what is left', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory(), { bytesMax: 8 * payloadBytes })
    await outbox.append([0, 1, 2].flatMap((n) => recordsOf(sourceOf(`f${n}`), ['full'])))
    const streams = ['full', 'a', 'a', 'a', 'full']
    const given = recordsOf(sourceOf('m1'), streams)
    await outbox.append(given, { whenFull: 'drop' })
    const kept = given.filter((_, index) => streams[index] === 'a')
    expect(contentsOf(outbox, 'a').map(({ data }) => data)).toEqual(kept.map(({ data }) => data))
    expect(read(outbox, 'full')).toHaveLength(3)
    expect(bytesOf(outbox, 'a')).toBeLessThan(2 * payloadBytes)
    await outbox.close()
  })
})

/** Three messages that nine records share each, and nine records that share nothing. */
async function filledFolder(): Promise<string> {
  const directory = temporaryDirectory()
  const { outbox } = await openTestOutbox(directory)
  for (const n of [0, 1, 2]) {
    await outbox.append(recordsOf(sourceOf(`m${n}`), nine))
    await outbox.append(nine.slice(0, 3).map((stream) => newRecord(stream, 'k', `own ${n}`)))
  }
  await outbox.close()
  return directory
}

const recordCount = 3 * nine.length + 9

function withBit(directory: string, bit: number): string {
  const copy = temporaryDirectory()
  cpSync(directory, copy, { recursive: true })
  const bytes = readFileSync(dataFile(copy))
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  writeFileSync(dataFile(copy), bytes)
  return copy
}

/** Where a message has the data that its records agree on. */
function placeOf(directory: string, text: string): number {
  const place = readFileSync(dataFile(directory)).lastIndexOf(text)
  expect(place).toBeGreaterThan(0)
  return place
}

function expectBalance(outbox: Outbox): number {
  let dropped = 0
  for (const counts of outbox.ledger('telemetry')) {
    expect(counts.accepted).toBe(
      counts.delivered + counts.queued + counts.deadLettered + counts.dropped,
    )
    dropped += counts.dropped
  }
  return dropped
}

describe('a message that is damaged', () => {
  test('puts all its records in quarantine with a line and a count, and no other', async () => {
    const directory = await filledFolder()
    const damaged = withBit(directory, placeOf(directory, 'm1 agreed') * 8)
    const { outbox, lines, metrics } = await openTestOutbox(damaged)
    const keys = quarantined(damaged)
    expect(keys.filter(isMessage)).toHaveLength(1)
    expect(keys.filter((key) => !isMessage(key))).toHaveLength(nine.length)
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', rows: 10 }))
    expect(await metrics.registry.metrics()).toContain(
      'sluice_outbox_rows_quarantined_total{table="records"} 10',
    )
    expect(outbox.size().records).toBe(recordCount - nine.length)
    expect(expectBalance(outbox)).toBe(nine.length)
    const ids = contentsOf(outbox, 'b').map(({ source }) => source.messageId)
    expect(new Set(ids)).toEqual(new Set(['m0', 'm2']))
    await outbox.close()
    const again = await openTestOutbox(damaged)
    expect([again.lines, again.outbox.size().records]).toEqual([[], recordCount - nine.length])
    await again.outbox.close()
  })

  test('while the outbox is in use takes its records out of the queue', async () => {
    const directory = await filledFolder()
    const { outbox, lines } = await openTestOutbox(directory)
    const file = await open(dataFile(directory), 'r+')
    await file.write(Buffer.from('M'), 0, 1, placeOf(directory, 'm1 agreed'))
    await file.close()
    for (const stream of ['a', 'b']) {
      const ids = contentsOf(outbox, stream).map(({ source }) => source.messageId)
      expect(ids).not.toContain('m1')
    }
    await vi.waitFor(() => expect(outbox.size().records).toBe(recordCount - nine.length), 10_000)
    expect(expectBalance(outbox)).toBe(nine.length)
    await vi.waitFor(() => expect(quarantined(directory)).toHaveLength(nine.length + 1), 10_000)
    expect(lines.some(({ level }) => level === 'error')).toBe(true)
    await outbox.close()
    const again = await openTestOutbox(directory)
    expect(again.lines).toEqual([])
    await again.outbox.close()
  })

  test('a record that is damaged while the outbox is in use leaves no message behind', async () => {
    const { directory, outbox } = await openWith(recordsOf(sourceOf('m1'), ['a', 'a', 'a']))
    await outbox.close()
    const opened = await openTestOutbox(directory)
    const file = await open(dataFile(directory), 'r+')
    await file.write(Buffer.from('K'), 0, 1, placeOf(directory, 'key 1'))
    await file.close()
    const left = read(opened.outbox, 'a')
    expect(left).toHaveLength(2)
    opened.outbox.delivered(idOf(opened.outbox, 'a'), left)
    await vi.waitFor(() => expect(opened.outbox.size().records).toBe(0), 10_000)
    await opened.outbox.close()
    const again = await openTestOutbox(directory)
    expect([again.lines, again.outbox.size()]).toEqual([[], { records: 0, bytes: 0 }])
    await again.outbox.close()
  })

  test('by any bit anywhere costs its records at most, and is told', async () => {
    const directory = await filledFolder()
    const bits = statSync(dataFile(directory)).size * 8
    const refused = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bits - 1 }), async (bit) => {
        const damaged = withBit(directory, bit)
        const opened = await openTestOutbox(damaged).catch((thrown: unknown) => {
          refused.add(thrown instanceof SluiceError ? thrown.code : String(thrown))
          return undefined
        })
        if (!opened) return
        const { outbox, lines } = opened
        const left = [...read(outbox, 'a'), ...read(outbox, 'b')]
        for (const record of left) expect(outbox.sourceOf(record).topic).toMatch(/^(wide\/a|a\/b)$/)
        const lost = recordCount - left.length
        expect(quarantined(damaged).filter((key) => !isMessage(key))).toHaveLength(lost)
        expect(lines.length > 0).toBe(existsSync(quarantineFile(damaged)))
        expect(expectBalance(outbox)).toBe(lost)
        await outbox.close()
      }),
      { numRuns: 60 },
    )
    expect([...refused].filter((code) => code !== 'DataFolderDamaged')).toEqual([])
  }, 120_000)
})

async function run(...words: string[]) {
  const host = createTestHost()
  await createProgram(host).parseAsync(['node', 'sluice', 'outbox', ...words])
  return { code: host.exitCode(), ...host.written }
}

/** A folder of an engine with the outbox of another. */
async function folderOf(directory: string): Promise<string> {
  const ofEngine = temporaryDirectory()
  const folder = await openDataFolder(ofEngine, 'engine')
  folder.close()
  cpSync(directory, ofEngine, { recursive: true })
  return ofEngine
}

describe('sluice outbox, where records share messages', () => {
  test('counts and exports each record with its message', async () => {
    const directory = await folderOf(await filledFolder())
    expect(await run('verify', directory)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${recordCount} records and 0 dead letters`) as string,
    })
    const { stdout } = await run('export', directory)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(recordCount)
    const shared = lines
      .map((line) => JSON.parse(line) as { source: { messageId: string; payloadBase64: string } })
      .filter(({ source }) => source.messageId === 'm1')
    expect(shared).toHaveLength(nine.length)
    for (const { source } of shared) {
      expect(Buffer.from(source.payloadBase64, 'base64').equals(payload)).toBe(true)
    }
  })

  test('finds the records of a damaged message, and repairs what is left', async () => {
    const whole = await filledFolder()
    const directory = await folderOf(withBit(whole, placeOf(whole, 'm1 agreed') * 8))
    const found = await run('verify', directory)
    expect(found.stdout).toContain(`${recordCount - nine.length} records`)
    await run('repair', directory)
    expect(quarantined(directory)).toHaveLength(nine.length + 1)
    const { outbox, lines } = await openTestOutbox(directory)
    expect([lines, outbox.size().records]).toEqual([[], recordCount - nine.length])
    expect(textsOf(outbox, 'a').filter((text) => text.startsWith('own'))).toHaveLength(9)
    await outbox.close()
  })
})
