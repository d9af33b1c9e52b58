import path from 'node:path'
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { openMqttAccess } from '../../src/identity/mqtt-access.ts'
import type { MqttAccessOptions } from '../../src/identity/mqtt-access.ts'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import type { Peer, Login } from '../../src/identity/policies/access.ts'
import { createWatchedLog, temporaryFolder } from './identity-fixtures.ts'
import { documentOf, owner } from './policies/naive-policy.ts'
import type { NaiveStatement } from './policies/naive-policy.ts'

const fingerprint = 'cd'.repeat(32)
const tcp: Peer = { transport: 'tcp', sourceIp: '192.0.2.1' }
const tls: Peer = {
  ...tcp,
  transport: 'tls',
  certificate: { principal: fingerprint, commonName: 'sensor-1' },
}
const signed: Peer = { ...tcp, transport: 'websocket', accessKeyId: 'AKIDEXAMPLE' }
const right = { username: 'device', password: Buffer.from('correct horse') }
const wrong = { username: 'device', password: Buffer.from('incorrect') }
const everything: NaiveStatement = { effect: 'Allow', action: '*', resource: '*' }

type Policies = Readonly<Record<string, readonly [target: string, ...NaiveStatement[]]>>

/** Access keys of this one, and what it may. */
function keysOf(...statements: readonly NaiveStatement[]) {
  const entry = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'a-secret-of-forty-characters-or-so',
    policy: documentOf(statements),
  }
  let keys = parseAccessKeys(JSON.stringify({ accessKeys: [entry] }))
  return {
    find: (id: string) => keys.get(id),
    remove: () => {
      keys = new Map()
    },
  }
}

async function open(policies: Policies | undefined, options: Partial<MqttAccessOptions> = {}) {
  const folder = await temporaryFolder()
  const policiesDir = path.join(folder, 'policies')
  if (policies) await mkdir(policiesDir)
  for (const [name, [target, ...statements]] of Object.entries(policies ?? {})) {
    const write = (suffix: string, content: unknown) =>
      writeFile(path.join(policiesDir, name + suffix), JSON.stringify(content))
    await write('.json', documentOf(statements))
    await write('.meta.json', { targets: [target] })
  }
  const passwordFile = path.join(folder, 'passwords')
  const cost = { logN: 14, r: 8, p: 1 }
  await setPassword(passwordFile, { user: 'device', password: 'correct horse', cost })
  const watched = createWatchedLog()
  const anonymous = { tcp: true, tls: true, websocket: true }
  const access = await openMqttAccess(watched, {
    owner,
    anonymous,
    policiesDir,
    passwordFile,
    ...options,
  })
  onTestFinished(() => access.close())
  return { access, lines: watched.lines }
}

/** Who somebody was taken for, or why he was refused. */
async function outcomeOf(
  { access }: Awaited<ReturnType<typeof open>>,
  peer: Peer,
  login: Partial<Login> = {},
) {
  const admission = await access.authenticate(peer, { clientId: 'c1', ...login })
  return admission.outcome === 'admitted' ? admission.permissions.principal : admission.outcome
}

describe('who somebody is', () => {
  const cases: [string, Peer, Partial<Login>, string | undefined][] = [
    ['a certificate', tls, {}, fingerprint],
    ['a certificate, and a wrong password', tls, wrong, fingerprint],
    ['a certificate, and the statistics of an SDK', tls, { username: '?SDK=Python' }, fingerprint],
    ['a signed URL', signed, {}, 'AKIDEXAMPLE'],
    ['a signed URL, and a wrong password', signed, wrong, 'AKIDEXAMPLE'],
    ['a signature of a key that is gone', { ...signed, accessKeyId: 'x' }, {}, 'notAuthorized'],
    ['a password', tcp, right, 'device'],
    ['a password over TLS without a certificate', { ...tcp, transport: 'tls' }, right, 'device'],
    ['a wrong password', tcp, wrong, 'badCredentials'],
    ['nothing', tcp, {}, undefined],
    ['an empty user name', tcp, { username: '' }, undefined],
  ]
  test.each(cases)('is said by %s', async (_name, peer, login, expected) => {
    const opened = await open(undefined, { accessKeys: keysOf(everything) })
    expect(await outcomeOf(opened, peer, login)).toBe(expected)
    expect(opened.lines).toMatchObject([
      { msg: expect.stringMatching(/no MQTT policies/) as string },
    ])
  })

  test('may be nobody, by the way that he comes', async () => {
    const opened = await open(undefined, { anonymous: { tcp: true, tls: true, websocket: false } })
    expect(await outcomeOf(opened, tcp)).toBeUndefined()
    expect(await outcomeOf(opened, { ...tcp, transport: 'tls' })).toBeUndefined()
    expect(await outcomeOf(opened, { ...tcp, transport: 'websocket' })).toBe('notAuthorized')
    expect(await outcomeOf(opened, { ...tcp, transport: 'websocket' }, right)).toBe('device')
  })
})

describe('what somebody may do', () => {
  test('is what the policies of his certificate, user or of all say', async () => {
    const common = 'client/${iot:Certificate.Subject.CommonName}'
    const opened = await open({
      certificates: [`cert:${fingerprint}`, { ...everything, resource: common }],
      users: ['user:device', { ...everything, resource: 'client/c1' }],
    })
    expect(await outcomeOf(opened, tls, { clientId: 'sensor-1' })).toBe(fingerprint)
    expect(await outcomeOf(opened, tls, { clientId: 'c1' })).toBe('notAuthorized')
    const nameless = { ...tls, certificate: { principal: fingerprint } }
    expect(await outcomeOf(opened, nameless, { clientId: 'sensor-1' })).toBe('notAuthorized')
    const another = { ...tls, certificate: { principal: 'ef'.repeat(32), commonName: 'sensor-1' } }
    expect(await outcomeOf(opened, another, { clientId: 'sensor-1' })).toBe('notAuthorized')
    expect(await outcomeOf(opened, tcp, right)).toBe('device')
    expect(await outcomeOf(opened, tcp)).toBe('notAuthorized')
  })

  test('is what the policy of an access key says, and the folder is not asked', async () => {
    const denial: NaiveStatement = { effect: 'Deny', action: '*', resource: '*' }
    const accessKeys = keysOf(
      { effect: 'Allow', action: 'iot:Connect', resource: 'client/c1' },
      { effect: 'Allow', action: 'iot:Publish', resource: 'topic/dt/${iot:ClientId}' },
    )
    const { access } = await open({ denial: ['all', denial] }, { accessKeys })
    expect(await access.authenticate(signed, { clientId: 'c2' })).toMatchObject({
      outcome: 'notAuthorized',
    })
    const admission = await access.authenticate(signed, { clientId: 'c1' })
    const permissions = admission.outcome === 'admitted' ? admission.permissions : undefined
    expect(permissions?.mayPublish('dt/c1')).toBe(true)
    expect(permissions?.mayPublish('dt/c2')).toBe(false)
    expect(permissions?.mayReceive('dt/c1')).toBe(false)
    accessKeys.remove()
    expect(permissions?.mayPublish('dt/c1')).toBe(false)
  })

  test('is nothing where the folder is empty, which is said at the start', async () => {
    const opened = await open({})
    expect(await outcomeOf(opened, tcp)).toBe('notAuthorized')
    expect(opened.lines).toMatchObject([
      { level: 'warn', msg: expect.stringMatching(/empty/) as string },
    ])
  })
})

test('a password file that is not there ends the start', async () => {
  const passwordFile = path.join(await temporaryFolder(), 'passwords')
  await expect(open(undefined, { passwordFile })).rejects.toMatchObject({
    code: 'IdentityFileInvalid',
  })
})
