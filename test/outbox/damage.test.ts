import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { targetOf } from '../../src/outbox/outbox.ts'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { newRecord, openTestOutbox, temporaryDirectory, textsOf } from './outbox-parts.ts'

const dataFile = (directory: string) => path.join(directory, 'outbox', 'data.mdb')
const quarantineFile = (directory: string) => path.join(directory, 'quarantine', 'outbox.ndjson')
const streams = ['a', 'b']
const perStream = 40

/** A folder with queued records of two streams and three dead letters. */
async function filledFolder(): Promise<string> {
  const directory = temporaryDirectory()
  const { outbox } = await openTestOutbox(directory)
  for (let n = 0; n < perStream; n++) {
    await outbox.append(streams.map((stream) => newRecord(stream, `key ${n}`, textOf(stream, n))))
  }
  const [first] = outbox.destinations()
  const given = outbox.read(first?.id ?? 0, 0, { countMax: 3, bytesMax: 100_000 })
  const reason = { code: 'Refused', message: 'for the test' }
  await outbox.giveUp(
    first?.id ?? 0,
    given.map((record) => ({ record, reason, attempts: 1, firstMs: 1, lastMs: 2 })),
  )
  await outbox.close()
  return directory
}

const textOf = (stream: string, n: number) => `${stream}-${n} ${'x'.repeat(100)}`

/** A copy of a folder whose file has one bit changed. */
function withBit(directory: string, bit: number): string {
  const copy = temporaryDirectory()
  cpSync(directory, copy, { recursive: true })
  const bytes = readFileSync(dataFile(copy))
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  writeFileSync(dataFile(copy), bytes)
  return copy
}

const quarantined = (directory: string): { table: string; value: string }[] =>
  existsSync(quarantineFile(directory))
    ? readFileSync(quarantineFile(directory), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { table: string; value: string })
    : []

function lettersOf(outbox: Outbox): string[] {
  return outbox.deadLetters.list().deadLetters.map(({ data }) => data.toString())
}

function expectBalance(outbox: Outbox): void {
  for (const counts of outbox.ledger('telemetry')) {
    const { accepted, delivered, queued, deadLettered, dropped } = counts
    expect(accepted).toBe(delivered + queued + deadLettered + dropped)
  }
}

/** Where the bytes of a text stand in the file. */
function placeOf(directory: string, text: string): number {
  const place = readFileSync(dataFile(directory)).lastIndexOf(text)
  expect(place).toBeGreaterThan(0)
  return place * 8
}

describe('an outbox with a changed bit', () => {
  test('in a record puts it in quarantine, and starts with the rest', async () => {
    const directory = await filledFolder()
    const damaged = withBit(directory, placeOf(directory, textOf('b', 20)) + 3)
    const { outbox, lines, metrics } = await openTestOutbox(damaged)
    const others = Array.from({ length: perStream }, (_, n) => n).filter((n) => n !== 20)
    expect(textsOf(outbox, 'b')).toEqual(others.map((n) => textOf('b', n)))
    expect(textsOf(outbox, 'a')).toHaveLength(perStream - 3)
    expect(quarantined(damaged)).toMatchObject([{ table: 'records' }])
    expect(statSync(quarantineFile(damaged)).mode & 0o777).toBe(0o600)
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'error', file: quarantineFile(damaged), rows: 1 }),
    )
    expect(await metrics.registry.metrics()).toContain(
      'sluice_outbox_rows_quarantined_total{table="records"} 1',
    )
    const [ledger] = outbox.ledger('telemetry')
    expect(ledger).toMatchObject({ accepted: 80, queued: 76, deadLettered: 3, dropped: 1 })
    expect(outbox.size().records).toBe(76)
    await outbox.close()
    const again = await openTestOutbox(damaged)
    expect(again.lines).toEqual([])
    expect(again.outbox.ledger('telemetry')).toMatchObject([{ accepted: 80, dropped: 1 }])
    await again.outbox.close()
  })

  test('in the row of a destination, or in its copy, loses nothing', async () => {
    const directory = await filledFolder()
    const file = readFileSync(dataFile(directory))
    const row = '"streamName":"b"'
    const places: number[] = []
    for (let at = file.indexOf(row); at >= 0; at = file.indexOf(row, at + 1)) places.push(at)
    expect(places.length).toBeGreaterThan(1)
    for (const place of places) {
      const damaged = withBit(directory, (place + row.length - 2) * 8)
      const { outbox } = await openTestOutbox(damaged)
      expect(textsOf(outbox, 'b')).toHaveLength(perStream)
      expect(outbox.destinations().map(({ destination }) => targetOf(destination))).toEqual([
        'a',
        'b',
      ])
      await outbox.close()
    }
  })

  test('in a dead letter puts it in quarantine', async () => {
    const directory = await filledFolder()
    const damaged = withBit(directory, placeOf(directory, textOf('a', 1)))
    const { outbox } = await openTestOutbox(damaged)
    expect(lettersOf(outbox)).toEqual([textOf('a', 0), textOf('a', 2)])
    expect(outbox.ledger('telemetry')).toMatchObject([{ deadLettered: 2, dropped: 1 }])
    expect(quarantined(damaged)).toMatchObject([{ table: 'letters' }])
    await outbox.close()
  })

  test('in a record while the outbox is in use takes the record out of the queue', async () => {
    const directory = await filledFolder()
    const { outbox, lines } = await openTestOutbox(directory)
    const place = placeOf(directory, textOf('b', 5))
    const file = await open(dataFile(directory), 'r+')
    await file.write(Buffer.from('B'), 0, 1, place / 8)
    await file.close()
    expect(textsOf(outbox, 'b')).not.toContain(textOf('b', 5))
    expect(textsOf(outbox, 'b')).toHaveLength(perStream - 1)
    await vi.waitFor(() => expect(outbox.size().records).toBe(76), 10_000)
    expect(outbox.ledger('telemetry')).toMatchObject([{ accepted: 80, queued: 76, dropped: 1 }])
    expect(quarantined(directory)).toMatchObject([{ table: 'records' }])
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    await outbox.close()
    const again = await openTestOutbox(directory)
    expect(again.lines).toEqual([])
    await again.outbox.close()
  })

  test('anywhere is told, or does nothing: no record is gone without a line', async () => {
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
        const texts = [
          ...streams.flatMap((stream) => textsOf(outbox, stream)),
          ...lettersOf(outbox),
        ]
        const lost = 2 * perStream - new Set(texts).size
        const inQuarantine = quarantined(damaged)
        expect(texts).toHaveLength(new Set(texts).size)
        expect(lost).toBe(
          inQuarantine.filter(({ table }) => table === 'records' || table === 'letters').length,
        )
        expect(lines.length > 0).toBe(inQuarantine.length > 0)
        expectBalance(outbox)
        await outbox.append([newRecord('a', 'key', 'one more')])
        await outbox.close()
        const again = await openTestOutbox(damaged)
        expect(again.lines).toEqual([])
        expect(textsOf(again.outbox, 'a')).toContain('one more')
        await again.outbox.close()
      }),
      { numRuns: 150 },
    )
    expect([...refused].filter((code) => code !== 'DataFolderDamaged')).toEqual([])
  }, 120_000)
})
