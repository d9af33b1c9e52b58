import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Where a running lab listens, kept in its data folder so that `sluice tail` finds it without
 * being told. The file is a hint: after a crash it may name ports that nobody listens on.
 */
export interface RunningLab {
  readonly kinesis: { readonly host: string; readonly port: number }
  readonly region: string
  readonly processId: number
}

/** The URL of a server on this machine; of one that listens everywhere, its loopback address. */
export function endpointOf({
  host,
  port,
}: {
  readonly host: string
  readonly port: number
}): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

const fileOf = (dataDir: string) => path.join(dataDir, 'lab.json')

export async function writeRunningLab(dataDir: string, lab: RunningLab): Promise<void> {
  await writeFile(fileOf(dataDir), `${JSON.stringify(lab, null, 2)}\n`)
}

export async function removeRunningLab(dataDir: string): Promise<void> {
  await rm(fileOf(dataDir), { force: true })
}

/** Undefined when no lab runs on this data folder, as far as the file and its process tell. */
export async function readRunningLab(dataDir: string): Promise<RunningLab | undefined> {
  let text: string
  try {
    text = await readFile(fileOf(dataDir), 'utf8')
  } catch {
    return undefined
  }
  const lab = JSON.parse(text) as RunningLab
  return isAlive(lab.processId) ? lab : undefined
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
