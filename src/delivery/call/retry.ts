/**
 * The one retry policy. Pure: how long to wait and when to give up follow from the class of the
 * failure and a few numbers alone.
 *
 * | class       | examples                                    | delay                       | given up            |
 * | ----------- | ------------------------------------------- | --------------------------- | ------------------- |
 * | passing     | throttles, 5xx, network, expired token      | full jitter, 100 ms to 5 s  | never               |
 * | destination | missing stream, access denied, role refused | half to full, 1 s to 60 s   | after `maxAgeMs`    |
 * | record      | too large, refused for what it is           | none                        | at once             |
 */
import type { FailureClass } from '../../aws/failure-class.ts'

const passingDelayMinMs = 100
const passingDelayMaxMs = 5_000
const standingDelayMinMs = 1_000
const standingDelayMaxMs = 60_000

/**
 * How long to wait after a failure.
 *
 * @param attempts failures in a row, this one counted: 1 or more
 * @param random a number in [0, 1)
 */
export function retryDelayMs(
  failureClass: Exclude<FailureClass, 'record'>,
  attempts: number,
  random: number,
): number {
  if (failureClass === 'passing') {
    // Full jitter: callers that failed together do not come back together.
    return random * grown(passingDelayMinMs, passingDelayMaxMs, attempts)
  }
  // Never near zero: it does not pass by itself, and each call may cost a line in a log of AWS.
  return (0.5 + random / 2) * grown(standingDelayMinMs, standingDelayMaxMs, attempts)
}

/** A condition of a moment, such as a policy that is being replaced, makes nothing given up. */
const standingMinMs = 60_000

/**
 * Whether a record is given up while its destination refuses all.
 *
 * @param ageMs since it was accepted
 * @param standingMs since the destination began to refuse, as far as this process knows
 */
export function isTooOld(ageMs: number, standingMs: number, maxAgeMs: number): boolean {
  return ageMs >= maxAgeMs && standingMs >= Math.min(standingMinMs, maxAgeMs)
}

function grown(minMs: number, maxMs: number, attempts: number): number {
  return Math.min(maxMs, minMs * 2 ** (attempts - 1))
}
