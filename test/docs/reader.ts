import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = path.resolve(import.meta.dirname, '../..')

/** Ports that the documents name. */
const documentedPorts = [1883, 4567, 8080, 8883]

/** Somebody who follows a document: a folder, a shell, and the terminals of servers. */
export interface Reader {
  /**
   * Runs a command as it is typed. One that serves stays; one that prints what arrives is ended by
   * Ctrl-C as soon as it has shown something.
   * @throws Error with what it printed, if it fails or shows something else
   */
  type(command: string, shows?: RegExp): Promise<void>
  /** Whether a server runs. */
  isServing(): boolean
  /** Presses Ctrl-C wherever a server runs. */
  stopServers(): Promise<void>
  /** Ends what runs, and removes the folder. */
  leave(): Promise<void>
}

/** Whether a command serves until it is stopped. */
export function isServer(command: string): boolean {
  return /\bnpm start\b|\bsluice (lab|start|kinesis)\b(?!.*--help)/.test(withoutComment(command))
}

function followsUntilStopped(command: string): boolean {
  const words = withoutComment(command)
  if (/--help|--limit|--count|--rate max/.test(words)) return false
  return /\bsluice (tail|sub|simulate)\b|\bnpm run simulate\b/.test(words)
}

const withoutComment = (command: string) => command.replaceAll(/(^|\s)#.*$/gm, '')

/**
 * Where the documented ports are free: in a network of the reader's own, where the machine lets a
 * process have one, else on this machine.
 * @returns undefined if they are in use
 */
export async function findNetwork(): Promise<'own' | 'shared' | undefined> {
  const up = ['-Urn', 'sh', '-c', 'ip link set lo up && command -v nsenter']
  if (spawnSync('unshare', up, { stdio: 'ignore' }).status === 0) return 'own'
  const free = await Promise.all(documentedPorts.map((port) => isFree(port)))
  return free.every(Boolean) ? 'shared' : undefined
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** @param isCheckout the folder is a copy of this repository, else a project with the package */
export async function createReader(options: {
  readonly network: 'own' | 'shared'
  readonly isCheckout: boolean
}): Promise<Reader> {
  const outside = await mkdtemp(path.join(os.tmpdir(), 'sluice-reader-'))
  const folder = path.join(outside, 'work')
  const remove = () => rm(outside, { recursive: true, force: true, maxRetries: 3 })
  try {
    await (options.isCheckout ? copyCheckout(folder) : installPackage(folder))
  } catch (thrown) {
    await remove()
    throw thrown
  }
  const stateFile = path.join(outside, 'state.sh')
  await writeFile(stateFile, '')
  // curl fails where a server refuses, so that a refusal is seen.
  await writeFile(path.join(outside, '.curlrc'), 'fail\nsilent\nshow-error\n')
  const environment = environmentOf(outside, folder, options.isCheckout)
  const network = options.network === 'own' ? await openNetwork() : undefined
  const running = new Set<Run>()
  let servers: Run[] = []

  function start(script: string): Run {
    const words = [...(network?.words ?? []), 'bash', '-c', script]
    const [program = '', ...rest] = words
    const child = spawn(program, rest, { cwd: folder, env: environment, detached: true })
    const run = follow(child)
    running.add(run)
    void run.ended.then(() => running.delete(run))
    return run
  }

  async function serve(command: string): Promise<void> {
    const server = start(`. '${stateFile}'\n${command}`)
    servers.push(server)
    await server.printed(/"msg":"ready"/)
  }

  return {
    async type(command, shows) {
      if (isServer(command)) return serve(command)
      // What is set in one command, and the folder, hold for the next.
      const keep = `{ export -p; echo "cd '$PWD'"; } > '${stateFile}'`
      const run = start(`set -a\n. '${stateFile}'\n${command}\nstatus=$?\n${keep}\nexit $status`)
      if (followsUntilStopped(command)) {
        await run.printed(shows ?? /\S/)
        run.interrupt()
      }
      await run.succeeded(shows)
    },
    isServing: () => servers.length > 0,
    async stopServers() {
      const stopped = servers
      servers = []
      for (const server of stopped) {
        server.interrupt()
        await server.succeeded()
      }
    },
    async leave() {
      for (const run of running) run.kill()
      await Promise.all([...running].map((run) => run.ended))
      network?.close()
      await remove()
    },
  }
}

/** A process group that runs a command. */
interface Run {
  readonly ended: Promise<number>
  printed(pattern: RegExp): Promise<void>
  succeeded(shows?: RegExp): Promise<void>
  interrupt(): void
  kill(): void
}

/** The exit code of a shell that Ctrl-C ended. */
const codeOfCtrlC = 130

/** How long a command may take. */
const patienceMs = 30_000

function follow(child: ChildProcess): Run {
  let output = ''
  const read = (chunk: Buffer) => (output += chunk.toString())
  child.stdout?.on('data', read)
  child.stderr?.on('data', read)
  child.stdin?.end()
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, end) => resolve(code ?? (end === 'SIGINT' ? codeOfCtrlC : -1)))
  })
  const signal = (name: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name)
  }
  const failure = (what: string) => new Error(`${what}; it printed:\n${output}`)

  async function within<Result>(waiting: Promise<Result>, what: string): Promise<Result> {
    const late = new AbortController()
    const tooLate = sleep(patienceMs, undefined, { signal: late.signal }).then(() => {
      throw failure(what)
    })
    try {
      return await Promise.race([waiting, tooLate])
    } finally {
      late.abort()
    }
  }

  return {
    ended,
    async printed(pattern) {
      const matched = new Promise<void>((resolve, reject) => {
        const look = () => {
          if (pattern.test(output)) resolve()
        }
        child.stdout?.on('data', look)
        child.stderr?.on('data', look)
        void ended.then((code) => reject(failure(`it ended (${code}) without ${pattern}`)))
        look()
      })
      await within(matched, `it did not print ${pattern}`)
    },
    async succeeded(shows = /(?:)/) {
      const code = await within(ended, 'it did not end')
      if (code !== 0 && code !== codeOfCtrlC) throw failure(`it ended with exit code ${code}`)
      if (!shows.test(output)) throw failure(`it did not print ${shows}`)
    },
    interrupt: () => signal('SIGINT'),
    kill: () => signal('SIGKILL'),
  }
}

/** What a clone has after its first `npm start`, but for its tests, which other tests write to. */
async function copyCheckout(folder: string): Promise<void> {
  await mkdir(folder)
  const { files } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    readonly files: readonly string[]
  }
  const ofPackage = files.filter((name) => !name.startsWith('!'))
  const ofBuild = (await readdir(root)).filter((name) =>
    /^(src|console|scripts|package.*\.json|tsconfig.*\.json)$/.test(name),
  )
  for (const name of [...ofPackage, ...ofBuild]) {
    await cp(path.join(root, name), path.join(folder, name), { recursive: true })
  }
  // Newer than the sources, so that it is not built again.
  const later = new Date(Date.now() + 1000)
  await utimes(path.join(folder, 'dist/main.js'), later, later)
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
}

/** A project with the package: its commands by name and with npx. */
async function installPackage(folder: string): Promise<void> {
  const modules = path.join(folder, 'node_modules')
  await mkdir(path.join(modules, '.bin'), { recursive: true })
  await writeFile(path.join(folder, 'package.json'), '{"private": true}')
  await symlink(root, path.join(modules, 'sluice-iot'))
  await symlink('../sluice-iot/bin/sluice.js', path.join(modules, '.bin/sluice'))
}

/** That of a user who has set nothing for Sluice or AWS, and cannot reach a registry. */
function environmentOf(home: string, folder: string, isCheckout: boolean): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(SLUICE|AWS|npm|NODE|VITEST)_|^(INIT_CWD|HOME)$/i.test(name),
  )
  const commands = isCheckout ? [] : [path.join(folder, 'node_modules/.bin')]
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    PATH: [...commands, process.env['PATH']].join(path.delimiter),
    TMPDIR: home,
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

/** A network for processes that are started with `words` in front; it ends with this process. */
async function openNetwork(): Promise<{ readonly words: readonly string[]; close(): void }> {
  const holder = spawn('unshare', ['-Urn', 'sh', '-c', 'ip link set lo up && echo up && exec cat'])
  await once(holder.stdout, 'data')
  return {
    words: ['nsenter', '-t', String(holder.pid), '-U', '-n', '--preserve-credentials'],
    close: () => void holder.kill('SIGKILL'),
  }
}
