import { mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openPolicyFolder } from '../../src/identity/policies/policy-folder.ts'
import type { PolicyTarget } from '../../src/identity/policies/policy-targets.ts'
import { createFaultyReads } from './faulty-reads.ts'
import { createWatchedLog, temporaryFolder } from './identity-fixtures.ts'
import { arn, documentOf } from './policies/naive-policy.ts'

const allowingAll = documentOf([{ effect: 'Allow', action: '*', resource: '*' }])
const denying = (topic: string) =>
  documentOf([{ effect: 'Deny', action: 'iot:Publish', resource: `topic/${topic}` }])

/** Everybody may do all, but for what `deny.json` says of the user u. */
const files = {
  'allow.json': allowingAll,
  'allow.meta.json': { targets: ['all'] },
  'deny.json': denying('secret'),
  'deny.meta.json': { targets: ['user:u'] },
}

async function openWith(more: Readonly<Record<string, unknown>> = {}) {
  const directory = path.join(await temporaryFolder(), 'policies')
  const write = async (name: string, document: unknown) =>
    writeFile(path.join(directory, name), JSON.stringify(document))
  await mkdir(directory)
  for (const [name, document] of Object.entries({ ...files, ...more })) await write(name, document)
  const watched = createWatchedLog()
  const faulty = createFaultyReads()
  const open = async () => {
    const folder = await openPolicyFolder({ ...watched, reads: faulty.reads }, { directory })
    onTestFinished(() => folder.close())
    const decide = (target: PolicyTarget, topic: string) =>
      folder.policies.current
        ?.policyOf(target)
        ?.decide({ action: 'iot:Publish', resource: arn(`topic/${topic}`) })
    return { folder, decide }
  }
  return { ...watched, ...faulty, directory, write, open }
}

const users = ['user:u', 'user:v', 'anonymous'] as const

describe('a policy that cannot be read', () => {
  test('denies all to whom it is attached, loudly, and is read again by itself', async () => {
    const { open, write, fail, heal, nextLine, directory } = await openWith()
    const { decide, folder } = await open()
    expect(users.map((user) => decide(user, 'other'))).toEqual(['allow', 'allow', 'allow'])
    await write('deny.json', denying('other'))
    fail('open', 'deny.json', 'EMFILE')
    expect(await nextLine()).toMatchObject({
      level: 'error',
      file: path.join(directory, 'deny.json'),
      problem: expect.stringContaining('EMFILE') as string,
    })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'allow', 'allow'])
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['deny', 'allow', 'allow'])
    expect(folder.isUnreadable()).toBe(true)

    // Nobody touches the file.
    heal()
    expect(await nextLine()).toMatchObject({ level: 'info' })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'allow', 'allow'])
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['allow', 'allow', 'allow'])
    expect(folder.isUnreadable()).toBe(false)
  })

  test.each(['EIO', 'EACCES'] as const)('denies also where its `stat` fails: %s', async (code) => {
    const { open, fail, heal, nextLine, lines, clock } = await openWith()
    const { decide } = await open()
    fail('stat', 'deny.json', code)
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'allow', 'allow'])
    clock.advance(1_000)
    heal()
    expect(await nextLine()).toMatchObject({ level: 'info' })
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['deny', 'allow', 'allow'])
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  })

  test('ends the start', async () => {
    for (const call of ['stat', 'open'] as const) {
      const { open, fail } = await openWith()
      fail(call, 'deny.json', 'EIO')
      await expect(open()).rejects.toMatchObject({
        code: 'IdentityFileInvalid',
        message: expect.stringMatching(/deny\.json: .*EIO/) as string,
      })
    }
  })

  test.each([
    ['to itself', 'loop.json'],
    ['to nothing', 'nothing'],
  ])('is also a link %s', async (_where, to) => {
    const { open, directory } = await openWith()
    await symlink(to, path.join(directory, 'loop.json'))
    await expect(open()).rejects.toMatchObject({ code: 'IdentityFileInvalid' })
  })

  test('is not one that is removed', async () => {
    const { open, directory, nextLine } = await openWith()
    const { decide } = await open()
    await rename(path.join(directory, 'deny.json'), path.join(directory, 'deny.json.away'))
    expect(await nextLine()).toMatchObject({ level: 'info' })
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['allow', 'allow', 'allow'])
  })
})

describe('targets that cannot be read', () => {
  test('could be anybody: what the policy denies is denied to all, and it allows nothing', async () => {
    const { open, fail, heal, nextLine } = await openWith({
      'more.json': allowingAll,
      'more.meta.json': { targets: ['user:u'] },
      'allow.json': documentOf([{ effect: 'Allow', action: '*', resource: 'topic/s*' }]),
    })
    const { decide } = await open()
    expect(users.map((user) => decide(user, 'other'))).toEqual([
      'allow',
      'implicitDeny',
      'implicitDeny',
    ])
    fail('stat', 'deny.meta.json', 'EIO')
    fail('stat', 'more.meta.json', 'EIO')
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['deny', 'deny', 'deny'])
    expect(users.map((user) => decide(user, 'other'))).toEqual(Array(3).fill('implicitDeny'))
    expect(users.map((user) => decide(user, 'salt'))).toEqual(['allow', 'allow', 'allow'])
    heal()
    expect(await nextLine()).toMatchObject({ level: 'info' })
    expect(users.map((user) => decide(user, 'secret'))).toEqual(['deny', 'allow', 'allow'])
  })

  test('of a policy that cannot be read either: all is denied to all', async () => {
    const { open, fail, nextLine } = await openWith()
    const { decide } = await open()
    fail('stat', 'deny.meta.json', 'EIO')
    fail('stat', 'deny.json', 'EIO')
    await nextLine()
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'deny', 'deny'])
  })
})

describe('a folder that cannot be listed', () => {
  test('denies all to all when it has changed, and until it can', async () => {
    const { open, fail, heal, nextLine, write, folderTouched } = await openFolder()
    const { decide, folder } = await open()
    fail('readdir', 'policies', 'EMFILE')
    await write('new.json', denying('other'))
    await folderTouched()
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'deny', 'deny'])
    expect(folder.isUnreadable()).toBe(true)
    heal()
    expect(await nextLine()).toMatchObject({ level: 'warn', policy: 'new' })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['allow', 'allow', 'allow'])
  })

  test('that has not changed says what it said: no descriptor is needed to know', async () => {
    const { open, fail, write, nextLine } = await openFolder()
    const { decide, folder } = await open()
    const before = folder.policies.current
    fail('readdir', 'policies', 'EMFILE')
    fail('open', '', 'EMFILE')
    await write('allow.json', allowingAll)
    // A file that has changed and cannot be read is the first that is said.
    expect(await nextLine()).toMatchObject({
      file: expect.stringMatching(/allow\.json$/) as string,
    })
    expect(folder.policies.current).not.toBe(before)
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'deny', 'deny'])
  })

  test('and whose own `stat` fails denies all to all', async () => {
    const { open, fail, nextLine } = await openFolder()
    const { decide } = await open()
    fail('stat', 'policies', 'EACCES')
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(users.map((user) => decide(user, 'other'))).toEqual(['deny', 'deny', 'deny'])
  })

  test('ends the start', async () => {
    for (const call of ['stat', 'readdir'] as const) {
      const { open, fail } = await openFolder()
      fail(call, 'policies', 'EIO')
      await expect(open()).rejects.toMatchObject({ code: 'IdentityFileInvalid' })
    }
  })
})

/** The folder's time is set back, so that every later change of it is seen. */
async function openFolder() {
  const opened = await openWith()
  await utimes(opened.directory, 1, 1)
  return { ...opened, folderTouched: () => utimes(opened.directory, 2, 2) }
}

test('a folder of many files needs few descriptors at once', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, n) => [`p${n}.json`, allowingAll]),
  )
  const { open, reads } = await openWith(many)
  let openNow = 0
  let openMax = 0
  const counted: typeof reads.open = async (...given) => {
    const handle = await reads.open(...given)
    openMax = Math.max(openMax, (openNow += 1))
    const close = handle.close.bind(handle)
    handle.close = async () => {
      openNow -= 1
      return close()
    }
    return handle
  }
  expect(typeof open).toBe('function')
  const watched = createWatchedLog()
  const directory = path.join(await temporaryFolder(), 'policies')
  await mkdir(directory)
  for (const [name, document] of Object.entries(many)) {
    await writeFile(path.join(directory, name), JSON.stringify(document))
  }
  const folder = await openPolicyFolder(
    { ...watched, reads: { ...reads, open: counted } },
    { directory },
  )
  onTestFinished(() => folder.close())
  expect(folder.policies.current?.count).toBe(300)
  expect(openMax).toBeLessThanOrEqual(16)
})
