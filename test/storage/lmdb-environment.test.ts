import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { committed, openEnvironment } from '../../src/storage/lmdb-environment.ts'

let directory: string

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
    const made = await openEnvironment<string, string>(folder, { encoding: 'string' })
    await committed(made.put('key', 'value'))
    await made.close()
    expect(await modesIn(folder)).toEqual({ 'data.mdb': '600', 'lock.mdb': '600' })

    await chmod(path.join(folder, 'data.mdb'), 0o644)
    const opened = await openEnvironment<string, string>(folder, { encoding: 'string' })
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
      const opened = await openEnvironment<string, string>(folder, { encoding: 'string' })
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
    const made = await openEnvironment<string, string>(folder, { encoding: 'string' })
    await committed(made.put('key', 'value'))
    await made.close()
    await chmod(folder, 0o777)
    for (const name of ['data.mdb', 'lock.mdb']) await chmod(path.join(folder, name), 0o666)
    await asOrdinaryUser(async () => {
      const opened = await openEnvironment<string, string>(folder, { encoding: 'string' })
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
