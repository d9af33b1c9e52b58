import { BlockList, isIP } from 'node:net'

/**
 * The proxies that are believed when they say which client a connection is from. Without them a
 * client behind a proxy cannot be told from the others, and with any other sender it could choose
 * the address that its failures are counted for.
 */
export interface TrustedProxies {
  /** @param address an IP address; undefined is the address of no proxy */
  includes(address: string | undefined): boolean
  /**
   * The client of an HTTP request: the last address of `X-Forwarded-For` that is not a proxy's own.
   *
   * @param address the other end of the connection
   * @param forwardedFor the header, where there is one
   */
  clientOf(
    address: string | undefined,
    forwardedFor: string | readonly string[] | undefined,
  ): string | undefined
}

/** Why a text is no list of trusted proxies; undefined: it is one. */
export function trustedProxiesFault(entries: readonly string[]): string | undefined {
  const fault = entries.find((entry) => rangeOf(entry) === undefined)
  return fault === undefined ? undefined : `${JSON.stringify(fault)} is no IP address or CIDR block`
}

/** @param entries IP addresses and CIDR blocks, as `trustedProxiesFault` takes them */
export function createTrustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const range of entries.map(rangeOf)) {
    if (range) list.addSubnet(range.address, range.prefix, range.family)
  }
  const includes = (given: string | undefined) => {
    if (entries.length === 0 || given === undefined) return false
    const address = withoutMapping(given)
    const version = isIP(address)
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
  return {
    includes,
    clientOf(address, forwardedFor) {
      if (forwardedFor === undefined || !includes(address)) return address
      let client = address
      const named = (typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join()).split(
        ',',
      )
      for (const hop of named.toReversed().map((text) => withoutMapping(text.trim()))) {
        // What is no address was written by nobody who is trusted.
        if (isIP(hop) === 0) return client
        client = hop
        if (!includes(hop)) return client
      }
      return client
    },
  }
}

/** An IPv4 address within IPv6 (`::ffff:192.0.2.1`) is that IPv4 address. */
const withoutMapping = (address: string) =>
  /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address

function rangeOf(entry: string) {
  const [address = '', prefix, ...more] = entry.split('/')
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  if (version === 0 || more.length > 0) return undefined
  if (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
    return undefined
  const family: 'ipv4' | 'ipv6' = version === 4 ? 'ipv4' : 'ipv6'
  return { address, prefix: prefix === undefined ? bits : Number(prefix), family }
}
