import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from '../config/config.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { reachableHost } from '../base/loopback.ts'
import { writeDurably } from '../storage/durable-file.ts'
import { readIfPresent } from '../storage/file-reads.ts'
import { labFileName } from '../storage/folder-format.ts'

/**
 * Where a running engine listens, kept in its data folder so that commands such as `sluice tail`
 * find it without being told. The file is a hint: after a crash it may name ports that nobody
 * listens on, and a file that cannot be read counts as absent.
 */
export interface RunningEngine {
  readonly processId: number
  readonly region: string
  readonly mqtt?: Address | undefined
  readonly mqtts?: Address | undefined
  readonly http?: (Address & { readonly tls: boolean }) | undefined
  /** The local Kinesis and STS, in the lab only. */
  readonly kinesis?: Address | undefined
  /** Where requests are signed: the file of the access keys. */
  readonly credentialsFile?: string | undefined
}

interface Address {
  readonly host: string
  readonly port: number
}

const fileNames: Readonly<Record<Config['mode'], string>> = {
  lab: labFileName,
  start: 'engine.json',
}

/** @returns `http://127.0.0.1:4567`, without a path */
export function endpointOf({ host, port }: Address, scheme: 'http' | 'https' = 'http'): string {
  const reachable = reachableHost(host)
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** @throws SluiceError DataFolderUnusable (rejects) */
export async function writeRunningEngine(
  dataDir: string,
  mode: Config['mode'],
  engine: RunningEngine,
): Promise<void> {
  const name = fileNames[mode]
  try {
    const text = `${JSON.stringify(engine, null, 2)}\n`
    await writeDurably(path.join(dataDir, name), text, { mode: 0o600 })
  } catch (thrown) {
    throw new SluiceError(
      'DataFolderUnusable',
      `The data folder ${dataDir} is not usable: ${name} cannot be written: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}

export async function removeRunningEngine(dataDir: string, mode: Config['mode']): Promise<void> {
  // What stays is harmless: its process is gone.
  await rm(path.join(dataDir, fileNames[mode]), { force: true }).catch(() => undefined)
}

/**
 * The lab or the engine that runs on a data folder.
 *
 * @param onDamage gets one line about a file that cannot be read, and is taken as absent
 * @returns undefined when none runs, as far as the file and its process tell
 */
export async function readRunningEngine(
  dataDir: string,
  onDamage: (line: string) => void,
): Promise<RunningEngine | undefined> {
  for (const name of Object.values(fileNames)) {
    const file = path.join(dataDir, name)
    const bytes = await readIfPresent(file).catch(() => undefined)
    if (bytes === undefined) continue
    const engine = parse(bytes.toString('utf8'))
    if (engine === undefined) {
      onDamage(`${file} is damaged, and counts as absent`)
    } else if (isAlive(engine.processId)) {
      return engine
    }
  }
  return undefined
}

function parse(text: string): RunningEngine | undefined {
  try {
    const read: unknown = JSON.parse(text)
    return isRunningEngine(read) ? read : undefined
  } catch {
    return undefined
  }
}

type Unread = { readonly [Member in keyof RunningEngine]?: unknown }

function isRunningEngine(read: unknown): read is RunningEngine {
  if (typeof read !== 'object' || read === null) return false
  const { processId, region, credentialsFile, ...rest }: Unread = read
  const addresses = [rest.mqtt, rest.mqtts, rest.http, rest.kinesis]
  return (
    Number.isInteger(processId) &&
    Number(processId) > 0 &&
    typeof region === 'string' &&
    (credentialsFile === undefined || typeof credentialsFile === 'string') &&
    addresses.every((address) => address === undefined || isAddress(address))
  )
}

function isAddress(read: unknown): read is Address {
  if (typeof read !== 'object' || read === null) return false
  const { host, port }: { readonly host?: unknown; readonly port?: unknown } = read
  return typeof host === 'string' && Number.isInteger(port)
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (thrown) {
    // Not permitted means that it is there, and somebody else's.
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM'
  }
}
