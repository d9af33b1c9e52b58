import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createCertificateMaker } from '../../src/identity/certificates/certificate-maker.ts'
import { createAccessKey, openAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { createFileFaults } from '../../src/storage/file-faults.ts'
import type { GuardedFiles } from '../../src/storage/file-faults.ts'
import { removeUser, setPassword } from '../../src/identity/passwords/password-file.ts'
import { openPasswords } from '../../src/identity/passwords/passwords.ts'
import { attachPolicy } from '../../src/identity/policies/policy-attachments.ts'
import { writePublicFile, writeSecretFile } from '../../src/storage/secret-file.ts'
import { openTlsFiles } from '../../src/identity/certificates/tls-files.ts'
import { createFaultyReads } from './faulty-reads.ts'
import { createWatchedLog, temporaryFolder } from './identity-fixtures.ts'

const everything = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
}

/** What a follower of a file needs, with faults on demand. */
function createParts() {
  const watched = createWatchedLog()
  // Certificates of these tests are made now.
  watched.clock.setWall(Date.now())
  const faulty = createFaultyReads()
  const changes: [GuardedFiles, boolean][] = []
  const faults = createFileFaults((kind, isUnreadable) => changes.push([kind, isUnreadable]))
  return { ...watched, ...faulty, faults, changes }
}

test('access keys that cannot be read let nobody in, until they can', async () => {
  const file = path.join(await temporaryFolder(), 'credentials.json')
  const { accessKeyId } = await createAccessKey(file, { policy: everything })
  const { fail, heal, nextLine, faults, changes, ...parts } = createParts()
  const keys = await openAccessKeys({ ...parts, faults }, { file })
  onTestFinished(() => keys.close())
  expect(changes.map(([, isUnreadable]) => isUnreadable)).toEqual(Array(6).fill(false))
  await createAccessKey(file, { policy: everything })
  fail('open', 'credentials.json', 'EMFILE')
  expect(await nextLine()).toMatchObject({
    level: 'error',
    msg: 'the credentials file cannot be read: nobody is let in by it until it can',
  })
  expect([keys.find(accessKeyId), keys.isUnreadable()]).toEqual([undefined, true])
  await expect.poll(() => faults.kinds()).toEqual(['accessKeys'])
  expect(changes.at(-1)).toEqual(['accessKeys', true])
  heal()
  expect(await nextLine()).toMatchObject({ level: 'info' })
  expect([keys.count, keys.isUnreadable()]).toEqual([2, false])
  await expect.poll(() => faults.kinds()).toEqual([])
})

test('a password file that cannot be read lets nobody in, also whom it let in before', async () => {
  const file = path.join(await temporaryFolder(), 'passwords')
  const user = { user: 'u', password: 'the right one', cost: { logN: 14, r: 8, p: 1 } }
  await setPassword(file, user)
  const { fail, heal, nextLine, ...parts } = createParts()
  const passwords = await openPasswords(parts, { file })
  onTestFinished(() => passwords.close())
  const login = { user: 'u', password: Buffer.from(user.password), address: '192.0.2.1' }
  expect(await passwords.check(login)).toBe('right')
  fail('stat', 'passwords', 'EIO')
  expect(await nextLine()).toMatchObject({ level: 'error' })
  // It counts as no failure, however often it is tried.
  for (let tries = 0; tries < 100; tries++) expect(await passwords.check(login)).toBe('busy')
  heal()
  expect(await nextLine()).toMatchObject({ msg: 'the password file can be read again' })
  expect(await passwords.check(login)).toBe('right')
  await removeUser(file, 'u')
  await nextLine()
  expect(await passwords.check(login)).toBe('wrong')
})

test('files that have not changed are not opened again', async () => {
  const file = path.join(await temporaryFolder(), 'credentials.json')
  const { accessKeyId } = await createAccessKey(file, { policy: everything })
  const { fail, counts, clock, lines, ...parts } = createParts()
  const keys = await openAccessKeys({ ...parts, clock }, { file })
  onTestFinished(() => keys.close())
  fail('open', '', 'EMFILE')
  await expect
    .poll(() => {
      clock.advance(1_000)
      return counts.stat
    })
    .toBeGreaterThan(2)
  expect([lines, counts.open, keys.find(accessKeyId)?.accessKeyId]).toEqual([[], 1, accessKeyId])
})

test('TLS files that cannot be read leave what is shown, and are told of', async () => {
  const folder = await temporaryFolder()
  const maker = await createCertificateMaker(Date.now())
  const authority = await maker.makeAuthority()
  const files = {
    certificateFile: path.join(folder, 'server.pem'),
    keyFile: path.join(folder, 'server-key.pem'),
  }
  const write = async () => {
    const pair = await maker.makeServer(authority, ['localhost'])
    await writeSecretFile(files.keyFile, pair.keyPem)
    await writePublicFile(files.certificateFile, pair.certificatePem)
    return pair
  }
  const first = await write()
  const { fail, heal, nextLine, faults, ...parts } = createParts()
  const opened = await openTlsFiles({ ...parts, faults }, files, () => {})
  onTestFinished(() => opened.close())
  const second = await write()
  fail('open', 'server.pem', 'EMFILE')
  expect(await nextLine()).toMatchObject({ level: 'error' })
  expect(opened.current().cert).toBe(first.certificatePem)
  await expect.poll(() => faults.kinds()).toEqual(['tls'])
  heal()
  await nextLine()
  expect(opened.current().cert).toBe(second.certificatePem)
  await expect.poll(() => faults.kinds()).toEqual([])
})

describe('what the system does not say is not taken for an absence', () => {
  test('of a policy that is attached', async () => {
    const directory = await temporaryFolder()
    await symlink('loop.json', path.join(directory, 'loop.json'))
    await expect(attachPolicy(directory, 'loop', 'all')).rejects.toMatchObject({
      code: 'IdentityFileInvalid',
      message: expect.stringMatching(/ELOOP/) as string,
    })
  })

  test('of a link that is written through', async () => {
    const directory = await temporaryFolder()
    await symlink('loop', path.join(directory, 'loop'))
    await expect(writeSecretFile(path.join(directory, 'loop'), 'x')).rejects.toThrow(/ELOOP/)
  })

  test.skipIf(process.getuid?.() === 0)('of a folder that may not be entered', async () => {
    const directory = path.join(await temporaryFolder(), 'closed')
    await mkdir(directory)
    await writeFile(path.join(directory, 'credentials.json'), '')
    await chmod(directory, 0o600)
    const { logger, clock } = createWatchedLog()
    await expect(
      openAccessKeys({ logger, clock }, { file: path.join(directory, 'credentials.json') }),
    ).rejects.toThrow(/EACCES/)
  })
})
