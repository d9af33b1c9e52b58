import { chmod, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { messageOf } from '../../src/base/errors.ts'
import { nodeFileReads } from '../../src/storage/file-reads.ts'
import type { FileReads } from '../../src/storage/file-reads.ts'
import { openReloadedFile } from '../../src/storage/reloaded-file.ts'
import { readSecretFile, writePublicFile, writeSecretFile } from '../../src/storage/secret-file.ts'
import { createWatchedLog, temporaryFolder } from '../identity/identity-fixtures.ts'

const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8)
const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'IdentityFileInvalid', message: expect.stringMatching(message) })

describe('a file of secrets', () => {
  test('is written for its owner alone, and read back', async () => {
    const file = path.join(await temporaryFolder(), 'new', 'keys.json')
    await writeSecretFile(file, 'one')
    await writeSecretFile(file, 'two')
    expect((await readSecretFile(file))?.text).toBe('two')
    expect([await modeOf(file), await modeOf(path.dirname(file))]).toEqual(['600', '700'])
    expect(await readdir(path.dirname(file))).toEqual(['keys.json'])
  })

  test('that exists and is too open becomes closed when written', async () => {
    const file = path.join(await temporaryFolder(), 'keys.json')
    await writeFile(file, 'old', { mode: 0o644 })
    await writeSecretFile(file, 'new')
    expect(await modeOf(file)).toBe('600')
  })

  test('behind a link is replaced where it is', async () => {
    const folder = await temporaryFolder()
    await writeFile(path.join(folder, 'real'), 'old', { mode: 0o600 })
    await symlink('real', path.join(folder, 'link'))
    await writeSecretFile(path.join(folder, 'link'), 'new')
    expect(await readFile(path.join(folder, 'real'), 'utf8')).toBe('new')
  })

  test('that is public may be read by anyone', async () => {
    const file = path.join(await temporaryFolder(), 'ca.pem')
    await writePublicFile(file, 'x')
    expect(await modeOf(file)).toBe('644')
  })

  test.each([0o640, 0o604, 0o620, 0o644, 0o777])('with mode %o is refused', async (mode) => {
    const file = path.join(await temporaryFolder(), 'keys.json')
    await writeFile(file, 'secret')
    await chmod(file, mode)
    await expect(readSecretFile(file)).rejects.toEqual(refusal(/is open to others.*chmod 600/))
  })

  test.each([
    ['root', 1_000, 0o440, true],
    ['root', 1_000, 0o444, false],
    ['root', 1_000, 0o460, false],
    ['the user itself', 1_000, 0o440, false],
    ['root', 0, 0o440, false],
  ] as const)('of %s, read by user %i, with mode %o', async (owner, user, mode, isRead) => {
    const file = path.join(await temporaryFolder(), 'key.pem')
    await writeFile(file, 'secret')
    const uid = owner === 'root' ? 0n : BigInt(user)
    // The tests need not run as root, and a user cannot give a file to root.
    vi.spyOn(process, 'getuid').mockReturnValue(user)
    onTestFinished(() => void vi.restoreAllMocks())
    const reads: FileReads = {
      ...nodeFileReads,
      async open(...words) {
        const handle = await nodeFileReads.open(...words)
        const stats = await handle.stat({ bigint: true })
        const given = Object.assign(stats, { uid, mode: BigInt(0o100000 | mode) })
        return Object.assign(handle, { stat: async () => given })
      },
    }
    const read = readSecretFile(file, reads).then((found) => found?.text ?? '', messageOf)
    expect(await read).toMatch(isRead ? /^secret$/ : /is open to others/)
  })

  test('that is a folder, or no UTF-8, is refused; one that is not there is none', async () => {
    const folder = await temporaryFolder()
    await mkdir(path.join(folder, 'a'), { mode: 0o700 })
    await expect(readSecretFile(path.join(folder, 'a'))).rejects.toEqual(
      refusal(/not a plain file/),
    )
    await writeFile(path.join(folder, 'b'), Buffer.from([0xff]), { mode: 0o600 })
    await expect(readSecretFile(path.join(folder, 'b'))).rejects.toEqual(refusal(/b: /))
    expect(await readSecretFile(path.join(folder, 'c'))).toBeUndefined()
  })
})

const parseNumber = (text: string) => {
  if (/^\d+$/.test(text)) return Number(text)
  throw new Error('no number')
}

async function openFollowed(given: { text?: string; whenAbsent?: number }) {
  const file = path.join(await temporaryFolder(), 'number')
  if (given.text !== undefined) await writeSecretFile(file, given.text)
  const log = createWatchedLog()
  const absent = given.whenAbsent === undefined ? {} : { whenAbsent: given.whenAbsent }
  const kind = 'passwords' as const
  const options = { file, kind, title: 'the number', parse: parseNumber, ...absent }
  const opened = await openReloadedFile(log, options)
  onTestFinished(() => opened.close())
  return { opened, file, log }
}

describe('a file that is followed', () => {
  test('gives what it says now; what cannot be used leaves the last good version', async () => {
    const { opened, file, log } = await openFollowed({ text: '1' })
    expect(opened.current()).toBe(1)

    await writeSecretFile(file, '2')
    expect(await log.nextLine()).toMatchObject({ level: 'info', msg: 'the number was read again' })
    expect(opened.current()).toBe(2)

    await writeSecretFile(file, 'x')
    expect(await log.nextLine()).toMatchObject({ level: 'error', problem: `${file}: no number` })
    expect(opened.current()).toBe(2)

    await writeFile(file, '3')
    await log.nextLine()
    expect(opened.current()).toBe(3)

    await chmod(file, 0o644)
    expect(await log.nextLine()).toMatchObject({
      problem: expect.stringContaining('open to others'),
    })
    await rm(file)
    expect(await log.nextLine()).toMatchObject({
      problem: expect.stringContaining('not there any more'),
    })
    expect(opened.current()).toBe(3)
  })

  test('may come later where that is allowed', async () => {
    const { opened, file, log } = await openFollowed({ whenAbsent: 0 })
    expect(opened.current()).toBe(0)
    await writeSecretFile(file, '1')
    await log.nextLine()
    expect(opened.current()).toBe(1)
  })

  test('must be there and usable at the start', async () => {
    await expect(openFollowed({})).rejects.toEqual(refusal(/is not there/))
    await expect(openFollowed({ text: 'x' })).rejects.toEqual(refusal(/no number/))
  })
})
