import { randomUUID } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { startFunctionThread } from './function-thread.ts'
import { createInstancePool } from './instance-pool.ts'
import type { InvokeOutcome, LambdaFunction } from './lambda-function.ts'

/** The current state of a module in the functions folder. */
export interface FunctionModule {
  readonly file: string
  /** Changes with the module and with its settings. */
  readonly version: string
  readonly timeoutMs: number
  readonly environment: Readonly<Record<string, string>>
}

interface LocalFunctionOptions {
  readonly name: string
  /** Read for each new instance: `sluice start` may learn the account later. */
  readonly arnNow: () => string
  readonly region: string
  /** @throws Error that says why the module is missing or unusable (rejects) */
  readonly findModule: () => Promise<FunctionModule>
}

export interface LocalFunction extends LambdaFunction {
  /** Ends all instances, busy ones too. */
  close(): Promise<void>
}

/** The memory of each instance. */
const memoryMiB = 512

/**
 * A function that is a local module. Each instance is a thread that loads the module once and
 * answers one invocation at a time. After a change of the file, the next invocation starts a new
 * instance.
 */
export function createLocalFunction(
  dependencies: { readonly clock: Clock; readonly logger: Pick<Logger, 'info' | 'warn'> },
  { name, arnNow, region, findModule }: LocalFunctionOptions,
): LocalFunction {
  const pool = createInstancePool(dependencies.clock, (module: FunctionModule) =>
    startFunctionThread(dependencies, {
      // The query makes Node load a changed module anew.
      moduleUrl: `${pathToFileURL(module.file).href}?version=${encodeURIComponent(module.version)}`,
      functionName: name,
      functionArn: arnNow(),
      memoryMiB,
      environment: { ...lambdaEnvironment(name, region), ...module.environment },
    }),
  )

  async function invoke(payload: string, signal: AbortSignal): Promise<InvokeOutcome> {
    const requestId = randomUUID()
    let module: FunctionModule
    try {
      module = await findModule()
    } catch (thrown) {
      return { kind: 'notInvoked', requestId, reason: String(thrown) }
    }
    const instance = await pool.acquire(module, signal)
    if (!instance) return { kind: 'notInvoked', requestId, reason: 'the mapping stops' }
    if (signal.aborted) {
      await pool.release(instance, true)
      return { kind: 'notInvoked', requestId, reason: 'the mapping stops' }
    }
    const giveUp = () => void pool.end(instance)
    signal.addEventListener('abort', giveUp, { once: true })
    const outcome = await instance.thread.call({ requestId, payload }, module.timeoutMs)
    signal.removeEventListener('abort', giveUp)
    const isUsable = outcome.kind === 'returned' || (outcome.kind === 'failed' && outcome.isUsable)
    await pool.release(instance, isUsable)
    // No live thread has taken the call, so another instance does.
    if (outcome.kind === 'gone') return invoke(payload, signal)
    return { ...outcome, requestId }
  }

  return { invoke, close: () => pool.close() }
}

/** Lambda's own environment variables, where they apply. Nothing else is inherited. */
function lambdaEnvironment(name: string, region: string): Readonly<Record<string, string>> {
  return {
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMiB),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    LAMBDA_TASK_ROOT: '/var/task',
    TZ: ':UTC',
  }
}
