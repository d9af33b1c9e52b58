import type { Duplex } from 'node:stream'
import { lateMs } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'

/**
 * Calls back when a client has not taken what is written to it for `timeoutMs`, while somebody waits
 * for that: whoever writes to the stream listens for 'drain' once it is full.
 *
 * The time begins anew when the process stood still, for then nothing was written to the socket.
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
