import { randomUUID } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { startFunctionThread } from './function-thread.ts'
import { createInstancePool } from './instance-pool.ts'
import type { InvokeOptions, InvokeOutcome, LambdaFunction } from './lambda-function.ts'

/** The current state of a module in the functions folder. */
export interface FunctionModule {
  readonly file: string
  /** As Lambda has it: `<file>.<export>`. Default: `<name>.handler`. */
  readonly handler?: string | undefined
  /**
   * Whether `.js` is CommonJS, whatever a package.json above the folder says: a function that is
   * deployed has none there.
   */
  readonly isCommonJs?: boolean | undefined
  /** The folder of the code, for `LAMBDA_TASK_ROOT`. */
  readonly folder?: string | undefined
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
  /**
   * Loads the module unless this version of it is loaded. While all instances are busy, the check
   * ends without a result.
   *
   * @returns why the module cannot be loaded or has no handler
   * @throws Error that says why the module is missing or unusable (rejects)
   */
  check(): Promise<string | undefined>
  /** Why the module of that version could not be loaded, if that was tried. */
  knownFault(version: string): string | undefined
  /** Ends all instances, busy ones too. */
  close(): Promise<void>
}

/** The memory of each instance. */
export const memoryMiB = 512
/** How long a check waits for an instance. */
const checkTimeoutMs = 10_000

/**
 * A function that is a local module. Each instance is a thread that loads the module once and
 * answers one invocation at a time. After a change of the file, the next invocation starts a new
 * instance.
 */
export function createLocalFunction(
  dependencies: { readonly clock: Clock; readonly logger: Pick<Logger, 'info' | 'warn'> },
  { name, arnNow, region, findModule }: LocalFunctionOptions,
): LocalFunction {
  /** The module that was loaded last, and whether that went well. */
  let lastLoad: { readonly version: string; readonly fault: string | undefined } | undefined
  const pool = createInstancePool(dependencies.clock, (module: FunctionModule) => {
    const { handler = `${name}.handler`, environment } = module
    const thread = startFunctionThread(dependencies, {
      // The query makes Node load a changed module anew.
      moduleUrl: `${pathToFileURL(module.file).href}?version=${encodeURIComponent(module.version)}`,
      exported: handler.slice(handler.lastIndexOf('/') + 1).replace(/^[^.]*\./, ''),
      commonJsFolder: module.isCommonJs === true ? module.folder : undefined,
      functionName: name,
      functionArn: arnNow(),
      memoryMiB,
      environment: { ...lambdaEnvironment({ name, region, handler }, module), ...environment },
    })
    void noteLoad(module, thread.loadFault)
    return thread
  })

  async function noteLoad({ version }: FunctionModule, loading: Promise<string | undefined>) {
    lastLoad = { version, fault: await loading }
  }

  async function invoke(
    payload: string,
    signal: AbortSignal,
    options: InvokeOptions = {},
  ): Promise<InvokeOutcome> {
    const { wantsLog, clientContext, hasLeft, leaving } = options
    const requestId = randomUUID()
    let module: FunctionModule
    try {
      module = await findModule()
    } catch (thrown) {
      return { kind: 'notInvoked', requestId, reason: String(thrown) }
    }
    const instance = await pool.acquire(
      module,
      leaving === undefined ? signal : AbortSignal.any([signal, leaving]),
    )
    if (!instance || signal.aborted || leaving?.aborted || hasLeft?.()) {
      if (instance) await pool.release(instance, true)
      const hasLeftAlone = !signal.aborted && (instance !== undefined || leaving?.aborted)
      const reason = hasLeftAlone ? 'the caller has left' : 'the engine stops'
      return { kind: 'notInvoked', requestId, reason }
    }
    const giveUp = () => void pool.end(instance)
    signal.addEventListener('abort', giveUp, { once: true })
    const outcome = await instance.thread.call(
      { requestId, payload, wantsLog, clientContext },
      module.timeoutMs,
    )
    signal.removeEventListener('abort', giveUp)
    const isUsable = outcome.kind === 'returned' || (outcome.kind === 'failed' && outcome.isUsable)
    await pool.release(instance, isUsable)
    // No live thread has taken the call, so another instance does.
    if (outcome.kind === 'gone') return invoke(payload, signal, options)
    return { ...outcome, requestId }
  }

  return {
    invoke,
    knownFault: (version) => (lastLoad?.version === version ? lastLoad.fault : undefined),
    async check() {
      const module = await findModule()
      // A module that could not be loaded is tried again: what it imports may have been mended.
      if (lastLoad?.version === module.version && lastLoad.fault === undefined) return undefined
      return loadInto(pool, module, dependencies.clock)
    },
    close: () => pool.close(),
  }
}

/** @returns why the module cannot be loaded; undefined also when all instances stay busy */
async function loadInto(
  pool: ReturnType<typeof createInstancePool<FunctionModule>>,
  module: FunctionModule,
  clock: Clock,
): Promise<string | undefined> {
  const over = new AbortController()
  const cancel = clock.after(checkTimeoutMs, () => over.abort())
  const instance = await pool.acquire(module, over.signal)
  cancel()
  if (!instance) return undefined
  const fault = await instance.thread.loadFault
  // The instance stays for the first invocation, so that the module is not run again.
  await pool.release(instance, fault === undefined)
  return fault
}

/** Lambda's own environment variables, where they apply. Nothing else is inherited. */
function lambdaEnvironment(
  {
    name,
    region,
    handler,
  }: { readonly name: string; readonly region: string; readonly handler: string },
  { folder = '/var/task' }: FunctionModule,
): Readonly<Record<string, string>> {
  return {
    LAMBDA_TASK_ROOT: folder,
    _HANDLER: handler,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMiB),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    TZ: ':UTC',
  }
}
