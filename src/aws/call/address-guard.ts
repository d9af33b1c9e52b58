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

/** An entry with a port is one for a URL as well; an IPv6 address has more than one colon. */
export function withoutPort(entry: string): string {
  return entry.replace(/^([^:]+):\d+$/, '$1')
}

const isNearby = (address: string) => isLoopback(address) || isPrivateAddress(address)

export interface AddressGuardOptions {
  /** Resolves names; Node's own by default. */
  readonly lookup?: LookupFunction | undefined
  /** The lab calls loopback and the listed hosts nearby, and nothing of the internet. */
  readonly isLab?: boolean | undefined
}

/**
 * @param hosts names, and private or loopback addresses, that may be called, each with or without a
 *   port. Addresses of a link,
 *   where clouds have their metadata, and of groups are never called
 */
export function createAddressGuard(
  hosts: readonly string[],
  { lookup = resolve, isLab = false }: AddressGuardOptions = {},
): AddressGuard {
  const listed = new Set(hosts.map(withoutPort))
  const mayCall = (host: string, address: string) =>
    ((listed.has(host) || listed.has(address)) && isNearby(address)) ||
    (isLab ? isLoopback(address) : isPublicAddress(address))

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
        else callback(refusalOf(host, refused, isLab), '')
      }),
    checkHost(host) {
      const address = host.replace(/^\[|\]$/g, '')
      if (isIP(address) !== 0 && !mayCall(address, address)) throw refusalOf(host, address, isLab)
    },
  }
}

function refusalOf(host: string, address: string, isLab: boolean): NodeJS.ErrnoException {
  const what = host === address ? host : `${host} (${address})`
  const isOfInternet = isPublicAddress(address)
  const reason =
    isLab && isOfInternet
      ? 'the lab calls nothing of the internet'
      : isNearby(address)
        ? 'SLUICE_HTTP_ACTION_HOSTS does not list it, and it is no address of the internet'
        : 'it is no address of the internet'
  return Object.assign(new Error(`${what} is not called: ${reason}`), { code: 'EndpointRefused' })
}
