import type { Clock } from '../../base/clock.ts'

/**
 * The keepalive of one client. It replaces that of Aedes, which would disconnect a client that the
 * gate itself holds back.
 */
export interface KeepAlive {
  /** Begins to watch; 0 seconds means no keepalive. */
  start(keepAliveSeconds: number): void
  /** When bytes last came from the client, by the monotonic clock. The gate sets it. */
  heardAtMs: number
  /** Stops watching. A later `start` has no effect: the client may go during its CONNECT. */
  stop(): void
}

interface KeepAliveEvents {
  /** True while the gate does not read from the client, so that its silence means nothing. */
  isWaiting(): boolean
  /** The client's PINGREQ may wait in TCP, unread: it has to be answered now. */
  ping(): void
  /** Nothing came for one and a half times the keepalive, [MQTT-3.1.2-24]. */
  timedOut(): void
}

export function createKeepAlive(clock: Clock, events: KeepAliveEvents): KeepAlive {
  let cancel: (() => void) | undefined
  let isStopped = false

  function look(keepAliveMs: number): void {
    if (events.isWaiting()) {
      // Twice in each keepalive, because clients give up when a PINGREQ has no answer for half of
      // it.
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
