import { randomUUID } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createPrintedTail } from './printed-tail.ts'
import type {
  FunctionCall,
  FunctionReport,
  FunctionThreadData,
} from './function-thread-messages.ts'

/**
 * The entry of a function's thread: loads the module, then answers one invocation after the other.
 * The parent notices when the thread ends by an exit or an uncaught exception.
 */
const port = parentPort
if (!port) throw new Error('This module is the entry of a thread')
const data = workerData as FunctionThreadData
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
const report = (message: FunctionReport) => port.postMessage(message)

/** Of a synchronous answer (Lambda quotas: 6 MB). */
const answerBytesMax = 6 * 1024 * 1024 + 100
const answerTooLarge = {
  errorType: 'Function.ResponseSizeTooLarge',
  errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
}

type Callback = (error: unknown, result?: unknown) => void
type Handler = (event: unknown, context: unknown, callback: Callback) => unknown

const startDate = new Date(systemClock.wallMs()).toISOString().slice(0, 10).replaceAll('-', '/')
const logStreamName = `${startDate}/[$LATEST]${randomUUID().replaceAll('-', '')}`

const printed = createPrintedTail([process.stdout, process.stderr])
const handler = await loadHandler()
if (handler) {
  port.on('message', (call: FunctionCall) => void answer(handler, call))
  report({ kind: 'ready' })
}

async function loadHandler(): Promise<Handler | undefined> {
  try {
    const loaded = await loadModule(data)
    const found = memberOf(loaded, data.exported) ?? memberOf(loaded['default'], data.exported)
    if (typeof found === 'function') return found as Handler
    report({
      kind: 'failed',
      errorType: 'Runtime.HandlerNotFound',
      errorMessage: `${data.functionName} exports no function named ${data.exported}`,
    })
  } catch (thrown) {
    reportThrown(thrown)
  }
  return undefined
}

async function loadModule({
  moduleUrl,
  commonJsFolder,
}: FunctionThreadData): Promise<Readonly<Record<string, unknown>>> {
  try {
    if (commonJsFolder !== undefined) return loadCommonJs(moduleUrl, commonJsFolder)
  } catch (thrown) {
    // Code with the syntax of modules is one, as Node finds out by itself.
    if (!(thrown instanceof SyntaxError)) throw thrown
  }
  return (await import(moduleUrl)) as Readonly<Record<string, unknown>>
}

function loadCommonJs(moduleUrl: string, folder: string): Readonly<Record<string, unknown>> {
  const require = createRequire(moduleUrl)
  // oxlint-disable-next-line typescript/no-deprecated -- nothing else overrides a package.json
  const { extensions } = require
  const load = extensions['.js']
  // Node names files by what links lead to.
  const root = realpathSync(folder) + path.sep
  extensions['.js'] = (module, file) => {
    const isOwn = file.startsWith(root) && !file.slice(root.length).includes('node_modules')
    // oxlint-disable-next-line no-underscore-dangle -- Node's own name
    if (isOwn) (module as CompiledModule)._compile(readFileSync(file, 'utf8'), file, 'commonjs')
    else load?.(module, file)
  }
  return require(fileURLToPath(moduleUrl)) as Readonly<Record<string, unknown>>
}

type CompiledModule = NodeJS.Module & {
  readonly _compile: (text: string, file: string, format: string) => void
}

/** Names of CommonJS that Node does not find by itself are members of `default`. */
function memberOf(from: unknown, names: string): unknown {
  return names
    .split('.')
    .reduce((value, name) => (value as Record<string, unknown> | undefined)?.[name], from)
}

async function answer(handle: Handler, call: FunctionCall): Promise<void> {
  if (call.wantsLog) printed.begin()
  try {
    const result = await resultOf(handle, JSON.parse(call.payload), contextOf(call))
    const payload = JSON.stringify(result ?? null) ?? 'null'
    if (Buffer.byteLength(payload) <= answerBytesMax)
      report({ kind: 'returned', payload, log: printed.end() })
    else report({ kind: 'failed', ...answerTooLarge, log: printed.end() })
  } catch (thrown) {
    reportThrown(thrown)
  }
}

/** A handler returns a promise or, when it has a third parameter, may call that callback. */
function resultOf(handle: Handler, event: unknown, context: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback: Callback = (error, result) => {
      if (error === null || error === undefined) resolve(result)
      else reject(asError(error))
    }
    const returned = handle(event, context, callback)
    if (handle.length < 3 || returned instanceof Promise) resolve(returned)
  })
}

const asError = (error: unknown) =>
  error instanceof Error ? error : new Error(typeof error === 'string' ? error : 'unknown')

/** Lambda Developer Guide, "Using the Lambda context object" of Node.js functions. */
function contextOf({ requestId, timeoutMs, clientContext }: FunctionCall) {
  // By this thread's clock: the monotonic time of each thread has its own beginning.
  const deadlineMs = systemClock.monotonicMs() + timeoutMs
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: data.functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: data.functionArn,
    memoryLimitInMB: String(data.memoryMiB),
    awsRequestId: requestId,
    logGroupName: `/aws/lambda/${data.functionName}`,
    logStreamName,
    ...(clientContext !== undefined && { clientContext: JSON.parse(clientContext) as unknown }),
    getRemainingTimeInMillis: () => Math.max(0, Math.round(deadlineMs - systemClock.monotonicMs())),
  }
}

function reportThrown(thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : undefined
  report({
    kind: 'failed',
    errorType: error?.name ?? typeof thrown,
    errorMessage: error?.message ?? String(thrown),
    trace: error?.stack?.split('\n') ?? [],
    log: printed.end(),
  })
}
