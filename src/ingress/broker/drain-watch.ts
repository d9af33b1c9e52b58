import type { Duplex } from 'node:stream'
import { lateMs } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'

/**
 * Calls back when a client has not read for `timeoutMs` while a writer waits for it. A writer
 * listens for 'drain' once the stream is full, which starts the time.
 *
 * The time starts again after a pause of the process, during which nothing was written to the
 * socket.
 */
export function watchDrain(
  stream: Duplex,
  clock: Clock,
  timeoutMs: number,
  timedOut: () => void,
): void {
  let cancel: (() => void) | undefined
  const watch = () => {
    const endsAtMs = clock.monotonicMs() + timeoutMs
    cancel = clock.after(timeoutMs, () => {
      if (clock.monotonicMs() - endsAtMs < lateMs) timedOut()
      else watch()
    })
  }
  const over = () => {
    cancel?.()
    cancel = undefined
  }
  stream.on('drain', over).once('close', over)
  stream.on('newListener', (name) => {
    if (name === 'drain' && cancel === undefined) watch()
  })
}
