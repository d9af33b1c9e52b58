import path from 'node:path'
import type { AwsAccess } from '../../aws/role-calls.ts'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { LabActionsConfig } from '../../config/lab-actions.ts'
import type { LabService } from '../../config/lab-action-variables.ts'
import type { FunctionApi } from '../../event-source/functions/function-api.ts'
import { parseFunctionName } from '../../event-source/functions/function-name.ts'
import { createLabFunctions } from '../../external/lab-functions.ts'
import type { InvokeFunction } from '../../external/lab-functions.ts'
import type { CallExternal, ExternalFunctionName } from '../../sql/externals/external-request.ts'
import type { EmulatorAccess } from './emulator-access.ts'

/** The external functions of the lab, also of commands that try rules without a lab. */
interface LabExternals {
  readonly call: CallExternal
  /** Closes the connections to emulators. */
  close(): void
}

interface LabExternalsOptions {
  readonly region: string
  readonly protoDir: string | undefined
  readonly stubsDir: string
  readonly functionsDir: string
  readonly emulators: Pick<LabActionsConfig, 'endpoints' | 'hosts'>
}

/** The service that answers a function. */
const services: Readonly<Record<ExternalFunctionName, LabService>> = {
  aws_lambda: 'LAMBDA',
  get_dynamodb: 'DYNAMODB',
  get_secret: 'SECRETS_MANAGER',
  get_thing_shadow: 'IOT_DATA_PLANE',
  get_registry_data: 'IOT',
  decode: 'S3',
}

/**
 * Answers external functions by the functions of the folder, by emulators and by files. What calls
 * emulators is loaded with the first call.
 */
export function createLabExternals(
  { clock, functions }: { readonly clock: Clock; readonly functions: Pick<FunctionApi, 'invoke'> },
  options: LabExternalsOptions,
): LabExternals {
  const { region, emulators, protoDir, functionsDir } = options
  let opening: Promise<EmulatorAccess> | undefined

  async function openAccess(): Promise<EmulatorAccess> {
    const { createEmulatorAccess } = await import('./emulator-access.ts')
    return createEmulatorAccess(emulators.hosts)
  }

  function emulatorFor(name: ExternalFunctionName): (() => Promise<AwsAccess>) | undefined {
    // A folder of descriptors comes before the buckets of an emulator.
    if (name === 'decode' && protoDir !== undefined) return undefined
    const endpoint = emulators.endpoints[services[name]]
    if (endpoint === undefined) return undefined
    return async () => {
      opening ??= openAccess()
      return (await opening).accessTo(endpoint, region)
    }
  }

  return {
    call: createLabFunctions(
      { clock, emulatorFor, invokeFunction: invokerOf(functions, functionsDir) },
      options,
    ),
    close() {
      void opening?.then((access) => access.close())
    },
  }
}

/**
 * Invocations that have not ended. A call that takes too long leaves its function running, which
 * ends by its own timeout.
 */
const invocationsMax = 256

/** Invokes functions as Lambda does for the invocation type `RequestResponse`. */
function invokerOf(functions: Pick<FunctionApi, 'invoke'>, functionsDir: string): InvokeFunction {
  let running = 0
  return async (functionArn, payload, leaving) => {
    const { name } = parseFunctionName(functionArn)
    if (running === invocationsMax) {
      throw new Error(`${invocationsMax} invocations of functions have not ended yet`)
    }
    running += 1
    try {
      const answer = await functions.invoke(functionArn, payload, { wantsLog: false, leaving })
      return { kind: 'answered', payload: answer.payload, hasFailed: answer.hasFailed }
    } catch (thrown) {
      const isAbsent = thrown instanceof SluiceError && thrown.code === 'ResourceNotFoundException'
      if (!isAbsent) throw thrown
      const file = path.join(functionsDir, `${name}.mjs`)
      const example = 'export const handler = async (event) => ({ ...event, seen: true })'
      return { kind: 'absent', advice: `make ${file}, such as ${example}` }
    } finally {
      running -= 1
    }
  }
}
