import type { Clock } from '../base/clock.ts'
import { unlessAborted } from '../base/unless-aborted.ts'

export interface CallLimits {
  readonly timeoutMs: number
  /** Aborts the call early. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes a call of a service with a time limit that includes connecting, credentials and the body of
 * the response. The limits of the SDK's HTTP handlers leave some of these phases out.
 *
 * @param call must pass its signal on, so that the connection is closed at the limit
 * @throws Error named TimeoutError after the limit, AbortError when `signal` aborts; errors of the
 *   call (rejects)
 */
export async function limitedCall<Answer>(
  clock: Clock,
  { timeoutMs, signal }: CallLimits,
  call: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const timeout = new AbortController()
  const either = signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal
  const cancel = clock.after(timeoutMs, () => timeout.abort())
  try {
    return await unlessAborted(call(either), either)
  } catch (thrown) {
    if (!timeout.signal.aborted || signal?.aborted) throw thrown
    const error = new Error(`there was no answer within ${timeoutMs} ms`, { cause: thrown })
    error.name = 'TimeoutError'
    throw error
  } finally {
    cancel()
  }
}
