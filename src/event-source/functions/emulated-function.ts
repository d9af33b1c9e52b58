import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { unreachable } from '../../base/unreachable.ts'
import { callEmulator } from './emulator-call.ts'
import type { EmulatorAnswer } from './emulator-call.ts'
import type { InvokeOutcome, LambdaFunction } from './lambda-function.ts'

/** The path on which Lambda's Runtime Interface Emulator accepts invocations. */
const invocationPath = '/2015-03-31/functions/function/invocations'
/** What is no answer of a function is shown in an error up to this length. */
const shownCharactersMax = 200

interface EmulatedFunction {
  /** `http://host:port`, or the whole URL of the invocations. */
  readonly invokeUrl: string
  readonly timeoutMs: number
}

/**
 * A function in a container of AWS's base images, or in another server of the emulator's protocol.
 *
 * @param find reads the current configuration; it rejects with the reason when there is none
 */
export function createEmulatedFunction(
  clock: Clock,
  find: () => Promise<EmulatedFunction>,
): LambdaFunction {
  return {
    async invoke(payload, signal): Promise<InvokeOutcome> {
      const requestId = randomUUID()
      const given = new AbortController()
      const giveUp = () => given.abort()
      let isTimedOut = false
      let cancel: (() => void) | undefined
      let answer: EmulatorAnswer
      try {
        const { invokeUrl, timeoutMs } = await find()
        signal.addEventListener('abort', giveUp)
        if (signal.aborted) giveUp()
        cancel = clock.after(timeoutMs, () => {
          isTimedOut = true
          giveUp()
        })
        const call = { url: urlOf(invokeUrl), body: payload, requestId, signal: given.signal }
        answer = await callEmulator(clock, call)
      } catch (thrown) {
        return { kind: 'notInvoked', requestId, reason: messageOf(thrown) }
      } finally {
        cancel?.()
        signal.removeEventListener('abort', giveUp)
      }
      if (isTimedOut && answer.kind === 'cut') {
        return failed(requestId, 'Sandbox.Timedout', 'Task timed out')
      }
      return outcomeOf(answer, requestId)
    },
  }
}

function outcomeOf(answer: EmulatorAnswer, requestId: string): InvokeOutcome {
  switch (answer.kind) {
    case 'notTaken':
      return { kind: 'notInvoked', requestId, reason: answer.reason }
    case 'cut':
      return failed(requestId, 'Runtime.ExitError', `the container has ended: ${answer.reason}`)
    case 'tooLong':
      return failed(requestId, 'Function.ResponseSizeTooLarge', 'the answer is longer than 6 MB')
    case 'answered':
      return outcomeOfAnswer(answer, requestId)
    default:
      return unreachable(answer)
  }
}

function outcomeOfAnswer(
  { status, hasErrorHeader, text }: Extract<EmulatorAnswer, { kind: 'answered' }>,
  requestId: string,
): InvokeOutcome {
  const value = jsonIn(text)
  const error = errorIn(value)
  const isRedirection = status >= 300 && status < 400
  // The emulator answers 502 with an error when the runtime has exited; a proxy has no error.
  const isOfServer = status >= 500 && !error
  if (status === 429 || isRedirection || isOfServer) {
    return { kind: 'notInvoked', requestId, reason: `the emulator answered ${status}` }
  }
  if (error ?? (hasErrorHeader || status >= 400)) {
    const { errorType = 'Error', errorMessage = `it answered ${status}` } = error ?? {}
    return { kind: 'failed', requestId, errorType, errorMessage }
  }
  if (text === '') return { kind: 'returned', requestId, payload: 'null' }
  if (value !== undefined) return { kind: 'returned', requestId, payload: text }
  // The emulator reports its own time limit in plain text, with status 200.
  const isTimeout = text.startsWith('Task timed out')
  const errorType = isTimeout ? 'Sandbox.Timedout' : 'Runtime.MalformedResponse'
  return failed(requestId, errorType, text.slice(0, shownCharactersMax))
}

const failed = (requestId: string, errorType: string, message: string): InvokeOutcome => ({
  kind: 'failed',
  requestId,
  errorType,
  errorMessage: `RequestId: ${requestId} Error: ${message}`,
})

function urlOf(invokeUrl: string): URL {
  const url = new URL(invokeUrl)
  if (url.pathname === '/') url.pathname = invocationPath
  return url
}

/** @returns undefined for what is no JSON */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The members in the body of the emulator's answer when the function has failed. A result of the
 * function may have members of these names, too: a message that is not a text, such as null, is no
 * failure.
 */
function errorIn(value: unknown): { errorType?: string; errorMessage?: string } | undefined {
  if (typeof value !== 'object' || value === null || !('errorMessage' in value)) return undefined
  const { errorMessage } = value
  if (typeof errorMessage !== 'string') return undefined
  const type = 'errorType' in value ? value.errorType : undefined
  return { errorMessage, ...(typeof type === 'string' && { errorType: type }) }
}
