import type { Clock } from '../../base/clock.ts'
import type { Mqtt5Will } from '../mqtt5/connect.ts'

/**
 * The wills of clients of MQTT 5 whose connection is gone, MQTT 5 section 3.1.3.2. A will is
 * published when its delay is over or its session ends, whichever comes first; it is not when the
 * client has resumed its session before. Only a session that is kept can hold back a will, so the
 * bound of absent sessions is one of these, too.
 */
export interface DelayedWills {
  /**
   * The connection is gone without deleting its will.
   *
   * @param sessionExpirySeconds 0: the session has ended
   * @param publish publishes the will; called at most once
   */
  gone(
    clientId: string,
    will: Pick<Mqtt5Will, 'delaySeconds'>,
    sessionExpirySeconds: number,
    publish: () => void,
  ): void
  /** The client is connected again. */
  readonly resumed: (clientId: string) => void
  /** The session has ended. */
  readonly sessionEnded: (clientId: string) => void
  /** Publishes all of them, because wills end with the process; later ones at once. */
  close(): void
}

interface Waiting {
  readonly cancel: () => void
  readonly publish: () => void
}

export function createDelayedWills(clock: Clock): DelayedWills {
  const waiting = new Map<string, Waiting>()
  let isClosed = false

  function take(clientId: string): Waiting | undefined {
    const found = waiting.get(clientId)
    waiting.delete(clientId)
    found?.cancel()
    return found
  }

  const publishNow = (clientId: string): void => take(clientId)?.publish()

  return {
    gone(clientId, { delaySeconds }, sessionExpirySeconds, publish) {
      publishNow(clientId)
      const seconds = Math.min(delaySeconds, sessionExpirySeconds)
      if (seconds === 0 || isClosed) {
        publish()
        return
      }
      const cancel = clock.after(seconds * 1_000, () => publishNow(clientId))
      waiting.set(clientId, { cancel, publish })
    },
    resumed: (clientId) => void take(clientId),
    sessionEnded: publishNow,
    close() {
      isClosed = true
      for (const clientId of waiting.keys()) publishNow(clientId)
    },
  }
}
