import { readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { parseAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { parsePasswordFile } from '../../src/identity/passwords/password-file.ts'
import { isPasswordOf } from '../../src/identity/passwords/password-hash.ts'
import { writeRunningEngine } from '../../src/app/running-engine.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

async function run(
  words: readonly string[],
  given: { environment?: Record<string, string>; stdin?: Readable } = {},
) {
  const host = createTestHost(given.environment, given.stdin)
  await createProgram(host).parseAsync(words, { from: 'user' })
  return { ...host.written, exitCode: host.exitCode() }
}

/** A terminal at which someone types. */
function createTerminal(keys: string) {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  terminal.write(keys)
  return terminal
}

describe('sluice keys create', () => {
  test('adds a key that may do everything to the file of the environment', async () => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    const { stdout } = await run(['keys', 'create'], {
      environment: { SLUICE_CREDENTIALS_FILE: file },
    })
    const [, id = ''] = /AWS_ACCESS_KEY_ID=(\S+)/.exec(stdout) ?? []
    const [, secret] = /AWS_SECRET_ACCESS_KEY=(\S+)/.exec(stdout) ?? []
    const key = parseAccessKeys(await readFile(file, 'utf8')).get(id)
    expect(key?.secretAccessKey).toBe(secret)
    expect(key?.policy.decide({ action: 'sluice:Evaluate', resource: '*' })).toBe('allow')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test.each([
    [{}, 'http://127.0.0.1:8080'],
    [
      { SLUICE_HTTP_PORT: '9000', SLUICE_HTTP_HOST: 'sluice.example' },
      'http://sluice.example:9000',
    ],
    [{ SLUICE_HTTP_HOST: '0.0.0.0' }, 'http://127.0.0.1:8080'],
    [{ SLUICE_HTTP_HOST: '::' }, 'http://[::1]:8080'],
    [{ SLUICE_HTTP_HOST: '::1' }, 'http://[::1]:8080'],
    [{ SLUICE_HTTP_PORT: '0' }, 'http://127.0.0.1:<port>'],
    [{ SLUICE_TLS_CERT_FILE: 'c', SLUICE_TLS_KEY_FILE: 'k' }, 'https://127.0.0.1:8080'],
    [
      { SLUICE_TLS_CERT_FILE: 'c', SLUICE_TLS_KEY_FILE: 'k', SLUICE_HTTP_TLS: 'off' },
      'http://127.0.0.1:8080',
    ],
  ])('says where to use the key: with %j at %s', async (variables, url) => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    const environment = { SLUICE_CREDENTIALS_FILE: file, ...variables }
    const { stdout } = await run(['keys', 'create'], { environment })
    expect(stdout).toContain(` --endpoint-url ${url}\n`)
  })

  test('is for the engine that runs here: its file, its region, its address', async () => {
    const dataDir = await temporaryFolder()
    const credentialsFile = path.join(await temporaryFolder(), 'keys.json')
    await writeRunningEngine(dataDir, 'start', {
      processId: process.pid,
      region: 'eu-central-1',
      http: { host: '0.0.0.0', port: 4711, tls: true },
      credentialsFile,
    })
    const environment = { SLUICE_DATA_DIR: dataDir, AWS_REGION: 'us-west-2' }
    const { stdout } = await run(['keys', 'create'], { environment })
    expect(stdout).toContain(' --region eu-central-1 --endpoint-url https://127.0.0.1:4711\n')
    expect(parseAccessKeys(await readFile(credentialsFile, 'utf8')).size).toBe(1)

    const file = path.join(dataDir, 'of-another')
    const other = await run(['keys', 'create', '--file', file], { environment })
    expect(other.stdout).toContain(' --region us-west-2 --endpoint-url http://127.0.0.1:8080\n')
  })

  test('names no region that it does not know', async () => {
    const environment = { SLUICE_DATA_DIR: await temporaryFolder() }
    const { stdout } = await run(['keys', 'create'], { environment })
    expect(stdout).toContain(' --region "$AWS_REGION" ')
  })

  test('makes no key for a server that could not start', async () => {
    const file = path.join(await temporaryFolder(), 'credentials.json')
    const environment = { SLUICE_CREDENTIALS_FILE: file, SLUICE_HTTP_TLS: 'on' }
    await expect(run(['keys', 'create'], { environment })).rejects.toMatchObject({
      code: 'ConfigInvalid',
    })
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('gives the key the policy of a file, and refuses one that is none', async () => {
    const folder = await temporaryFolder()
    const [file, policy] = [path.join(folder, 'keys.json'), path.join(folder, 'policy.json')]
    const statement = { Effect: 'Allow', Action: 'iot:Publish', Resource: '*' }
    await writeFile(policy, JSON.stringify({ Version: '2012-10-17', Statement: statement }))
    await run(['keys', 'create', '--file', file, '--policy', policy, '--description', 'x'])
    const [key] = parseAccessKeys(await readFile(file, 'utf8')).values()
    expect(key?.policy.decide({ action: 'iot:CreateTopicRule', resource: '*' })).toBe(
      'implicitDeny',
    )

    await writeFile(policy, '{')
    await expect(run(['keys', 'create', '--file', file, '--policy', policy])).rejects.toMatchObject(
      {
        code: 'MalformedPolicyException',
      },
    )
  })
})

describe('sluice keys delete', () => {
  test('takes a key from the file, and leaves the others', async () => {
    const file = path.join(await temporaryFolder(), 'keys.json')
    for (const description of ['a', 'b']) {
      await run(['keys', 'create', '--file', file, '--description', description])
    }
    const idsOf = async () => [...parseAccessKeys(await readFile(file, 'utf8')).keys()]
    const [first = '', second = ''] = await idsOf()
    const { stdout } = await run(['keys', 'delete', first, '--file', file])
    expect(stdout).toBe(`The access key ${first} was taken from ${file}.\n`)
    expect(await idsOf()).toEqual([second])
    await expect(run(['keys', 'delete', first, '--file', file])).rejects.toThrow(
      `there is no access key ${first} in ${file}`,
    )
    const last = await run(['keys', 'delete', second, '--file', file])
    expect(last.stdout).toMatch(/ It was the last one: the HTTP API is closed\.\n$/)
    expect(await idsOf()).toEqual([])
  })

  test('refuses a file that cannot be used, and leaves it as it is', async () => {
    const file = path.join(await temporaryFolder(), 'keys.json')
    await writeFile(file, '{', { mode: 0o600 })
    await expect(run(['keys', 'delete', 'SLUICEA', '--file', file])).rejects.toMatchObject({
      code: 'IdentityFileInvalid',
    })
    expect(await readFile(file, 'utf8')).toBe('{')
  })
})

async function passwordIs(file: string, password: string): Promise<boolean> {
  const hash = parsePasswordFile(await readFile(file, 'utf8')).get('u')
  return hash !== undefined && isPasswordOf(hash, Buffer.from(password))
}

describe('sluice passwd', () => {
  test('takes the first line of standard input', async () => {
    const file = path.join(await temporaryFolder(), 'passwords')
    const stdin = Readable.from([Buffer.from('pass'), Buffer.from('wörd\r\nmore')])
    const { stdout } = await run(['passwd', 'u', '--file', file], { stdin })
    expect(stdout).toBe(`u was added to ${file}\n`)
    expect(await passwordIs(file, 'passwörd')).toBe(true)
  })

  test('asks twice on a terminal, and shows nothing of what is typed', async () => {
    const file = path.join(await temporaryFolder(), 'passwords')
    const stdin = createTerminal('secreX\u007ft\rsecret\r')
    const { stdout, stderr } = await run(['passwd', 'u', '--file', file], { stdin })
    expect(stdout).toBe(`u was added to ${file}\n`)
    expect(stderr).toBe('Password of u: \nOnce more: \n')
    expect(await passwordIs(file, 'secret')).toBe(true)
  })

  test.each([
    ['two that differ', 'one\rtwo\r', /differ/],
    ['an end', 'one\r\u0004', /no password was given/],
    ['an interrupt', 'one\u0003', /no password was given/],
    ['nothing', '\r\r', /empty/],
  ])('changes nothing on %s', async (_name, keys, message) => {
    const file = path.join(await temporaryFolder(), 'passwords')
    const stdin = createTerminal(keys)
    await expect(run(['passwd', 'u', '--file', file], { stdin })).rejects.toThrow(message)
    await expect(stat(file)).rejects.toThrow(/ENOENT/)
  })

  test('takes a user away', async () => {
    const file = path.join(await temporaryFolder(), 'passwords')
    const environment = { SLUICE_PASSWORD_FILE: file }
    await run(['passwd', 'u'], { environment, stdin: Readable.from(['x\n']) })
    expect(await run(['passwd', 'u', '--delete'], { environment })).toMatchObject({ exitCode: 0 })
    expect(await run(['passwd', 'u', '--delete'], { environment })).toMatchObject({ exitCode: 1 })
    expect(await readFile(file, 'utf8')).toBe('')
  })

  test('refuses a name before it asks', async () => {
    await expect(run(['passwd', 'a:b'])).rejects.toThrow(/not a user name/)
  })
})

describe('sluice certs', () => {
  test('makes what is missing and shows how to use it', async () => {
    const folder = await temporaryFolder()
    const words = ['certs', '--dir', folder, '--device', 'd1', 'd2', '--host', 'broker.example']
    const first = await run(words)
    expect(first.stdout).toMatch(
      /made .*ca\.pem[^]*made .*server\.pem[^]*made .*d2\.pem {2}principal \w{64}/,
    )
    expect(first.stdout).toMatch(
      /npx sluice pub --host broker\.example -p 8883 --ca [^]*--key [^]*-i d1 -t dt\/d1\//,
    )
    const second = await run([...words, 'other.example'])
    expect(second.stdout).not.toContain('made')
    expect(second.stderr).toMatch(/was kept and does not name other\.example: --force/)
  })
})
