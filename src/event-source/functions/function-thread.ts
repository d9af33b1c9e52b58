import type { Readable } from 'node:stream'
import { messageOf } from '../../base/errors.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { startThread } from '../../base/start-thread.ts'
import type {
  FunctionCall,
  FunctionReport,
  FunctionThreadData,
} from './function-thread-messages.ts'

/** One instance of a function: a thread that answers one invocation at a time. */
export interface FunctionThread {
  /**
   * @returns the handler's result, or its failure, which says whether the thread is still usable
   */
  call(call: Omit<FunctionCall, 'timeoutMs'>, timeoutMs: number): Promise<ThreadOutcome>
  /** Resolves when the module is loaded, or with the reason why it cannot be. */
  readonly loadFault: Promise<string | undefined>
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>
  /** Ends the thread, also during an invocation. */
  end(): Promise<void>
}

type ThreadOutcome =
  /** The thread had ended before the call: the function has not seen it. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'returned'; readonly payload: string; readonly log?: string | undefined }
  | {
      readonly kind: 'failed'
      readonly errorType: string
      readonly errorMessage: string
      readonly trace?: readonly string[] | undefined
      readonly log?: string | undefined
      /** Whether the thread can take another invocation: true when the handler only threw. */
      readonly isUsable: boolean
    }

interface FunctionThreadOptions extends FunctionThreadData {
  readonly environment: Readonly<Record<string, string>>
}

/** The time limit for loading a module, as in Lambda. */
const loadTimeoutMs = 10_000
/** A function's output is logged line by line; longer lines are cut. */
const lineCharactersMax = 16_384

export function startFunctionThread(
  { clock, logger }: { readonly clock: Clock; readonly logger: Pick<Logger, 'info' | 'warn'> },
  { environment, ...data }: FunctionThreadOptions,
): FunctionThread {
  const worker = startThread(new URL('./function-thread-main.ts', import.meta.url), {
    workerData: data,
    env: environment,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: data.memoryMiB },
  })
  const fields = { function: data.functionName }
  logLines(worker.stdout, (line) => logger.info(fields, line))
  logLines(worker.stderr, (line) => logger.warn(fields, line))

  let resolveReport: ((outcome: ThreadOutcome | 'ready') => void) | undefined
  let ended: ThreadOutcome | undefined
  const finish = (outcome: ThreadOutcome | 'ready') => {
    resolveReport?.(outcome)
    resolveReport = undefined
  }
  const gone = (errorType: string, errorMessage: string) => {
    ended ??= { kind: 'failed', errorType, errorMessage, isUsable: false }
    finish(ended)
  }
  worker.on('message', (report: FunctionReport) => {
    if (report.kind === 'ready') finish('ready')
    else if (report.kind === 'returned') finish(report)
    else finish({ ...report, isUsable: true })
  })
  worker.on('error', (error) => gone(nameOf(error), messageOf(error)))
  worker.once('exit', (code) =>
    gone('Runtime.ExitError', `Runtime exited with exit status ${code}`),
  )

  /** Waits for the next report of the thread, for `timeoutMs` at most. */
  const next = (timeoutMs: number, timedOut: () => ThreadOutcome) =>
    new Promise<ThreadOutcome | 'ready'>((resolve) => {
      if (ended) return resolve(ended)
      const cancel = clock.after(timeoutMs, () => finish(timedOut()))
      resolveReport = (outcome) => {
        cancel()
        resolve(outcome)
      }
    })

  const loading = next(loadTimeoutMs, () =>
    failedBy('Runtime.InitTimeout', 'the module did not load in 10 seconds'),
  )

  return {
    async call(given, timeoutMs) {
      const loaded = await loading
      if (loaded !== 'ready') {
        return loaded.kind === 'failed' ? { ...loaded, isUsable: false } : loaded
      }
      if (ended) return { kind: 'gone' }
      const answer = next(timeoutMs, () => {
        const seconds = (timeoutMs / 1_000).toFixed(2)
        return failedBy(
          'Sandbox.Timedout',
          `RequestId: ${given.requestId} Error: Task timed out after ${seconds} seconds`,
        )
      })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage({ ...given, timeoutMs })
      const outcome = await answer
      return outcome === 'ready' ? failedBy('Runtime.Unknown', 'the thread began anew') : outcome
    },
    loadFault: loading.then(faultIn),
    ended: new Promise((resolve) => worker.once('exit', () => resolve())),
    async end() {
      await worker.terminate()
    },
  }
}

const faultIn = (loaded: ThreadOutcome | 'ready') =>
  loaded !== 'ready' && loaded.kind === 'failed'
    ? `${loaded.errorType}: ${loaded.errorMessage}`
    : undefined

const failedBy = (errorType: string, errorMessage: string): ThreadOutcome => ({
  kind: 'failed',
  errorType,
  errorMessage,
  isUsable: false,
})

function logLines(stream: Readable, log: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(0, lineCharactersMax)
    for (const line of lines) if (line !== '') log(line.slice(0, lineCharactersMax))
  })
  stream.on('end', () => {
    if (rest !== '') log(rest)
  })
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : 'Error')
