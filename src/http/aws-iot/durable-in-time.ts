import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { MessageSender } from '../../message.ts'

/** How long a call waits for its records to be durable. */
const timeoutMs = 5_000

/**
 * A message that still waits for room in the outbox is dropped with the refusal: its caller sends
 * it again, and what waits for nobody would keep others out. Records that are on their way to disk
 * may become durable after the refusal: delivery is at-least-once.
 *
 * @throws SluiceError ServiceUnavailableException; or what `send` rejects with
 */
export async function durableInTime(
  send: (from: MessageSender) => Promise<void>,
  clock: Clock,
): Promise<void> {
  const over = new AbortController()
  const gone = new AbortController()
  const { signal } = gone
  const from: MessageSender = {
    signal,
    get closed() {
      return signal.aborted
    },
  }
  const late = unavailable(`the message is not durable after ${timeoutMs} ms`)
  const timeUp = clock.sleep(timeoutMs, over.signal).then(() => {
    gone.abort()
    throw late
  })
  try {
    await Promise.race([send(from), timeUp])
  } catch (thrown) {
    if (signal.aborted) throw late
    const isUnwritten =
      thrown instanceof SluiceError &&
      (thrown.code === 'OutboxWriteFailed' || thrown.code === 'OutboxFull')
    throw isUnwritten ? unavailable('the message cannot be made durable now', thrown) : thrown
  } finally {
    over.abort()
  }
}

function unavailable(message: string, cause?: unknown): SluiceError {
  return new SluiceError('ServiceUnavailableException', message, { cause })
}
