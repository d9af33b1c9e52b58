import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'
import { documentOf } from '../identity/policies/naive-policy.ts'

const fingerprint = 'ab'.repeat(32)
const document = JSON.stringify(
  documentOf([{ effect: 'Allow', action: 'iot:Publish', resource: 'topic/a' }]),
)

async function startIn(files: Readonly<Record<string, string>> | undefined) {
  const folder = await temporaryFolder()
  const directory = path.join(folder, 'policies')
  if (files) await mkdir(directory)
  for (const [name, text] of Object.entries(files ?? {})) {
    await writeFile(path.join(directory, name), text)
  }
  const run = async (...words: readonly string[]) => {
    const host = createTestHost({ SLUICE_POLICIES_DIR: directory })
    await createProgram(host).parseAsync(['policies', ...words], { from: 'user' })
    return { stdout: host.written.stdout, exitCode: host.exitCode() }
  }
  return { directory, folder, run }
}

test('list: whom each policy is attached to, and which cannot be used', async () => {
  const { run } = await startIn({
    'a.json': document,
    'a.meta.json': '{"targets":["all","user:u"]}',
    'b.json': document,
    'c.json': '{',
    'd.json': document,
    'd.meta.json': '{"targets":["nobody"]}',
  })
  const { stdout, exitCode } = await run('list')
  expect(stdout.split('\n')).toEqual([
    'a  all, user:u',
    'b  is attached to nobody',
    expect.stringMatching(/^c {2}cannot be used: .*JSON/),
    expect.stringMatching(/^d {2}cannot be used: .*d\.meta\.json: targets\[0\] is "nobody"/),
    '',
  ])
  expect(exitCode).toBe(1)
})

test.each([
  ['no folder', undefined, /nothing is enforced/],
  ['an empty one', {}, /nobody may do anything/],
])('list: %s', async (_name, files, text) => {
  const { run } = await startIn(files)
  expect(await run('list')).toMatchObject({ stdout: expect.stringMatching(text), exitCode: 0 })
})

test('attach and detach keep the other targets, and say what they did', async () => {
  const { run, directory } = await startIn({ 'p.json': document })
  const targets = async () =>
    JSON.parse(await readFile(path.join(directory, 'p.meta.json'), 'utf8')) as unknown
  expect(await run('attach', 'p', 'user:u')).toMatchObject({
    stdout: 'p is now attached to user:u\n',
  })
  await run('attach', 'p', `arn:aws:iot:eu-west-1:1:cert/${fingerprint.toUpperCase()}`)
  expect(await targets()).toEqual({ targets: ['user:u', `cert:${fingerprint}`] })
  expect((await run('attach', 'p', 'user:u')).stdout).toBe('p is already attached to user:u\n')
  const { stdout } = await run('detach', 'p', 'user:u')
  expect(stdout).toBe('p is not attached any more to user:u\n')
  expect((await run('detach', 'p', 'user:u')).stdout).toBe('p is not attached to user:u\n')
  expect(await targets()).toEqual({ targets: [`cert:${fingerprint}`] })
  expect(await readdir(directory)).toEqual(['p.json', 'p.meta.json'])
})

test('attach takes the file of a certificate', async () => {
  const { run, folder } = await startIn({ 'p.json': document })
  const { devices } = await makeCertificateFolder({
    directory: path.join(folder, 'certs'),
    devices: ['d1'],
    hosts: [],
    force: false,
    nowMs: Date.now(),
  })
  const [device] = devices
  const { stdout } = await run('attach', 'p', device?.certificateFile ?? '')
  expect(stdout).toBe(`p is now attached to cert:${device?.principal}\n`)
})

test.each([
  ['q', 'all', /no policy "q"/],
  ['../policies/p', 'all', /no policy "\.\.\/policies\/p"/],
  ['p', 'everyone', /the target is "everyone"/],
  ['p', 'missing.pem', /missing\.pem: not a certificate/],
])('attach %s %s is refused, and writes nothing', async (policy, target, message) => {
  const { run, directory } = await startIn({ 'p.json': document })
  await expect(run('attach', policy, target)).rejects.toThrow(message)
  expect(await readdir(directory)).toEqual(['p.json'])
})

test('targets that cannot be read are not written over', async () => {
  const { run } = await startIn({ 'p.json': document, 'p.meta.json': '{"targets":' })
  await expect(run('attach', 'p', 'all')).rejects.toMatchObject({ code: 'IdentityFileInvalid' })
})
