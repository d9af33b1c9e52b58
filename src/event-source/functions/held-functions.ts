import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import type { FunctionModule } from './local-function.ts'

/** A function of Node whose code is a folder beside the folder of the functions. */
export interface HeldFunction {
  readonly name: string
  readonly folder: string
  /** As Lambda has it: `<file without its ending>.<export>`, relative to the folder. */
  readonly handler: string
  readonly environment: Readonly<Record<string, string>>
  /** Undefined for Lambda's default. */
  readonly timeoutSeconds?: number | undefined
}

export interface HeldFunctions {
  has(name: string): boolean
  names(): readonly string[]
  /** Replaces all of them. */
  replace(functions: readonly HeldFunction[]): void
  /** @throws Error that says why the module is missing (rejects) */
  module(name: string): Promise<FunctionModule>
}

/** Lambda's defaults and limit. */
const timeoutSecondsDefault = 3
const timeoutSecondsMax = 900
/** A change of the code is looked for this often at most. */
const lookIntervalMs = 500
/** Of a folder so many files are looked at; what is installed there is not. */
const filesMax = 1_000
/** The order in which Lambda tries them [aws-lambda-nodejs-runtime-interface-client]. */
const endings = ['.js', '.mjs', '.cjs']

/** The functions that a template defines. Their code is read anew when it changes. */
export function createHeldFunctions(clock: Pick<Clock, 'monotonicMs'>): HeldFunctions {
  let held: ReadonlyMap<string, HeldFunction> = new Map()
  /** By folder, the last look; the functions bound them. */
  const looks = new Map<string, { readonly atMs: number; readonly version: Promise<string> }>()

  function versionOf(folder: string): Promise<string> {
    const last = looks.get(folder)
    const atMs = clock.monotonicMs()
    if (last && atMs - last.atMs < lookIntervalMs) return last.version
    const version = versionOfFolder(folder)
    looks.set(folder, { atMs, version })
    return version
  }

  return {
    has: (name) => held.has(name),
    names: () => [...held.keys()],
    replace(functions) {
      held = new Map(functions.map((each) => [each.name, each]))
      looks.clear()
    },
    async module(name) {
      const found = held.get(name)
      if (!found) throw new Error(`no template has a function ${name}`)
      const { folder, handler, environment, timeoutSeconds = timeoutSecondsDefault } = found
      const file = await findModule(folder, handler)
      const settings = JSON.stringify([handler, environment, timeoutSeconds])
      return {
        file,
        isCommonJs: file.endsWith('.js') && !(await hasPackage(folder, file)),
        handler,
        folder,
        version: digest(`${await versionOf(folder)} ${settings}`),
        timeoutMs: Math.min(Math.max(timeoutSeconds, 1), timeoutSecondsMax) * 1_000,
        environment,
      }
    },
  }
}

/** `a/b.c.d` is the member `d` of the export `c` of `a/b.js`, `a/b.mjs` or `a/b.cjs`. */
async function findModule(folder: string, handler: string): Promise<string> {
  const [, module] = /^((?:[^]*\/)?[^./]+)\.[^/]+$/.exec(handler) ?? []
  if (module === undefined || handler.includes('..')) {
    throw new Error(`the handler ${JSON.stringify(handler)} is not <file>.<export>`)
  }
  const base = path.join(folder, module)
  for (const ending of endings) {
    const stats = await ifPresent(stat(base + ending))
    if (stats?.isFile() === true) return base + ending
  }
  const names = endings.map((ending) => `${module}${ending}`).join(', ')
  throw new Error(`${folder} has none of ${names}: code of another language is built first`)
}

/** Whether a package.json of the code itself says what its files are. */
async function hasPackage(folder: string, file: string): Promise<boolean> {
  const root = path.resolve(folder)
  for (let at = path.dirname(path.resolve(file)); ; at = path.dirname(at)) {
    if (await ifPresent(stat(path.join(at, 'package.json')))) return true
    if (at === root || at === path.dirname(at)) return false
  }
}

/** Changes with the files of the folder, as far as their times and sizes tell. */
async function versionOfFolder(folder: string): Promise<string> {
  const parts: string[] = []
  const waiting = [folder]
  for (const next of waiting) {
    const entries = (await ifPresent(readdir(next, { withFileTypes: true }))) ?? []
    for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue
      if (parts.length + waiting.length >= filesMax) break
      const file = path.join(next, entry.name)
      if (entry.isDirectory()) waiting.push(file)
      else {
        const stats = await ifPresent(stat(file))
        if (stats) parts.push(`${file} ${stats.mtimeMs} ${stats.size} ${stats.ino}`)
      }
    }
  }
  return digest(parts.join('\n'))
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64url')
