import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { open } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { headerBytes, openLmdbPages } from '../../src/storage/lmdb-pages.ts'
import { checkLmdbFile, walkLmdbFile } from '../../src/storage/lmdb-file.ts'
import { temporaryDirectory } from '../outbox/outbox-parts.ts'

const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
const settings = { overlappingSync: false, eventTurnBatching: false, ...binary }

type Environment = RootDatabase<Buffer, Buffer>

/** All rows of two tables and of the main tree, as LMDB reads them. */
function rowsByLmdb(environment: Environment, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    Array.from(environment.openDB<Buffer, Buffer>({ name, ...binary }).getRange({}), (row) =>
      textOf(name, row),
    ),
  )
}

const textOf = (table: string | undefined, { key, value }: { key: Buffer; value: Buffer }) =>
  `${table} ${key.toString('hex')} ${value.toString('hex')}`

async function walked(file: string) {
  const rows: string[] = []
  const faults: string[] = []
  await walkLmdbFile(file, {
    onRow: (table, row) => rows.push(textOf(table, row)),
    onFault: ({ page, problem }) => faults.push(`${page}: ${problem}`),
  })
  return { rows, faults }
}

const names = ['one', 'two']

interface Step {
  readonly table: number
  readonly first: number
  readonly count: number
  /** Of each value; 0 removes. */
  readonly bytes: number
}

const steps = fc.array(
  fc.record<Step>({
    table: fc.nat({ max: names.length - 1 }),
    first: fc.nat({ max: 400 }),
    count: fc.integer({ min: 1, max: 120 }),
    bytes: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1_500, max: 30_000 }),
    ),
  }),
  { minLength: 1, maxLength: 30 },
)

async function take(environment: Environment, { table, first, count, bytes }: Step) {
  const database = environment.openDB<Buffer, Buffer>({ name: names[table] ?? '', ...binary })
  await environment.batch(() => {
    for (let key = first; key < first + count; key++) {
      const name = Buffer.from(String(key).padStart(5, '0'))
      if (bytes === 0) void database.remove(name)
      else void database.put(name, Buffer.alloc(bytes, key))
    }
  })
}

describe('reading a file of LMDB without mapping it', () => {
  test('finds every row and no fault, whatever was written and removed', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const folder = temporaryDirectory()
        const environment = open<Buffer, Buffer>(folder, settings)
        for (const step of all) await take(environment, step)
        const expected = rowsByLmdb(environment, names)
        await environment.close()
        const { rows, faults } = await walked(path.join(folder, 'data.mdb'))
        expect(faults).toEqual([])
        expect(rows.toSorted()).toEqual(expected.toSorted())
      }),
      { numRuns: 40 },
    )
  })

  test('a file that grew and shrank is whole, also when it is opened again and again', async () => {
    const folder = temporaryDirectory()
    for (let round = 0; round < 6; round++) {
      const environment = open<Buffer, Buffer>(folder, settings)
      for (let part = 0; part < 10; part++) {
        await take(environment, { table: round % 2, first: part * 60, count: 60, bytes: 9_000 })
      }
      await take(environment, { table: round % 2, first: 0, count: 550, bytes: 0 })
      await environment.close()
      expect((await walked(path.join(folder, 'data.mdb'))).faults).toEqual([])
    }
  })
})

async function made(): Promise<Buffer> {
  const folder = temporaryDirectory()
  const environment = open<Buffer, Buffer>(folder, settings)
  await take(environment, { table: 0, first: 0, count: 300, bytes: 90 })
  await take(environment, { table: 1, first: 0, count: 5, bytes: 9_000 })
  await take(environment, { table: 0, first: 40, count: 100, bytes: 0 })
  await take(environment, { table: 1, first: 2, count: 2, bytes: 0 })
  await environment.close()
  return readFileSync(path.join(folder, 'data.mdb'))
}

interface FreeList {
  readonly file: Buffer
  /** Where its key begins. */
  readonly keyAt: number
  /** Where it names single pages, which no length is before. */
  readonly pagesAt: readonly number[]
}

/** A file with a list of free pages that names two pages, and has the 48 bytes of a tree. */
async function madeFreeList(): Promise<FreeList> {
  const folder = temporaryDirectory()
  const environment = open<Buffer, Buffer>(folder, settings)
  for (let first = 0; first < 200; first++) {
    await take(environment, { table: first % 2, first, count: 1 + (first % 5), bytes: 300 })
    const file = readFileSync(path.join(folder, 'data.mdb'))
    const list = freeListsOf(path.join(folder, 'data.mdb'), file)
      .filter(({ valueBytes }) => valueBytes === 48)
      .find(({ pagesAt }) => pagesAt.length > 1)
    if (list === undefined) continue
    await environment.close()
    return { ...list, file }
  }
  throw new Error('no such list was written')
}

function freeListsOf(name: string, file: Buffer) {
  const pages = openLmdbPages(name, () => {})
  const root = (pages?.free.root ?? 0) * (pages?.pageBytes ?? 0)
  pages?.close()
  const nodes = Array.from({ length: file.readUInt16LE(root + 20) / 2 }, (_, index) => {
    return root + headerBytes + file.readUInt16LE(root + headerBytes + 2 * index)
  })
  return nodes.map((node) => {
    const keyAt = node + 8
    const listAt = keyAt + 16
    const count = Number(file.readBigUInt64LE(keyAt + 8))
    const entries = Array.from({ length: count }, (_, index) => listAt + 8 * index)
    const isLength = (at: number) => at >= listAt && file.readBigInt64LE(at) < 0n
    const pagesAt = entries.filter((at) => file.readBigInt64LE(at) > 0n && !isLength(at - 8))
    return { keyAt, pagesAt, valueBytes: file.readUInt32LE(node) }
  })
}

/** @returns whether it is taken; LMDB then reads the same keys */
async function isTaken(bytes: Buffer, keys: readonly string[]): Promise<boolean> {
  const folder = temporaryDirectory()
  const file = path.join(folder, 'data.mdb')
  writeFileSync(file, bytes)
  const code = await checkLmdbFile(file, { wayOut: 'repair it' }).then(
    () => undefined,
    (thrown: unknown) => (thrown instanceof SluiceError ? thrown.code : String(thrown)),
  )
  expect(['DataFolderDamaged', undefined]).toContain(code)
  if (code !== undefined) return false
  // The process would end here if LMDB met what the check has passed over.
  const environment = open<Buffer, Buffer>(folder, settings)
  const read = rowsByLmdb(environment, names).map((row) => row.split(' ').slice(0, 2).join(' '))
  expect(read).toHaveLength(keys.length)
  await take(environment, { table: 0, first: 500, count: 3, bytes: 50 })
  await environment.close()
  return true
}

async function keysOf(bytes: Buffer): Promise<string[]> {
  const file = path.join(temporaryDirectory(), 'data.mdb')
  writeFileSync(file, bytes)
  expect(statSync(file).size).toBe(bytes.length)
  return (await walked(file)).rows.map((row) => row.split(' ').slice(0, 2).join(' '))
}

describe('a damaged file', () => {
  test('that was cut short anywhere is refused, or has all that it had', async () => {
    const whole = await made()
    const keys = await keysOf(whole)
    expect(await isTaken(whole, keys)).toBe(true)
    const taken: number[] = []
    for (let page = 0; page < whole.length / 4_096; page++) {
      for (const bytes of [page * 4_096, page * 4_096 + 100]) {
        if (bytes > 0 && (await isTaken(whole.subarray(0, bytes), keys))) taken.push(bytes)
      }
    }
    // Only free pages at the end may be missing.
    expect(taken.every((bytes) => bytes > whole.length / 2)).toBe(true)
  })

  /** LMDB gives such pages out twice, drops a tree, or ends the process at a later commit. */
  test.each<[string, RegExp, (list: FreeList) => void]>([
    [
      'names a page twice',
      /^\d+: is free twice$/,
      ({ file, pagesAt: [one = 0, other = 0] }) => {
        file.writeBigInt64LE(file.readBigInt64LE(one), other)
      },
    ],
    [
      'is of no transaction',
      /^\d+: has a list of free pages that cannot be read$/,
      ({ file, keyAt }) => void file.writeBigUInt64LE(0n, keyAt),
    ],
    [
      'is a tree',
      /^\d+: has a list of free pages that cannot be read$/,
      ({ file, keyAt }) => void file.writeUInt16LE(2, keyAt - 4),
    ],
  ])('whose list of free pages %s is refused', async (_, fault, change) => {
    const list = await madeFreeList()
    const file = path.join(temporaryDirectory(), 'data.mdb')
    writeFileSync(file, list.file)
    expect((await walked(file)).faults).toEqual([])
    change(list)
    writeFileSync(file, list.file)
    expect((await walked(file)).faults).toContainEqual(expect.stringMatching(fault))
  })

  test('with any bit changed is refused, or is read by LMDB with the same keys', async () => {
    const whole = await made()
    const keys = await keysOf(whole)
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length * 8 - 1 }), async (bit) => {
        const bytes = Buffer.from(whole)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        if (!(await isTaken(bytes, keys))) refused += 1
      }),
      { numRuns: 300 },
    )
    expect(refused).toBeGreaterThan(0)
  })
})
