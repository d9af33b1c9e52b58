import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '../../base/errors.ts'
import { ifPresent, readPlainFile } from '../../storage/file-reads.ts'
import type { HeldFunctions } from './held-functions.ts'
import type { FunctionModule } from './local-function.ts'

/** The files of functions: see functions.ts. They are read anew each time. */
export interface FunctionFolder {
  /** Whether the function is a module or a container; undefined when it has no file. */
  kindOf(name: string): Promise<'module' | 'container' | undefined>
  /** @throws Error that says why the module is missing or its settings are not valid (rejects) */
  module(name: string): Promise<FunctionModule>
  /** @throws Error that says why there is no container (rejects) */
  container(name: string): Promise<{ readonly invokeUrl: string; readonly timeoutMs: number }>
  /** What stands in the files. @throws as `module` and `container` (rejects) */
  describe(name: string, kind: 'module' | 'container'): Promise<FunctionFiles>
  /** The names of all functions, sorted. */
  names(): Promise<readonly string[]>
}

export interface FunctionFiles {
  /** Changes with the module and with its settings. */
  readonly version: string
  readonly timeoutMs: number
  readonly environment: Readonly<Record<string, string>>
  readonly handler?: string | undefined
  /** Of the module; a container has none here. */
  readonly code?: { readonly bytes: number; readonly sha256: string } | undefined
  readonly invokeUrl?: string | undefined
  /** Epoch milliseconds. */
  readonly lastModifiedMs: number
}

const settingsSchema = Type.Object(
  {
    invokeUrl: Type.Optional(Type.String({ pattern: '^https?://' })),
    timeoutSeconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 900 })),
    environment: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { additionalProperties: false },
)
type Settings = Static<typeof settingsSchema>

/** Lambda's default. */
const timeoutSecondsDefault = 3
/** Longer than Lambda's default, because the container enforces a limit of its own. */
const emulatorTimeoutSecondsDefault = 60
const fileForm = /^(?<name>[a-zA-Z0-9_-]{1,64})\.(?<ending>mjs|json)$/

/** @param held functions beside the folder, whose own come first */
export function createFunctionFolder(directory: string, held?: HeldFunctions): FunctionFolder {
  const fileOf = (name: string, ending: string) => path.join(directory, `${name}${ending}`)

  async function readSettings(name: string): Promise<{ settings: Settings; version: string }> {
    const file = fileOf(name, '.json')
    const version = await versionOf(file)
    if (version === undefined) return { settings: {}, version: '' }
    const { bytes } = await readFunctionFile(file)
    const settings: unknown = JSON.parse(bytes.toString('utf8'))
    const [problem] = Value.Errors(settingsSchema, settings)
    if (problem) throw new Error(`${file}: ${problem.instancePath} ${problem.message}`)
    return { settings: settings as Settings, version }
  }

  const folder: FunctionFolder = {
    async kindOf(name) {
      if (await statsOf(fileOf(name, '.mjs'))) return 'module'
      if (await statsOf(fileOf(name, '.json'))) return 'container'
      return held?.has(name) === true ? 'module' : undefined
    },
    async module(name) {
      const file = fileOf(name, '.mjs')
      const version = await versionOf(file)
      if (version === undefined && held?.has(name) === true) return held.module(name)
      if (version === undefined) throw new Error(`${file} does not exist`)
      const { settings, version: settingsVersion } = await readSettings(name)
      return {
        file,
        version: `${version}-${settingsVersion}`,
        timeoutMs: (settings.timeoutSeconds ?? timeoutSecondsDefault) * 1_000,
        environment: settings.environment ?? {},
      }
    },
    async container(name) {
      const { settings } = await readSettings(name)
      const { invokeUrl, timeoutSeconds = emulatorTimeoutSecondsDefault } = settings
      if (invokeUrl === undefined) throw new Error(`${fileOf(name, '.json')} has no invokeUrl`)
      return { invokeUrl, timeoutMs: timeoutSeconds * 1_000 }
    },
    async describe(name, kind) {
      if (kind === 'container') {
        const found = await folder.container(name)
        const { mtimeMs } = await stat(fileOf(name, '.json'))
        return { ...found, version: '', environment: {}, lastModifiedMs: mtimeMs }
      }
      const { file, ...module } = await folder.module(name)
      const { bytes, stats } = await readFunctionFile(file)
      const sha256 = createHash('sha256').update(bytes).digest('base64')
      const code = { bytes: bytes.length, sha256 }
      return { ...module, code, lastModifiedMs: stats.mtimeMs }
    },
    async names() {
      const modules = new Set<string>()
      const settings = new Set<string>()
      for (const file of (await ifPresent(readdir(directory))) ?? []) {
        const { name, ending } = fileForm.exec(file)?.groups ?? {}
        if (name !== undefined) (ending === 'mjs' ? modules : settings).add(name)
      }
      // Other JSON may stand in the folder, such as package.json.
      const containers = [...settings].filter((name) => !modules.has(name))
      for (const name of containers) {
        const isContainer = await folder.container(name).then(
          () => true,
          () => false,
        )
        if (isContainer) modules.add(name)
      }
      for (const name of held?.names() ?? []) modules.add(name)
      return [...modules].toSorted()
    },
  }
  return folder
}

/** @returns undefined for a file that does not exist */
async function statsOf(file: string): Promise<Stats | undefined> {
  try {
    return await ifPresent(stat(file))
  } catch (thrown) {
    throw new Error(`${file} cannot be read: ${messageOf(thrown)}`, { cause: thrown })
  }
}

/**
 * @returns undefined for a file that does not exist
 * @throws Error (rejects): it is not a regular file; to load a pipe would wait for its writer
 */
async function versionOf(file: string): Promise<string | undefined> {
  const stats = await statsOf(file)
  if (stats === undefined) return undefined
  if (!stats.isFile()) throw new Error(`${file} is not a regular file`)
  return `${stats.mtimeMs}.${stats.size}`
}

/** @throws Error (rejects): the file is gone, is no regular file, or is too large */
async function readFunctionFile(file: string) {
  const read = await readPlainFile(file).catch((thrown: unknown) => {
    throw new Error(`${file} ${messageOf(thrown)}`, { cause: thrown })
  })
  if (read) return read
  throw new Error(`${file} does not exist`)
}
