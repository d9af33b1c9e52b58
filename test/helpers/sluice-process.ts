import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

export type LogLine = Readonly<Record<string, unknown>>

/** `sluice` as its own process, the way that a user runs it. */
export interface SluiceProcess {
  /** Undefined if it could not be started. */
  readonly pid: number | undefined
  readonly logLines: readonly LogLine[]
  readonly stderr: () => string
  /** Resolves with the first log line, past or to come, that `matches`. */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>
  /** The line that names the ports. */
  ready(): Promise<LogLine>
  kill(signal: NodeJS.Signals): void
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

const binary = path.resolve(import.meta.dirname, '../../bin/sluice.js')

/** @param node the Node.js that runs it */
export function startSluice(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  { cwd, node = process.execPath }: Pick<RunOptions, 'cwd'> & { readonly node?: string } = {},
): SluiceProcess {
  const child = spawn(node, [binary, ...words], {
    cwd,
    env: { ...inherited(), ...freePorts, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const logLines: LogLine[] = []
  const waiting = new Set<(line: LogLine) => void>()
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parseLine(text)
    logLines.push(line)
    for (const look of waiting) look(line)
  })
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  const logged = (matches: (line: LogLine) => boolean) => {
    const past = logLines.find(matches)
    if (past) return Promise.resolve(past)
    return new Promise<LogLine>((resolve, reject) => {
      const look = (line: LogLine) => {
        if (!matches(line)) return
        waiting.delete(look)
        resolve(line)
      }
      waiting.add(look)
      void ended.then((code) =>
        reject(new Error(`sluice ended (${code}) without that line: ${stderr}`)),
      )
    })
  }
  return {
    pid: child.pid,
    logLines,
    stderr: () => stderr,
    logged,
    ready: () => logged((line) => line['msg'] === 'ready'),
    kill: (signal) => child.kill(signal),
    ended,
  }
}

export interface RunOptions {
  /** Its working directory; absent: that of the test. */
  readonly cwd?: string | undefined
  /** All of its standard input. */
  readonly stdin?: string | Uint8Array | undefined
}

/** Runs a command that ends by itself. */
export async function runSluice(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  { cwd, stdin = '' }: RunOptions = {},
): Promise<{ code: number | NodeJS.Signals | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [binary, ...words], {
    cwd,
    env: { ...inherited(), ...freePorts, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // A command that does not read to the end.
  child.stdin.on('error', () => undefined)
  child.stdin.end(stdin)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal))
  })
  return { code, stdout, stderr }
}

/** A folder for one test, and its removal. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-'))
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

const freePorts = { SLUICE_MQTT_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_LAB_PORT: '0' }

/** What the developer's shell says about Sluice or AWS must not reach a test. */
function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^(SLUICE|AWS)_/.test(name) ? [] : [[name, value]],
    ),
  )
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { text }
  }
}
