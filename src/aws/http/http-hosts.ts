import { createAddressGuard, withoutPort } from '../call/address-guard.ts'
import type { AddressGuard, AddressGuardOptions } from '../call/address-guard.ts'
import { isLoopback } from '../../base/loopback.ts'
import { shorten } from '../../base/errors.ts'

/** Which endpoints the HTTP action may call. A rule, or a device by a template, chooses the URL. */
export interface HttpHosts {
  /**
   * What is wrong with a URL, as the end of a sentence; undefined when it will do. Nothing is
   * resolved for it.
   */
  readonly urlProblem: (url: string) => string | undefined
  /** Which addresses may be called. */
  readonly guard: AddressGuard
  /** Whether the lab calls this URL, instead of recording the call. */
  readonly isCalledByLab: (url: string) => boolean
}

interface HttpHostsOptions extends AddressGuardOptions {
  /** Hosts that may be private or on loopback: `name`, `name:port` or an address, in lower case. */
  readonly hosts: readonly string[]
}

/** AWS IoT developer guide, "HTTP": the ports that a URL may have. */
const awsPorts: ReadonlySet<string> = new Set(['', '443', '8443'])
const shownCharactersMax = 140

export function createHttpHosts({ hosts, isLab = false, lookup }: HttpHostsOptions): HttpHosts {
  const names = hosts.map(withoutPort)
  const isOfLab = (host: string) => isLab && (isLoopback(host) || names.includes(host))

  return {
    guard: createAddressGuard(hosts, { isLab, lookup }),
    urlProblem(text) {
      const url = URL.canParse(text) ? new URL(text) : undefined
      const host = url?.hostname.toLowerCase() ?? ''
      const isPlain = url?.protocol === 'http:' && isOfLab(host)
      if (url === undefined || (url.protocol !== 'https:' && !isPlain)) {
        return `"${shorten(text, shownCharactersMax)}" is not a URL that begins with https://`
      }
      if (host.startsWith('[')) return 'the host is an IPv6 address, which is not taken'
      if (url.username !== '' || url.password !== '') {
        return 'a user or a password in the URL is not taken: use a header'
      }
      if (awsPorts.has(url.port) || isOfLab(host)) return undefined
      if (hosts.includes(`${host}:${url.port}`)) return undefined
      return `port ${url.port} is not taken, only 443 and 8443`
    },
    isCalledByLab: (url) => URL.canParse(url) && isOfLab(new URL(url).hostname.toLowerCase()),
  }
}
