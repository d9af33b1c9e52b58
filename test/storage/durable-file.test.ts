import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeDurably, writeDurably } from '../../src/storage/durable-file.ts'

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-'))
})

afterAll(() => rm(directory, { recursive: true }))

test('a file is replaced whole, and no draft is left', async () => {
  const file = path.join(directory, 'file')
  await writeDurably(file, 'the first text, which is longer')
  await writeDurably(file, 'second')
  expect(await readFile(file, 'utf8')).toBe('second')
  expect(await readdir(directory)).toEqual(['file'])
  await removeDurably(file, path.join(directory, 'never-there'))
  expect(await readdir(directory)).toEqual([])
})

test.runIf(process.platform !== 'win32')(
  'the mode does not depend on the file before',
  async () => {
    const file = path.join(directory, 'secret')
    await writeDurably(file, 'open')
    await chmod(file, 0o644)
    await writeDurably(file, 'secret', { mode: 0o600 })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await rm(file)
  },
)

test('writers of one file at the same time each write whole texts', async () => {
  const file = path.join(directory, 'contended')
  const texts = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(10_000 + index))
  await Promise.all(texts.map((text) => writeDurably(file, text)))
  expect(texts).toContain(await readFile(file, 'utf8'))
  expect(await readdir(directory)).toEqual(['contended'])
  await rm(file)
})

test('a write that fails leaves the old file and no draft', async () => {
  const folder = path.join(directory, 'taken')
  await mkdir(path.join(folder, 'file', 'inner'), { recursive: true })
  await expect(writeDurably(path.join(folder, 'file'), 'text')).rejects.toMatchObject({
    syscall: 'rename',
  })
  expect(await readdir(folder)).toEqual(['file'])
})
