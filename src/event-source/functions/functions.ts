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
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { AwsLambdaFunctions } from './aws-lambda-functions.ts'
import { createEmulatedFunction } from './emulated-function.ts'
import { createFunctionFolder } from './function-folder.ts'
import type { FunctionFiles, FunctionFolder } from './function-folder.ts'
import { arnOfFunction } from './function-name.ts'
import type { HeldFunctions } from './held-functions.ts'
import type { FunctionName } from './function-name.ts'
import type { LambdaFunction } from './lambda-function.ts'
import { createLocalFunction } from './local-function.ts'
import type { LocalFunction } from './local-function.ts'

export interface Functions extends LocalFunctions {
  /**
   * The function of that name.
   * @throws SluiceError ResourceNotFoundException, InvalidParameterValueException (rejects)
   */
  find(name: FunctionName): Promise<LambdaFunction>
  /**
   * Loads a local module, in a thread of its own that stays for the first invocation.
   *
   * @returns why the function cannot be invoked; undefined also for what is not checked:
   *   containers, functions in AWS, and modules whose instances are all busy
   * @throws SluiceError ResourceNotFoundException (rejects)
   */
  faultOf(name: FunctionName): Promise<string | undefined>
  /** Ends all threads and connections. */
  close(): Promise<void>
}

/** The functions of the folder. */
export interface LocalFunctions {
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  findLocal(name: FunctionName): Promise<LambdaFunction>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  describe(name: FunctionName): Promise<DescribedFunction>
  /** The names of all, sorted. */
  names(): Promise<readonly string[]>
}

export interface DescribedFunction {
  readonly name: string
  readonly arn: string
  readonly kind: 'module' | 'container'
  /** Undefined when the files cannot be read. */
  readonly files?: FunctionFiles | undefined
  /** Why the function cannot be invoked, as far as it is known. */
  readonly fault?: string | undefined
}

interface FunctionsOptions {
  readonly directory: string
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later. */
  readonly accountId: string
  /** Functions beside the folder, whose own come first. */
  readonly held?: HeldFunctions | undefined
  /** Undefined when functions in AWS are not invoked. */
  readonly aws?: AwsLambdaFunctions | undefined
}

export function createFunctions(
  dependencies: { readonly clock: Clock; readonly logger: Pick<Logger, 'info' | 'warn'> },
  options: FunctionsOptions,
): Functions {
  const { directory, region, aws } = options
  const folder = createFunctionFolder(directory, options.held)
  const local = new Map<string, LocalFunction>()
  const arnOf = (name: FunctionName) => arnOfFunction(name, options)

  function localFunction(given: FunctionName): LocalFunction {
    const { name } = given
    const existing = local.get(name)
    if (existing) return existing
    const made = createLocalFunction(dependencies, {
      name,
      arnNow: () => arnOf(given),
      region,
      findModule: () => folder.module(name),
    })
    local.set(name, made)
    return made
  }

  async function foundLocal(name: FunctionName): Promise<LambdaFunction | undefined> {
    const kind = await folder.kindOf(name.name)
    if (kind === undefined) return undefined
    if (kind === 'module') return localFunction(name)
    return createEmulatedFunction(dependencies.clock, () => folder.container(name.name))
  }

  function notFound(name: FunctionName, why = ''): SluiceError {
    const where = `neither ${name.name}.mjs nor ${name.name}.json is in ${directory}`
    const text = `Function not found: ${arnOf(name)} (${where}${why})`
    return new SluiceError('ResourceNotFoundException', text)
  }

  async function find(name: FunctionName): Promise<LambdaFunction> {
    const found = await foundLocal(name)
    if (found) return found
    if (name.arn === undefined) throw notFound(name)
    if (!aws) throw notFound(name, ', and the lab invokes no functions in AWS')
    return aws.function(name.arn)
  }

  return {
    find,
    async findLocal(name) {
      const found = await foundLocal(name)
      if (!found) throw notFound(name)
      return found
    },
    async faultOf(name) {
      const kind = await folder.kindOf(name.name)
      if (kind === undefined) await find(name)
      try {
        if (kind === 'module') return await localFunction(name).check()
        if (kind === 'container') await folder.container(name.name)
        return undefined
      } catch (thrown) {
        return messageOf(thrown)
      }
    },
    async describe(name) {
      const kind = await folder.kindOf(name.name)
      if (kind === undefined) throw notFound(name)
      const found = { name: name.name, arn: arnOf({ name: name.name }), kind }
      return describeFiles(folder, found, local.get(name.name))
    },
    names: () => folder.names(),
    async close() {
      await Promise.all([...local.values()].map((each) => each.close()))
      aws?.close()
    },
  }
}

async function describeFiles(
  folder: FunctionFolder,
  found: DescribedFunction,
  running: LocalFunction | undefined,
): Promise<DescribedFunction> {
  try {
    const files = await folder.describe(found.name, found.kind)
    return { ...found, files, fault: running?.knownFault(files.version) }
  } catch (thrown) {
    return { ...found, fault: messageOf(thrown) }
  }
}
