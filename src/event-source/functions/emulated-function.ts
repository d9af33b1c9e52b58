import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { InvokeOutcome, LambdaFunction } from './lambda-function.ts'

/** The path on which Lambda's Runtime Interface Emulator accepts invocations. */
const invocationPath = '/2015-03-31/functions/function/invocations'
/** The limit of a synchronous response (Lambda quotas: 6 MB). */
const answerBytesMax = 6 * 1024 * 1024 + 100

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
      let response: { readonly status: number; readonly header: boolean; readonly text: string }
      try {
        const { invokeUrl, timeoutMs } = await find()
        signal.addEventListener('abort', giveUp)
        cancel = clock.after(timeoutMs, () => {
          isTimedOut = true
          giveUp()
        })
        response = await post(urlOf(invokeUrl), payload, { signal: given.signal, requestId })
      } catch (thrown) {
        if (isTimedOut) {
          const errorMessage = `RequestId: ${requestId} Error: Task timed out`
          return { kind: 'failed', requestId, errorType: 'Sandbox.Timedout', errorMessage }
        }
        return { kind: 'notInvoked', requestId, reason: reasonOf(thrown) }
      } finally {
        cancel?.()
        signal.removeEventListener('abort', giveUp)
      }
      const { status, header, text } = response
      if (status === 429 || status >= 500) {
        return { kind: 'notInvoked', requestId, reason: `the emulator answered ${status}` }
      }
      const error = errorIn(text)
      if (error ?? (header || status >= 400)) {
        const { errorType = 'Error', errorMessage = `it answered ${status}` } = error ?? {}
        return { kind: 'failed', requestId, errorType, errorMessage }
      }
      return { kind: 'returned', requestId, payload: text === '' ? 'null' : text }
    },
  }
}

function urlOf(invokeUrl: string): URL {
  const url = new URL(invokeUrl)
  if (url.pathname === '/') url.pathname = invocationPath
  return url
}

async function post(
  url: URL,
  body: string,
  { signal, requestId }: { readonly signal: AbortSignal; readonly requestId: string },
) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'lambda-runtime-aws-request-id': requestId },
    body,
    signal,
    redirect: 'error',
  })
  return {
    status: response.status,
    header: response.headers.has('x-amz-function-error'),
    text: await boundedText(response),
  }
}

/** @throws Error when the response is longer than a function's may be (rejects) */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > answerBytesMax) throw new Error('the answer is longer than 6 MB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * The emulator answers 200 when the function failed, with these two members in the body. A result
 * of the function may have members of these names, too: a message that is not a text, such as
 * null, is no failure.
 */
function errorIn(text: string): { errorType?: string; errorMessage?: string } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('errorMessage' in value)) return undefined
    const { errorMessage } = value
    if (typeof errorMessage !== 'string') return undefined
    const type = 'errorType' in value ? value.errorType : undefined
    return { errorMessage, ...(typeof type === 'string' && { errorType: type }) }
  } catch {
    return undefined
  }
}

/** `fetch` only says `fetch failed`; its cause has the reason. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  return cause === undefined ? messageOf(thrown) : `${messageOf(thrown)}: ${messageOf(cause)}`
}
