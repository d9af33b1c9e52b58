import { createHash } from 'node:crypto'
import { readFile, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '../../base/errors.ts'
import { ifPresent } from '../../storage/file-reads.ts'
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

export function createFunctionFolder(directory: string): FunctionFolder {
  const fileOf = (name: string, ending: string) => path.join(directory, `${name}${ending}`)

  async function readSettings(name: string): Promise<{ settings: Settings; version: string }> {
    const file = fileOf(name, '.json')
    const version = await versionOf(file)
    if (version === undefined) return { settings: {}, version: '' }
    const settings: unknown = JSON.parse(await readFile(file, 'utf8'))
    const [problem] = Value.Errors(settingsSchema, settings)
    if (problem) throw new Error(`${file}: ${problem.instancePath} ${problem.message}`)
    return { settings: settings as Settings, version }
  }

  const folder: FunctionFolder = {
    async kindOf(name) {
      if (await versionOf(fileOf(name, '.mjs'))) return 'module'
      return (await versionOf(fileOf(name, '.json'))) ? 'container' : undefined
    },
    async module(name) {
      const file = fileOf(name, '.mjs')
      const version = await versionOf(file)
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
        const { mtimeMs } = await stat(fileOf(name, '.json'))
        const found = await folder.container(name)
        return { ...found, version: '', environment: {}, lastModifiedMs: mtimeMs }
      }
      const { file, ...module } = await folder.module(name)
      const code = await readFile(file)
      const sha256 = createHash('sha256').update(code).digest('base64')
      const { mtimeMs } = await stat(file)
      return { ...module, code: { bytes: code.length, sha256 }, lastModifiedMs: mtimeMs }
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
      return [...modules].toSorted()
    },
  }
  return folder
}

/** @returns undefined for a file that does not exist */
async function versionOf(file: string): Promise<string | undefined> {
  try {
    const stats = await ifPresent(stat(file))
    return stats && `${stats.mtimeMs}.${stats.size}`
  } catch (thrown) {
    throw new Error(`${file} cannot be read: ${messageOf(thrown)}`, { cause: thrown })
  }
}
