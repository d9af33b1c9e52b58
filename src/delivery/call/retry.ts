/**
 * The one retry policy, as pure functions: how long to wait and when to give up follow from the
 * class of the failure and a few numbers.
 *
 * | class       | examples                               | delay                     | given up   |
 * | ----------- | -------------------------------------- | ------------------------- | ---------- |
 * | passing     | throttles, 5xx, network, expired token | 0 to full, 100 ms to 5 s  | never      |
 * | destination | missing stream, access denied          | half to full, 1 s to 60 s | `maxAgeMs` |
 * | record      | too large, invalid                     | none                      | at once    |
 */
import type { FailureClass } from '../../aws/call/failure-class.ts'

const passingDelayMinMs = 100
const passingDelayMaxMs = 5_000
const standingDelayMinMs = 1_000
const standingDelayMaxMs = 60_000

/**
 * How long to wait after a failure, in milliseconds.
 *
 * @param attempts failures in a row, including this one: 1 or more
 * @param random a number in [0, 1)
 */
export function retryDelayMs(
  failureClass: Exclude<FailureClass, 'record'>,
  attempts: number,
  random: number,
): number {
  if (failureClass === 'passing') {
    // With full jitter, calls that failed together do not come back together.
    return random * grown(passingDelayMinMs, passingDelayMaxMs, attempts)
  }
  // Never near zero: the condition does not pass by itself, and AWS may log every call.
  return (0.5 + random / 2) * grown(standingDelayMinMs, standingDelayMaxMs, attempts)
}

/** A short condition, such as a policy that is being replaced, must not give records up. */
const standingMinMs = 60_000

/**
 * Whether to give a record up while its destination refuses everything.
 *
 * @param ageMs time since the record was accepted
 * @param standingMs time since the first refusal that this process has seen
 */
export function isTooOld(ageMs: number, standingMs: number, maxAgeMs: number): boolean {
  return ageMs >= maxAgeMs && standingMs >= Math.min(standingMinMs, maxAgeMs)
}

function grown(minMs: number, maxMs: number, attempts: number): number {
  return Math.min(maxMs, minMs * 2 ** (attempts - 1))
}
