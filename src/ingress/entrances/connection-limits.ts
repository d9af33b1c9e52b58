import type { Clock } from '../../base/clock.ts'
import { networkOf } from '../../identity/passwords/login-limiter.ts'
import { isLoopback } from '../../base/loopback.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * How many connections there may be, and from where, whichever way they come in: plain, over TLS or
 * over WebSocket. They are counted from the moment they are accepted, long before anybody has said
 * who he is.
 *
 * Invariants:
 * - An address is an IPv4 address or an IPv6 /64, which one customer has to himself.
 * - Loopback counts in the sum of all alone: a proxy on this machine stands for all of its clients, and
 *   whoever runs a process here could do worse.
 * - The table of connections has no more entries than there are connections; that of rates has
 *   `addressesMax`, of which the one that connected longest ago is forgotten.
 */
export interface ConnectionLimits {
  /** Takes a place, or says why there is none. */
  take(sourceIp: string | undefined): ConnectionSlot | ConnectionRefusal
}

/** Of one connection, until it is closed. */
export interface ConnectionSlot {
  /** To be called once at least; more often is of no effect. */
  readonly release: () => void
}

type ConnectionRefusal = 'too_many_connections' | 'too_many_from_address' | 'connect_rate'

export interface ConnectionLimitsOptions {
  readonly connectionsMax: number
  /** Of connections from one address at a time, and of new ones a second; 0 is no limit. */
  readonly connectionsPerAddressMax: number
  readonly connectRate: number
}

/** So many seconds' worth of connections may come at once. */
const burstSeconds = 10
const addressesMax = 50_000

export function createConnectionLimits(
  dependencies: { readonly clock: Clock; readonly isExempt?: (address: string) => boolean },
  { connectionsMax, connectionsPerAddressMax, connectRate }: ConnectionLimitsOptions,
): ConnectionLimits {
  const { clock, isExempt = isLoopback } = dependencies
  const counts = new Map<string, number>()
  const rate =
    connectRate === 0
      ? undefined
      : createTokenBuckets({
          tokens: connectRate * burstSeconds,
          windowMs: burstSeconds * 1_000,
          keysMax: addressesMax,
        })
  let total = 0

  function takeFrom(address: string): ConnectionRefusal | undefined {
    const count = counts.get(address) ?? 0
    if (connectionsPerAddressMax > 0 && count >= connectionsPerAddressMax) {
      return 'too_many_from_address'
    }
    const nowMs = clock.monotonicMs()
    if (rate && rate.waitMs(address, nowMs) > 0) return 'connect_rate'
    rate?.take(address, nowMs)
    counts.set(address, count + 1)
    return undefined
  }

  function releaseFrom(address: string): void {
    const count = counts.get(address) ?? 0
    if (count > 1) counts.set(address, count - 1)
    else counts.delete(address)
  }

  return {
    take(sourceIp) {
      if (total >= connectionsMax) return 'too_many_connections'
      // Without an address the peer has gone already.
      const isCounted = sourceIp !== undefined && !isExempt(sourceIp)
      const address = isCounted ? networkOf(sourceIp) : undefined
      const refusal = address === undefined ? undefined : takeFrom(address)
      if (refusal !== undefined) return refusal
      total++
      let isReleased = false
      return {
        release() {
          if (isReleased) return
          isReleased = true
          total--
          if (address !== undefined) releaseFrom(address)
        },
      }
    },
  }
}
