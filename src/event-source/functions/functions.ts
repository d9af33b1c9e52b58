/**
 * The functions that mappings invoke, by name in a folder:
 *
 *     <name>.mjs    exports handler(event, context), which runs in a local thread
 *     <name>.json   {"timeoutSeconds": 3, "environment": {"NAME": "value"}} for the module of that
 *                   name; without a module, {"invokeUrl": "http://..."} of a Runtime Interface
 *                   Emulator
 *
 * Invariants: a local function takes precedence over one in AWS; the folder is read anew for each
 * invocation, so a change applies from the next invocation on.
 */
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { AwsLambdaFunctions } from './aws-lambda-functions.ts'
import { arnOfFunction } from './function-name.ts'
import type { FunctionName } from './function-name.ts'
import type { LambdaFunction } from './lambda-function.ts'
import { createLocalFunction } from './local-function.ts'
import type { FunctionModule, LocalFunction } from './local-function.ts'
import { createEmulatedFunction } from './emulated-function.ts'

export interface Functions {
  /**
   * The function of that name.
   * @throws SluiceError ResourceNotFoundException, InvalidParameterValueException (rejects)
   */
  find(name: FunctionName): Promise<LambdaFunction>
  /** Ends all threads and connections. */
  close(): Promise<void>
}

interface FunctionsOptions {
  readonly directory: string
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later. */
  readonly accountId: string
  /** Undefined when functions in AWS are not invoked. */
  readonly aws?: AwsLambdaFunctions | undefined
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

export function createFunctions(
  dependencies: { readonly clock: Clock; readonly logger: Pick<Logger, 'info' | 'warn'> },
  options: FunctionsOptions,
): Functions {
  const { directory, region, aws } = options
  const local = new Map<string, LocalFunction>()
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

  async function findModule(name: string): Promise<FunctionModule> {
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
  }

  async function findEmulated(name: string) {
    const { settings } = await readSettings(name)
    const { invokeUrl, timeoutSeconds = emulatorTimeoutSecondsDefault } = settings
    if (invokeUrl === undefined) throw new Error(`${fileOf(name, '.json')} has no invokeUrl`)
    return { invokeUrl, timeoutMs: timeoutSeconds * 1_000 }
  }

  function localFunction(name: string, arnNow: () => string): LocalFunction {
    const existing = local.get(name)
    if (existing) return existing
    const made = createLocalFunction(dependencies, {
      name,
      arnNow,
      region,
      findModule: () => findModule(name),
    })
    local.set(name, made)
    return made
  }

  return {
    async find(name) {
      const arnNow = () => arnOfFunction(name, options)
      if (await versionOf(fileOf(name.name, '.mjs'))) return localFunction(name.name, arnNow)
      if (await versionOf(fileOf(name.name, '.json'))) {
        return createEmulatedFunction(dependencies.clock, () => findEmulated(name.name))
      }
      if (name.arn !== undefined && aws) return aws.function(name.arn)
      const where = `neither ${name.name}.mjs nor ${name.name}.json is in ${directory}`
      const why =
        name.arn === undefined ? where : `${where}, and the lab invokes no functions in AWS`
      throw new SluiceError('ResourceNotFoundException', `Function not found: ${arnNow()} (${why})`)
    },
    async close() {
      await Promise.all([...local.values()].map((each) => each.close()))
      aws?.close()
    },
  }
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
