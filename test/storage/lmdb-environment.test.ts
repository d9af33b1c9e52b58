import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

test('a commit that fails rejects with its cause, or with itself where none is known', async () => {
  const cause = new Error('No space left on device')
  const general = Object.assign(new Error('Commit failed'), {
    commitError: Promise.reject(cause),
  })
  await expect(committed(Promise.reject(general))).rejects.toBe(cause)
  await expect(committed(Promise.reject(new Error('other')))).rejects.toThrow('other')
})
