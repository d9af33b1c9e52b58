import type { Clock } from '../../base/clock.ts'
import { networkOf } from '../../identity/passwords/login-limiter.ts'
import { isLoopback } from '../../base/loopback.ts'
import { createTokenBuckets } from '../../base/token-buckets.ts'

/**
 * Limits the connections of all transports together (TCP, TLS and WebSocket), in all and of each
 * address. Connections are counted from the moment they are accepted, before any authentication.
 *
 * Invariants:
 * - An address is an IPv4 address or an IPv6 /64, which usually belongs to one customer.
 * - Loopback counts only in the sum of all: a proxy on this machine stands for all of its clients,
 *   and a local process could do worse anyway.
 * - The table of connections has no more entries than there are connections. The table of rates has
 *   at most `addressesMax` entries, and drops the address that connected longest ago.
 */
export interface ConnectionLimits {
  /** Takes a slot for a connection, or returns the reason why there is none. */
  take(sourceIp: string | undefined): ConnectionSlot | ConnectionRefusal
}

/** The slot of one connection, until it is closed. */
export interface ConnectionSlot {
  /** Has to be called when the connection closes; further calls have no effect. */
  readonly release: () => void
}

type ConnectionRefusal = 'too_many_connections' | 'too_many_from_address' | 'connect_rate'

export interface ConnectionLimitsOptions {
  readonly connectionsMax: number
  /** Connections of one address, and new ones a second; 0 is no limit. */
  readonly connectionsPerAddressMax: number
  readonly connectRate: number
}

/** The connections of this many seconds may come at once. */
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
      // A socket without an address is closed already.
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
