import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { createAccessKey, parseAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { parsePasswordFile, setPassword } from '../../src/identity/passwords/password-file.ts'
import {
  attachPolicy,
  detachPolicy,
  listPolicies,
} from '../../src/identity/policies/policy-attachments.ts'
import { runSluice } from '../helpers/sluice-process.ts'
import { temporaryFolder } from './identity-fixtures.ts'

const policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
}
const numbers = Array.from({ length: 12 }, (_, number) => number)

test('keys that several processes make at once are all in the file', async () => {
  const file = path.join(await temporaryFolder(), 'new', 'credentials.json')
  const made = await Promise.all(
    numbers.slice(0, 6).map(() => runSluice(['keys', 'create', '--file', file])),
  )
  const printed = made.map(({ stdout }) => /AWS_ACCESS_KEY_ID=(\S+)/.exec(stdout)?.[1] ?? '')
  expect(made.map(({ code }) => code)).toEqual(Array(6).fill(0))
  const kept = [...parseAccessKeys(await readFile(file, 'utf8')).keys()]
  expect(kept.toSorted()).toEqual(printed.toSorted())
  expect(await readdir(path.dirname(file))).toEqual(['credentials.json'])
})

test('changes that one process makes at once are all in the files', async () => {
  const folder = await temporaryFolder()
  const keys = path.join(folder, 'credentials.json')
  const passwords = path.join(folder, 'passwords')
  const policies = path.join(folder, 'policies')
  await mkdir(policies)
  await writeFile(path.join(policies, 'p.json'), JSON.stringify(policy))
  await attachPolicy(policies, 'p', 'all')
  await Promise.all([
    detachPolicy(policies, 'p', 'all'),
    ...numbers.flatMap((number) => [
      createAccessKey(keys, { policy }),
      setPassword(passwords, {
        user: `u${number}`,
        password: 'p',
        cost: { logN: 14, r: 8, p: 1 },
      }),
      attachPolicy(policies, 'p', `user:u${number}`),
    ]),
  ])
  const users = numbers.map((number) => `u${number}`).toSorted()
  expect(parseAccessKeys(await readFile(keys, 'utf8')).size).toBe(numbers.length)
  const hashes = parsePasswordFile(await readFile(passwords, 'utf8'))
  expect([...hashes.keys()].toSorted()).toEqual(users)
  const [listed] = (await listPolicies(policies)) ?? []
  expect(listed?.targets.toSorted()).toEqual(users.map((user) => `user:${user}`))
})

test('certificates that are made at once are of one CA', async () => {
  const directory = path.join(await temporaryFolder(), 'certs')
  const made = await Promise.all(
    ['a', 'b', 'c'].map((device) =>
      makeCertificateFolder({
        directory,
        devices: [device],
        hosts: [],
        force: false,
        nowMs: Date.now(),
      }),
    ),
  )
  const states = made.map(({ authority, server }) => [authority.state, server.state].join())
  expect(states.toSorted()).toEqual(['kept,kept', 'kept,kept', 'made,made'])
})

test('a lock that a killed process left behind holds nobody up', async () => {
  const folder = await temporaryFolder()
  const file = path.join(folder, 'credentials.json')
  await writeFile(path.join(folder, '.credentials.json.lock'), '')
  await createAccessKey(file, { policy })
  expect(await readdir(folder)).toEqual(['credentials.json'])
})

test('a change that fails lets the next one be made', async () => {
  const file = path.join(await temporaryFolder(), 'credentials.json')
  await writeFile(file, 'no JSON', { mode: 0o600 })
  await expect(createAccessKey(file, { policy })).rejects.toThrow(/not a JSON document/)
  await writeFile(file, '{"accessKeys": []}')
  await createAccessKey(file, { policy })
  expect(parseAccessKeys(await readFile(file, 'utf8')).size).toBe(1)
})
