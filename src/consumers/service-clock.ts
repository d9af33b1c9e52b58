import type { Clock } from '../base/clock.ts'

/**
 * The time of day of a service, which decides when its records arrived. The machine of a consumer
 * may show another time.
 *
 * Invariant: the reading is not ahead of the service: the Date header of an answer is its time when
 * it answered, cut to the second, and the monotonic clock counts on from the receipt. Before the
 * first answer, and with services that send no Date, it is the time of this machine.
 */
export interface ServiceClock {
  /** @param date the Date header of an answer that has just come (RFC 9110, 6.6.1) */
  note(date: string | undefined): void
  /** Epoch milliseconds; less than a second behind the service, and the time of a call's travel. */
  nowMs(): number
}

/** The best reading is used for so long, so that a service that sets its clock back is followed. */
const keptMs = 60_000

export function createServiceClock(clock: Clock): ServiceClock {
  /** How far the service is ahead of the monotonic clock, at least. */
  let best: { readonly aheadMs: number; readonly notedMs: number } | undefined
  return {
    note(date) {
      const dateMs = date === undefined ? Number.NaN : Date.parse(date)
      if (Number.isNaN(dateMs)) return
      const notedMs = clock.monotonicMs()
      const aheadMs = dateMs - notedMs
      const isBetter = !best || aheadMs > best.aheadMs || notedMs - best.notedMs > keptMs
      if (isBetter) best = { aheadMs, notedMs }
    },
    nowMs: () => (best ? best.aheadMs + clock.monotonicMs() : clock.wallMs()),
  }
}
