import { isIPv6 } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * Slows down guessing: counts failed logins and says when the next may be tried. Each failure takes a
 * token from three buckets, and tokens come back with time:
 *
 *   of the user at this address   small: one device with a wrong password spends no more than this of
 *                                 the tokens of an address that many devices may share
 *   of the address                against guessing many users from one place
 *   of the user                   against guessing one user from many places
 *
 * Invariants:
 * - Memory is bounded: of too many keys the one that failed longest ago is forgotten.
 * - An IPv6 address stands for its /64, which one customer has to himself.
 */
export interface LoginLimiter {
  /** Milliseconds until this user may try from this address; 0: now. Counts nothing. */
  waitMs(attempt: LoginAttempt): number
  /**
   * The same for the user from anywhere. An attacker can use this one up for a user whose secret he
   * does not have: who is known otherwise may be let in all the same.
   */
  userWaitMs(user: string): number
  /** The same for the user at this address alone, whatever other users at the address failed. */
  pairWaitMs(attempt: LoginAttempt): number
  failed(attempt: LoginAttempt): void
  /** Takes a failure back that was counted before the outcome was known. */
  giveBack(attempt: LoginAttempt): void
}

export interface LoginAttempt {
  /** IP address. */
  readonly address: string
  /** User name or access key id. */
  readonly user: string
}

interface LoginLimiterOptions {
  /** Failures of a user at an address, of an address and of a user within `windowMs`. */
  readonly pairFailuresMax: number
  readonly addressFailuresMax: number
  readonly userFailuresMax: number
  readonly windowMs: number
  /** Of each kind, so many are remembered. */
  readonly keysMax: number
}

const loginLimits: LoginLimiterOptions = Object.freeze({
  pairFailuresMax: 10,
  addressFailuresMax: 100,
  userFailuresMax: 100,
  windowMs: 60_000,
  keysMax: 10_000,
})

export function createLoginLimiter(
  { clock }: { readonly clock: Clock },
  options: LoginLimiterOptions = loginLimits,
): LoginLimiter {
  const { windowMs, keysMax } = options
  // Logins that were under way together may fail together: they do not add up over a window.
  const bucketsOf = (tokens: number) => createTokenBuckets({ tokens, windowMs, keysMax })
  const pairs = bucketsOf(options.pairFailuresMax)
  const addresses = bucketsOf(options.addressFailuresMax)
  const users = bucketsOf(options.userFailuresMax)
  const change = (attempt: LoginAttempt, how: 'take' | 'giveBack') => {
    const nowMs = clock.monotonicMs()
    pairs[how](pairOf(attempt), nowMs)
    addresses[how](networkOf(attempt.address), nowMs)
    users[how](attempt.user, nowMs)
  }
  const pairWaitMs = (attempt: LoginAttempt) => pairs.waitMs(pairOf(attempt), clock.monotonicMs())
  return {
    waitMs: (attempt) =>
      Math.max(
        addresses.waitMs(networkOf(attempt.address), clock.monotonicMs()),
        pairWaitMs(attempt),
      ),
    userWaitMs: (user) => users.waitMs(user, clock.monotonicMs()),
    pairWaitMs,
    failed: (attempt) => change(attempt, 'take'),
    giveBack: (attempt) => change(attempt, 'giveBack'),
  }
}

const pairOf = ({ address, user }: LoginAttempt) => `${networkOf(address)} ${user}`

/** The address, or of IPv6 its first 64 bits; an IPv4 address within IPv6 is that address. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  const ending = tail === undefined || tail === '' ? [] : tail.split(':')
  const endingGroups = ending.length + (ending.at(-1)?.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? 0 : 8 - groups.length - endingGroups
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...ending]
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
