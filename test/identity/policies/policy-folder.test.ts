import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openPolicyFolder } from '../../../src/identity/policies/policy-folder.ts'
import { policyFolderLimits } from '../../../src/identity/policies/policy-folder-reader.ts'
import type { PolicyFolder } from '../../../src/identity/policies/policy-folder.ts'
import { parsePolicyTargets } from '../../../src/identity/policies/policy-targets.ts'
import type { PolicyTarget } from '../../../src/identity/policies/policy-targets.ts'
import { createWatchedLog, temporaryFolder } from '../identity-fixtures.ts'
import { arn, documentOf } from './naive-policy.ts'

const fingerprint = 'ab'.repeat(32)

/** The text of a policy that allows to publish to one topic. */
const allowing = (topic: string) =>
  JSON.stringify(
    documentOf([{ effect: 'Allow', action: 'iot:Publish', resource: `topic/${topic}` }]),
  )
const naming = (schema: string, text: string) =>
  text.replace('{', `{"$schema": "./${schema}.schema.json",`)
const targets = (...list: readonly string[]) => JSON.stringify({ targets: list })

/** Opens a folder of these files. */
async function openWith(files: Readonly<Record<string, string>> | undefined) {
  const directory = path.join(await temporaryFolder(), 'policies')
  const write = async (name: string, text: string) => writeFile(path.join(directory, name), text)
  if (files) {
    await mkdir(directory)
    for (const [name, text] of Object.entries(files)) await write(name, text)
  }
  const watched = createWatchedLog()
  const folder = await openPolicyFolder(watched, { directory })
  onTestFinished(() => folder.close())
  return { ...watched, directory, folder, write }
}

const decide = (folder: PolicyFolder, target: PolicyTarget, topic: string) =>
  folder.policies.current
    ?.policyOf(target)
    ?.decide({ action: 'iot:Publish', resource: arn(`topic/${topic}`) })

describe('whom a policy is for', () => {
  test('is whoever is among its targets, and everyone for `all`', async () => {
    const { folder } = await openWith({
      'all.json': allowing('all'),
      'all.meta.json': targets('all'),
      'one.json': allowing('one'),
      'one.meta.json': targets('user:u', `cert:${fingerprint.toUpperCase()}`),
      'nameless.json': allowing('nameless'),
      'nameless.meta.json': targets('anonymous'),
      'arn.json': allowing('arn'),
      'arn.meta.json': targets(`arn:aws:iot:eu-west-1:210987654321:cert/${fingerprint}`),
      '.all.json.swp': 'not read',
      'notes.txt': 'not read',
    })
    const allowed = (target: PolicyTarget) =>
      ['all', 'one', 'nameless', 'arn'].filter((topic) => decide(folder, target, topic) === 'allow')
    expect(folder.policies.current?.count).toBe(4)
    expect(allowed('user:u')).toEqual(['all', 'one'])
    expect(allowed(`cert:${fingerprint}`)).toEqual(['all', 'one', 'arn'])
    expect(allowed('anonymous')).toEqual(['all', 'nameless'])
    expect(allowed('user:other')).toEqual(['all'])
    expect(allowed('all')).toEqual(['all'])
  })

  test('is nobody without a file of targets, which is said', async () => {
    const { folder, lines } = await openWith({ 'p.json': allowing('a') })
    expect(decide(folder, 'user:u', 'a')).toBe('implicitDeny')
    expect(lines).toMatchObject([{ level: 'warn', policy: 'p' }])
    expect(lines[0]?.['file']).toMatch(/p\.meta\.json$/)
  })

  test.each<[string, RegExp]>([
    ['', /not a JSON document/],
    ['[]', /must be \{"targets"/],
    ['{"targets":"all"}', /must be \{"targets"/],
    ['{"targets":["all"],"target":[]}', /nothing beside it/],
    ['{"targets":["everyone"]}', /targets\[0\] is "everyone"/],
    ['{"targets":["all",7]}', /targets\[1\] is 7/],
    ['{"targets":["cert:abc"]}', /64 hexadecimal digits/],
    [`{"targets":["cert:${fingerprint}00"]}`, /64 hexadecimal digits/],
    [`{"targets":["arn:aws:iot:eu-west-1:1:thing/${fingerprint}"]}`, /a target is/],
    ['{"targets":["user:"]}', /a target is/],
    ['{"targets":["user:a:b"]}', /a target is/],
  ])('is refused in %s', (text, message) => {
    expect(() => parsePolicyTargets(text)).toThrow(message)
  })
})

describe('a folder', () => {
  test('has files that name their JSON Schema', async () => {
    const { folder } = await openWith({
      'p.json': naming('policy', allowing('t')),
      'p.meta.json': naming('policy-meta', targets('all')),
    })
    expect(decide(folder, 'anonymous', 't')).toBe('allow')
  })

  test('that is not there enforces nothing; once it was there it does, for good', async () => {
    const { folder, directory, nextLine, write } = await openWith(undefined)
    expect(folder.policies.current).toBeUndefined()
    await mkdir(directory)
    expect(await nextLine()).toMatchObject({ msg: 'the policies folder was read again' })
    expect(decide(folder, 'all', 'a')).toBe('implicitDeny')
    await write('p.json', allowing('a'))
    await write('p.meta.json', targets('all'))
    await nextLine()
    expect(decide(folder, 'all', 'a')).toBe('allow')
    await rename(directory, `${directory}-away`)
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(decide(folder, 'all', 'a')).toBe('allow')
    expect(decide(folder, 'all', 'b')).toBe('implicitDeny')
  })

  test('that comes with a file that cannot be used is enforced without it', async () => {
    const { folder, directory, nextLine } = await openWith(undefined)
    const beside = `${directory}-new`
    await mkdir(beside)
    await writeFile(path.join(beside, 'bad.json'), '{')
    await rename(beside, directory)
    expect(await nextLine()).toMatchObject({ level: 'error' })
    expect(decide(folder, 'all', 'a')).toBe('implicitDeny')
  })

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['JSON', { 'bad.json': '{"Version":' }, /bad\.json: .*JSON/],
    [
      'a member',
      { 'bad.json': JSON.stringify({ ...documentOf([]), Statement: [{ Efect: 'Allow' }] }) },
      /bad\.json: .*Statement\[0\].*Efect is not a known member/,
    ],
    ['targets', { 'p.json': allowing('a'), 'p.meta.json': '{}' }, /p\.meta\.json: must be/],
    ['bytes', { 'p.json': `"${'\n'.repeat(policyFolderLimits.fileBytesMax)}"` }, /1048578 bytes/],
  ])('with a wrong file ends the start, and names it: %s', async (_name, files, message) => {
    await expect(openWith(files)).rejects.toMatchObject({
      code: 'IdentityFileInvalid',
      message: expect.stringMatching(message) as string,
    })
  })

  test('with too many files, and a file in its place, end the start', async () => {
    const { policiesMax } = policyFolderLimits
    const many = Array.from({ length: policiesMax + 1 }, (_, index) => [`${index}.json`, ''])
    await expect(openWith(Object.fromEntries(many))).rejects.toThrow(/more than 500 policies/)
    const directory = path.join(await temporaryFolder(), 'policies')
    await writeFile(directory, '')
    await expect(openPolicyFolder(createWatchedLog(), { directory })).rejects.toMatchObject({
      code: 'IdentityFileInvalid',
    })
  })
})

describe('a change', () => {
  test('takes effect at once; a file that cannot be used keeps what it said, and is told about once', async () => {
    const { folder, clock, lines, directory, nextLine, write } = await openWith({
      'p.json': allowing('a'),
      'p.meta.json': targets('all'),
      'q.json': allowing('q'),
      'q.meta.json': targets('all'),
    })
    await write('p.json', '{"Version": "2012-10-17", "Statement": }')
    await write('q.json', allowing('r'))
    expect(await nextLine()).toMatchObject({
      level: 'error',
      file: path.join(directory, 'p.json'),
      problem: expect.stringMatching(/JSON/) as string,
    })
    expect(['a', 'q', 'r'].map((topic) => decide(folder, 'all', topic))).toEqual([
      'allow',
      'implicitDeny',
      'allow',
    ])
    const before = folder.policies.current
    clock.advance(1_000)
    await write('q.meta.json', targets('user:u'))
    await nextLine()
    expect(folder.policies.current).not.toBe(before)
    expect(decide(folder, 'all', 'r')).toBe('implicitDeny')
    expect(lines.filter(({ level }) => level === 'error').length).toBe(1)
    await write('p.json', allowing('b'))
    await nextLine()
    expect(['a', 'b'].map((topic) => decide(folder, 'all', topic))).toEqual([
      'implicitDeny',
      'allow',
    ])
  })

  test('that takes a policy or its targets away takes its rights away', async () => {
    const { folder, directory, nextLine } = await openWith({
      'p.json': allowing('p'),
      'p.meta.json': targets('all'),
      'q.json': allowing('q'),
      'q.meta.json': targets('all'),
    })
    await rm(path.join(directory, 'p.json'))
    await rm(path.join(directory, 'q.meta.json'))
    expect(await nextLine()).toMatchObject({ level: 'warn', policy: 'q' })
    expect(['p', 'q'].map((topic) => decide(folder, 'all', topic))).toEqual([
      'implicitDeny',
      'implicitDeny',
    ])
  })

  test('that is none leaves the same object in force', async () => {
    const { folder, clock, write, nextLine } = await openWith({ 'p.json': allowing('p') })
    const before = folder.policies.current
    clock.advance(1_000)
    clock.advance(1_000)
    expect(folder.policies.current).toBe(before)
    await write('q.json', allowing('q'))
    await nextLine()
    expect(folder.policies.current).not.toBe(before)
  })
})
