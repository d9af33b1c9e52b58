import type { Readable } from 'node:stream'
import { messageOf } from '../../base/errors.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { startThread } from '../../base/start-thread.ts'
import type { FunctionReport, FunctionThreadData } from './function-thread-messages.ts'

/** One instance of a function: a thread that answers one invocation at a time. */
export interface FunctionThread {
  /** @returns what the handler returned, or why it did not; after the second it is of no more use */
  call(call: { requestId: string; payload: string }, timeoutMs: number): Promise<ThreadOutcome>
  /** Ends it, whatever it does. */
  end(): Promise<void>
}

type ThreadOutcome =
  | { readonly kind: 'returned'; readonly payload: string }
  | {
      readonly kind: 'failed'
      readonly errorType: string
      readonly errorMessage: string
      /** The thread goes on: the handler threw, and nothing worse. */
      readonly isUsable: boolean
    }

interface FunctionThreadOptions extends FunctionThreadData {
  readonly environment: Readonly<Record<string, string>>
}

/** A module that has not loaded by then has failed, as in Lambda. */
const loadTimeoutMs = 10_000
/** Lines are cut there; what a function prints goes to the log line by line. */
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

  let settle: ((outcome: ThreadOutcome | 'ready') => void) | undefined
  let ended: ThreadOutcome | undefined
  const finish = (outcome: ThreadOutcome | 'ready') => {
    settle?.(outcome)
    settle = undefined
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

  /** Waits for the next report, which says how what was begun has ended. */
  const next = (timeoutMs: number, timedOut: () => ThreadOutcome) =>
    new Promise<ThreadOutcome | 'ready'>((resolve) => {
      if (ended) return resolve(ended)
      const cancel = clock.after(timeoutMs, () => finish(timedOut()))
      settle = (outcome) => {
        cancel()
        resolve(outcome)
      }
    })

  const loading = next(loadTimeoutMs, () =>
    failedBy('Runtime.InitTimeout', 'the module did not load in 10 seconds'),
  )

  return {
    async call({ requestId, payload }, timeoutMs) {
      const loaded = await loading
      if (loaded !== 'ready') return { ...loaded, isUsable: false }
      const answer = next(timeoutMs, () => {
        const seconds = (timeoutMs / 1_000).toFixed(2)
        return failedBy(
          'Sandbox.Timedout',
          `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`,
        )
      })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage({ requestId, payload, timeoutMs })
      const outcome = await answer
      return outcome === 'ready' ? failedBy('Runtime.Unknown', 'the thread began anew') : outcome
    },
    async end() {
      await worker.terminate()
    },
  }
}

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
