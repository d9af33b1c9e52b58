/** AWS's device SDKs, unmodified: certificates, and URLs that they sign themselves. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const run = promisify(execFile)
const programs = path.join(import.meta.dirname, 'device-sdks')
/** The versions whose behaviour is known. */
const nodePackages = ['aws-iot-device-sdk@2.2.16', 'aws-iot-device-sdk-v2@1.28.0']
const pythonPackage = 'awsiotsdk==1.31.0'
const installMsMax = 300_000
const runMsMax = 60_000
const startMsMax = 120_000

const sdks = [
  ['v1', 'sdk-v1.cjs'],
  ['v2', 'sdk-v2.cjs'],
  ['python', 'sdk_python.py'],
] as const

let folder: string
let certs: string
/** Why an SDK is not there. */
const missing = new Map<string, string>()

beforeAll(async () => {
  const made = await temporaryFolder()
  folder = made.path
  certs = path.join(folder, 'certs')
  await runSluice(['certs', '--dir', certs, '--device', 'device'])
  for (const [, program] of sdks) {
    await copyFile(path.join(programs, program), path.join(folder, program))
  }
  await writeFile(path.join(folder, 'package.json'), '{"private": true}')
  const options = { cwd: folder, timeout: installMsMax }
  const install = async (names: readonly string[], command: string, words: readonly string[]) => {
    const failure = await run(command, words, options).then(() => undefined, firstLineOf)
    if (failure !== undefined) names.forEach((name) => missing.set(name, failure))
  }
  // The packages hold what they need; their scripts would only build it anew.
  await install(['v1', 'v2'], 'npm', ['install', '--ignore-scripts', '--no-audit', ...nodePackages])
  await install(['python'], 'python3', ['-m', 'venv', 'python'])
  await install(['python'], 'python/bin/pip', ['install', '--quiet', pythonPackage])
}, installMsMax * 2)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe('in a lab that authenticates nobody', () => {
  let lab: Broker
  beforeAll(async () => {
    lab = await startBroker('lab', {})
  }, startMsMax)
  afterAll(() => lab.stop())

  test.for(sdks)('%s connects with a certificate', { timeout: runMsMax * 2 }, async (sdk, it) => {
    const said = await connect(sdk, it, { way: 'certificate', port: lab.mqtts })
    expect(said).toEqual(whatItSays(sdk[0]))
  })

  test.for(sdks)('%s connects with any signature', { timeout: runMsMax * 2 }, async (sdk, it) => {
    const signed = { accessKeyId: 'AKIDANYONE', secretKey: 'any' }
    const said = await connect(sdk, it, { way: 'signature', port: lab.http, ...signed })
    expect(said).toEqual(whatItSays(sdk[0]))
  })
})

describe('where keys are needed', () => {
  let engine: Broker
  let key: { readonly accessKeyId: string; readonly secretKey: string }
  beforeAll(async () => {
    const variables = {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'unused',
      AWS_SECRET_ACCESS_KEY: 'unused',
      SLUICE_ACCOUNT_ID: '123456789012',
    }
    engine = await startBroker('start', variables)
    const made = await runSluice(['keys', 'create'], { ...engine.variables, ...variables })
    key = {
      accessKeyId: /ACCESS_KEY_ID=(\S+)/.exec(made.stdout)?.[1] ?? '',
      secretKey: /SECRET_ACCESS_KEY=(\S+)/.exec(made.stdout)?.[1] ?? '',
    }
  }, startMsMax)
  afterAll(() => engine.stop())

  test.for(sdks)(
    '%s connects with a key of its own',
    { timeout: runMsMax * 2 },
    async (sdk, it) => {
      const said = await connect(sdk, it, { way: 'signature', port: engine.http, ...key })
      expect(said).toEqual(whatItSays(sdk[0]))
    },
  )

  test(
    'one with a key that nobody made is refused, and the log says what to do',
    async (it) => {
      const unknown = { accessKeyId: 'AKIDNOBODY', secretKey: 'any' }
      const said = await connect(sdks[2], it, { way: 'signature', port: engine.http, ...unknown })
      expect(said).toEqual([expect.stringContaining('failed')])
      const line = await engine.logged((each) => each['reason'] === 'signature_refused')
      expect(line['detail']).toContain('`sluice keys create`')
    },
    runMsMax * 2,
  )
})

function whatItSays(name: string): readonly unknown[] {
  return [
    `message sdk/${name} {"a":1}`,
    expect.stringMatching(new RegExp(`^shadow ${name} accepted .*{"on": ?true}`)),
  ]
}

interface Broker extends Pick<SluiceProcess, 'logged'> {
  readonly mqtts: number
  readonly http: number
  readonly variables: Readonly<Record<string, string>>
  stop(): Promise<void>
}

async function startBroker(
  mode: 'lab' | 'start',
  environment: Readonly<Record<string, string>>,
): Promise<Broker> {
  const cwd = path.join(folder, mode)
  await mkdir(path.join(cwd, 'rules'), { recursive: true })
  const variables = {
    SLUICE_TLS_CERT_FILE: path.join(certs, 'server.pem'),
    SLUICE_TLS_KEY_FILE: path.join(certs, 'server-key.pem'),
    SLUICE_TLS_CA_FILE: path.join(certs, 'ca.pem'),
    SLUICE_MQTTS_PORT: '0',
    SLUICE_DATA_DIR: path.join(cwd, 'data'),
    SLUICE_RULES_DIR: path.join(cwd, 'rules'),
  }
  const sluice = startSluice([mode], { ...variables, ...environment }, { cwd })
  const ready = await sluice.ready()
  return {
    logged: (matches) => sluice.logged(matches),
    mqtts: Number(ready['mqtts']),
    http: Number(ready['http']),
    variables,
    async stop() {
      sluice.kill('SIGTERM')
      await sluice.ended
    },
  }
}

/** @returns the lines that the program prints, but for the end of its connection */
async function connect(
  [name, program]: (typeof sdks)[number],
  it: { skip(why: string): void },
  given: object,
): Promise<readonly string[]> {
  const why = missing.get(name)
  if (why !== undefined) it.skip(`the SDK cannot be had here: ${why}`)
  const command = program.endsWith('.py') ? path.join('python', 'bin', 'python') : process.execPath
  const words = [program, JSON.stringify({ certs, ...given })]
  const options = { cwd: folder, timeout: runMsMax }
  const { stdout } = await run(command, words, options).catch((thrown: unknown) => {
    const output = thrown as { readonly stdout?: string }
    return { stdout: output.stdout ?? String(thrown) }
  })
  return stdout.split('\n').filter((line) => line !== '' && line !== 'closed')
}

const firstLineOf = (thrown: unknown): string => String(thrown).split('\n')[0] ?? ''
