import type { NatsDependencies } from './connection.ts'
import { problemOfRequest } from './nats-problem.ts'

const retryMsMin = 100
const retryMsMax = 2_000

/**
 * Makes a request again until it is answered, because it is not known how long servers take to
 * start or to elect a leader.
 *
 * @param what the log says while it waits, once a minute
 * @throws SluiceError what waiting does not change; an AbortError when the signal aborts
 */
export async function untilAnswered<Answer>(
  { clock, limitedLog }: Pick<NatsDependencies, 'clock' | 'limitedLog'>,
  request: () => Promise<Answer>,
  what: string,
  signal: AbortSignal,
): Promise<Answer> {
  let waitMs = retryMsMin
  for (;;) {
    signal.throwIfAborted()
    try {
      return await request()
    } catch (thrown) {
      const problem = problemOfRequest(thrown)
      if (problem.kind === 'fault') throw problem.error
      limitedLog.warn(what, { reason: problem.text }, what)
    }
    await clock.sleep(waitMs, signal)
    waitMs = Math.min(waitMs * 2, retryMsMax)
  }
}
