/** The first delay, and the longest. */
const delayMs = Object.freeze({ first: 1_000, max: 60_000 })

/**
 * How long to wait before the next connection: twice as long after each failure in a row, and up to
 * half of it by chance, so that engines do not come back together.
 *
 * @param failures in a row, 1 for the first
 * @param random in [0, 1)
 */
export function reconnectDelayMs(failures: number, random: number): number {
  const whole = Math.min(delayMs.max, delayMs.first * 2 ** Math.min(failures - 1, 10))
  return Math.round(whole / 2 + (whole / 2) * random)
}

/** A connection that lasted so long was no failure: what ended it is new. */
export const steadyAfterMs = 30_000
