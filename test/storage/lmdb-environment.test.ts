import { chmod, mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { committed, openEnvironment } from '../../src/storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../../src/storage/lmdb-environment.ts'

let directory: string
const check = { wayOut: { damaged: 'repair it', lost: 'begin anew' } }

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-'))
})

afterAll(() => rm(directory, { recursive: true }))

async function modesIn(folder: string): Promise<Record<string, string>> {
  const modes: Record<string, string> = {}
  for (const name of await readdir(folder)) {
    modes[name] = ((await stat(path.join(folder, name))).mode & 0o777).toString(8)
  }
  return modes
}

test.runIf(process.platform !== 'win32')(
  'files are for their owner alone in a folder that is open to others, old files too',
  async () => {
    const folder = path.join(directory, 'open-to-others')
    await mkdir(folder)
    await chmod(folder, 0o777)
    const made = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
    await committed(made.put('key', 'value'))
    await made.close()
    expect(await modesIn(folder)).toEqual({ 'data.mdb': '600', 'lock.mdb': '600' })

    await chmod(path.join(folder, 'data.mdb'), 0o644)
    const opened = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
    expect(opened.get('key')).toBe('value')
    await opened.close()
    expect(await modesIn(folder)).toEqual({ 'data.mdb': '600', 'lock.mdb': '600' })
  },
)

/** Superusers may do anything: they act as a user who owns nothing here. */
async function asOrdinaryUser(act: () => Promise<void>): Promise<void> {
  const nobody = 65_534
  const isSuperuser = process.getuid?.() === 0
  if (isSuperuser) process.seteuid?.(nobody)
  try {
    await act()
  } finally {
    if (isSuperuser) process.seteuid?.(0)
  }
}

test.runIf(process.platform !== 'win32')(
  'a folder may stand in one that cannot be read',
  async () => {
    await chmod(directory, 0o755)
    const parent = path.join(directory, 'not-to-be-read')
    const folder = path.join(parent, 'environment')
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o777)
    await chmod(parent, 0o311)
    onTestFinished(() => chmod(parent, 0o755))
    await asOrdinaryUser(async () => {
      const opened = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
      await committed(opened.put('key', 'value'))
      expect(opened.get('key')).toBe('value')
      await opened.close()
    })
  },
)

test.runIf(process.getuid?.() === 0)(
  'files of another owner are opened, and keep their mode',
  async () => {
    await chmod(directory, 0o755)
    const folder = path.join(directory, 'of-another-owner')
    const made = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
    await committed(made.put('key', 'value'))
    await made.close()
    await chmod(folder, 0o777)
    for (const name of ['data.mdb', 'lock.mdb']) await chmod(path.join(folder, name), 0o666)
    await asOrdinaryUser(async () => {
      const opened = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
      expect(opened.get('key')).toBe('value')
      await opened.close()
    })
    expect(await modesIn(folder)).toEqual({ 'data.mdb': '666', 'lock.mdb': '666' })
  },
)

test('a commit that fails rejects with its cause, or with itself where none is known', async () => {
  const cause = new Error('No space left on device')
  const general = Object.assign(new Error('Commit failed'), {
    commitError: Promise.reject(cause),
  })
  await expect(committed(Promise.reject(general))).rejects.toBe(cause)
  await expect(committed(Promise.reject(new Error('other')))).rejects.toThrow('other')
})

async function madeIn(name: string): Promise<string> {
  const folder = path.join(directory, name)
  const environment = await openEnvironment<string, string>(folder, { encoding: 'string' }, check)
  await committed(environment.put('key', 'value'))
  await environment.close()
  return folder
}
const reopen = (folder: string, more: Partial<EnvironmentCheck> = {}) =>
  openEnvironment<string, string>(folder, { encoding: 'string' }, { ...check, ...more })

describe('the file of an environment', () => {
  test.each([
    ['lost', (file: string) => rm(file)],
    ['empty', (file: string) => truncate(file, 0)],
  ])('that is %s is refused with the way out, and begins anew when it may', async (what, lose) => {
    const folder = await madeIn(what)
    const file = path.join(folder, 'data.mdb')
    await lose(file)
    const refusal = { code: 'DataFolderDamaged', message: `${file} is ${what}: begin anew` }
    await expect(reopen(folder)).rejects.toMatchObject(refusal)
    await expect(reopen(folder, { wasMade: true })).rejects.toMatchObject(refusal)
    await rm(path.join(folder, 'lock.mdb'))
    await expect(reopen(folder, { wasMade: true })).rejects.toMatchObject(refusal)
    const environment = await reopen(folder, { wasMade: true, beginsAnew: true })
    expect(environment.get('key')).toBeUndefined()
    await environment.close()
  })

  test('that a first start did not come to write is written by the next one', async () => {
    const folder = await madeIn('cut-short')
    await truncate(path.join(folder, 'data.mdb'), 0)
    const environment = await reopen(folder, { wasMade: false })
    expect(environment.get('key')).toBeUndefined()
    await environment.close()
  })

  test.each([
    ['cut short', (file: string) => truncate(file, 8_193), /is damaged: page 2 .*: repair it$/],
    ['cut within its meta pages', (file: string) => truncate(file, 4_150), /is damaged: page 1 /],
    ['of something else', (file: string) => writeFile(file, 'x'.repeat(9_000)), /no meta page/],
  ])('that is %s is refused before it is mapped', async (name, damage, message) => {
    const folder = await madeIn(name)
    await damage(path.join(folder, 'data.mdb'))
    await expect(reopen(folder, { beginsAnew: true })).rejects.toMatchObject({
      code: 'DataFolderDamaged',
      message: expect.stringMatching(message) as string,
    })
  })
})
