import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openKnownLogins } from '../../../src/identity/passwords/known-logins.ts'
import {
  parsePasswordFile,
  removeUser,
  setPassword,
} from '../../../src/identity/passwords/password-file.ts'
import { hashPassword } from '../../../src/identity/passwords/password-hash.ts'
import { openPasswords } from '../../../src/identity/passwords/passwords.ts'
import { writeSecretFile } from '../../../src/storage/secret-file.ts'
import { createWatchedLog, temporaryFolder } from '../identity-fixtures.ts'

/** As cheap as a hash may be. */
const cost = { logN: 14, r: 8, p: 1 }
const login = (user: string, password = 'right', address = '192.0.2.1') => ({
  user,
  password: Buffer.from(password),
  address,
})

async function makeFiles(users: readonly string[] = ['u', 'v']) {
  const [data, secrets] = [await temporaryFolder(), await temporaryFolder()]
  const file = path.join(secrets, 'passwords')
  const keyFile = path.join(secrets, 'key')
  const hash = await hashPassword('right', cost)
  await writeSecretFile(file, users.map((user) => `${user}:${hash}\n`).join(''))
  await writeSecretFile(keyFile, `${'k'.repeat(44)}\n`)
  return { file, kept: { file: path.join(data, 'known-logins'), keyFile } }
}

type Files = Awaited<ReturnType<typeof makeFiles>>

/** As after a start. `busy`: no scrypt can run, so that only known logins are let in. */
async function start({ file, kept }: Files, busy = false) {
  const log = createWatchedLog()
  const none = { checksAtOnceMax: 0, checksWaitingMax: 0 }
  const passwords = await openPasswords(log, { file, keptLogins: kept, ...(busy && none) })
  onTestFinished(() => passwords.close())
  return { log, passwords }
}

test('ten thousand known users are let in after a restart without scrypt', async () => {
  const users = Array.from({ length: 10_000 }, (_, index) => `device-${index}`)
  const files = await makeFiles(users)
  const hashes = parsePasswordFile(await readFile(files.file, 'utf8'))
  const hashOf = (user: string) => hashes.get(user)
  const log = createWatchedLog()
  const before = await openKnownLogins({ ...log, hashOf }, { usersMax: 10_000, kept: files.kept })
  for (const [user, hash] of hashes) before.add(login(user), hash)
  await before.close()

  const { passwords } = await start(files, true)
  const outcomes = await Promise.all(users.map((user) => passwords.check(login(user))))
  expect(new Set(outcomes)).toEqual(new Set(['right']))
  expect(await passwords.check(login('device-1', 'wrong'))).toBe('busy')
})

test('logins are written for the owner alone, after a while and at the end', async () => {
  const files = await makeFiles()
  const { log, passwords } = await start(files)
  expect(await passwords.check(login('u'))).toBe('right')
  log.clock.advance(30_000)
  await expect.poll(() => readFile(files.kept.file, 'utf8').catch(() => '')).toMatch(/^u:/m)
  expect((await stat(files.kept.file)).mode & 0o777).toBe(0o600)
  expect(await passwords.check(login('v'))).toBe('right')
  await passwords.close()
  expect(await readFile(files.kept.file, 'utf8')).toMatch(/^sluice-logins 1 \S+\nu:\S+\nv:\S+\n$/)

  const { passwords: next } = await start(files, true)
  expect(await next.check(login('u'))).toBe('right')
  expect(await next.check(login('v', 'wrong'))).toBe('busy')
})

test('a changed or deleted password ends its login, also in the file', async () => {
  const files = await makeFiles(['u', 'v', 'w'])
  const { passwords } = await start(files)
  for (const user of ['u', 'v']) expect(await passwords.check(login(user))).toBe('right')
  await passwords.close()
  await setPassword(files.file, { user: 'u', password: 'other', cost })
  await removeUser(files.file, 'v')

  const { passwords: next } = await start(files)
  expect(await next.check(login('u'))).toBe('wrong')
  expect(await next.check(login('v'))).toBe('wrong')
  expect(await next.check(login('w'))).toBe('right')
  await next.close()
  expect(await readFile(files.kept.file, 'utf8')).toMatch(/^sluice-logins 1 \S+\nw:\S+\n$/)
})

test('logins that were kept under another key are not known', async () => {
  const files = await makeFiles()
  const { passwords } = await start(files)
  expect(await passwords.check(login('u'))).toBe('right')
  await passwords.close()
  await writeSecretFile(files.kept.keyFile, 'another key of thirty-two characters')
  const { passwords: next } = await start(files, true)
  expect(await next.check(login('u'))).toBe('busy')
})

test('the tag of one user is not that of another with the same hash', async () => {
  const files = await makeFiles()
  const { passwords } = await start(files)
  expect(await passwords.check(login('u'))).toBe('right')
  await passwords.close()
  const text = await readFile(files.kept.file, 'utf8')
  await writeSecretFile(files.kept.file, text.replace('\nu:', '\nv:'))
  const { passwords: next } = await start(files, true)
  expect(await next.check(login('v'))).toBe('busy')
})

test.each([
  ['open to others', (file: string) => chmod(file, 0o644)],
  ['damaged', (file: string) => writeFile(file, 'sluice-logins 1 x\nu:\n')],
  ['no text', (file: string) => writeFile(file, Buffer.from([0xff, 0xfe]))],
])('a file of logins that is %s is as good as none', async (_what, damage) => {
  const files = await makeFiles()
  const { passwords } = await start(files)
  expect(await passwords.check(login('u'))).toBe('right')
  await passwords.close()
  await damage(files.kept.file)
  const { passwords: next } = await start(files)
  expect(await next.check(login('u'))).toBe('right')
  await next.close()
  const { passwords: last } = await start(files, true)
  expect(await last.check(login('u'))).toBe('right')
})

test.each<[string, (keyFile: string) => Promise<void>, RegExp]>([
  ['is short', (keyFile) => writeSecretFile(keyFile, 'x'.repeat(31)), /has 31 characters/],
  ['is open to others', (keyFile) => chmod(keyFile, 0o644), /open to others/],
])('a key that %s prevents the start', async (_what, spoil, message) => {
  const files = await makeFiles()
  await spoil(files.kept.keyFile)
  await expect(start(files)).rejects.toThrow(message)
  const missing = { ...files, kept: { ...files.kept, keyFile: `${files.kept.keyFile}-not` } }
  await expect(start(missing)).rejects.toThrow(/is not there/)
})
