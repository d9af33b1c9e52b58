import type { Clock } from '../../base/clock.ts'

/**
 * The keepalive of one client, in place of Aedes' own: that one would cut a client which we hold
 * back ourselves.
 */
export interface KeepAlive {
  /** Begins to watch; 0 seconds is no keepalive. */
  start(keepAliveSeconds: number): void
  /** When bytes last came from the client, by the monotonic clock. The gate sets it. */
  heardAtMs: number
  /** Also for a `start` that is still to come, of a client that goes in the midst of its CONNECT. */
  stop(): void
}

interface KeepAliveEvents {
  /** True while we do not read from the client, so that its silence says nothing. */
  isWaiting(): boolean
  /** The client's PINGREQ may be waiting in TCP: answer it unseen. */
  ping(): void
  /** Nothing came for one and a half times the keepalive, [MQTT-3.1.2-24]. */
  timedOut(): void
}

export function createKeepAlive(clock: Clock, events: KeepAliveEvents): KeepAlive {
  let cancel: (() => void) | undefined
  let isStopped = false

  function look(keepAliveMs: number): void {
    if (events.isWaiting()) {
      // Twice a keepalive, because clients give up when a PINGREQ has no answer for half of one.
      keepAlive.heardAtMs = clock.monotonicMs()
      events.ping()
    }
    if (clock.monotonicMs() < keepAlive.heardAtMs + keepAliveMs * 1.5) watch(keepAliveMs)
    else events.timedOut()
  }

  function watch(keepAliveMs: number): void {
    const leftMs = keepAlive.heardAtMs + keepAliveMs * 1.5 - clock.monotonicMs()
    cancel = clock.after(Math.min(leftMs, keepAliveMs / 2), () => look(keepAliveMs))
  }

  const keepAlive: KeepAlive = {
    heardAtMs: clock.monotonicMs(),
    start(keepAliveSeconds) {
      if (keepAliveSeconds > 0 && !isStopped) watch(keepAliveSeconds * 1000)
    },
    stop() {
      isStopped = true
      cancel?.()
    },
  }
  return keepAlive
}
