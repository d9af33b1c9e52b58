import { isIPv6 } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * Slows down guessing: counts failed logins and decides when the next one may be tried. Each
 * failure takes a token from three buckets, which refill with time:
 *
 *   of the user at this address   small, so that one device with a wrong password does not use up
 *                                 the tokens of an address that many devices share
 *   of the address                against guessing the passwords of many users from one address
 *   of the user                   against guessing the password of one user from many addresses
 *
 * Invariants:
 * - Memory is bounded: beyond `keysMax` the key that failed longest ago is dropped.
 * - An IPv6 address stands for its /64, which usually belongs to one customer.
 */
export interface LoginLimiter {
  /** @returns milliseconds until this user may try from this address; 0: now. Counts nothing. */
  waitMs(attempt: LoginAttempt): number
  /**
   * The same for the user at any address. Attackers can use up this limit for a user whose secret
   * they do not have, so a user who is authenticated in another way may be admitted nevertheless.
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
  /** Entries of each of the three tables. */
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
  // Logins under way at the same time may fail together, but they do not add up over a window.
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

/** @returns an IPv4 address (also of IPv4-mapped IPv6) as it is; the first 64 bits of IPv6 */
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
