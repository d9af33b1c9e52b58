import { lookup as resolve } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { isLoopback } from '../../base/loopback.ts'
import { isPrivateAddress, isPublicAddress } from '../../base/private-address.ts'

/**
 * Decides which servers are called where rules name the URL: those of the internet, and those
 * nearby that the operator lists. Otherwise the author of a rule could reach what only this machine
 * and its network can reach, such as the metadata of a cloud's hosts.
 */
export interface AddressGuard {
  /**
   * Resolves the names of hosts. The connection is made to the very address that was checked, so
   * that a later answer of DNS changes nothing.
   */
  readonly lookup: LookupFunction
  /**
   * Throws for an address in the place of a name, which is never looked up.
   *
   * @param host the host of a URL, an IPv6 address with its brackets
   * @throws Error with the code `EndpointRefused`
   */
  checkHost(host: string): void
}

const isNearby = (address: string) => isLoopback(address) || isPrivateAddress(address)

/** @param hosts names, and private or loopback addresses, that may be called */
export function createAddressGuard(
  hosts: readonly string[],
  lookup: LookupFunction = resolve,
): AddressGuard {
  const listed = new Set(hosts)
  const mayCall = (host: string, address: string) =>
    isPublicAddress(address) || ((listed.has(host) || listed.has(address)) && isNearby(address))

  return {
    lookup: (host, options, callback) =>
      lookup(host, options, (error, found, family) => {
        if (error) {
          callback(error, '')
          return
        }
        const all = typeof found === 'string' ? [found] : found.map(({ address }) => address)
        const refused = all.find((address) => !mayCall(host.toLowerCase(), address))
        if (refused === undefined) callback(null, found, family)
        else callback(refusalOf(host, refused), '')
      }),
    checkHost(host) {
      const address = host.replace(/^\[|\]$/g, '')
      if (isIP(address) !== 0 && !mayCall(address, address)) throw refusalOf(host, address)
    },
  }
}

function refusalOf(host: string, address: string): NodeJS.ErrnoException {
  const what = host === address ? host : `${host} (${address})`
  const why =
    isPrivateAddress(address) || isLoopback(address)
      ? 'SLUICE_HTTP_ACTION_HOSTS does not list it, and it is no address of the internet'
      : 'it is no address of the internet'
  return Object.assign(new Error(`${what} is not called: ${why}`), { code: 'EndpointRefused' })
}
