import { createAddressGuard, withoutPort } from '../call/address-guard.ts'
import type { AddressGuard, AddressGuardOptions } from '../call/address-guard.ts'
import { isLoopback } from '../../base/loopback.ts'
import { messageOf, shorten } from '../../base/errors.ts'

/** Which endpoints the HTTP action may call. A rule, or a device by a template, chooses the URL. */
export interface HttpHosts {
  /**
   * What is wrong with a URL, as the end of a sentence; undefined when it will do. Nothing is
   * resolved for it.
   */
  readonly urlProblem: (url: string) => string | undefined
  /** The same for the endpoint of an InfluxDB. */
  readonly influxdbUrlProblem: (url: string) => string | undefined
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
/** AWS IoT developer guide, "InfluxDB": the ports that an endpoint may have. */
const influxdbPorts: ReadonlySet<string> = new Set([...awsPorts, '8086', '8181'])
const shownCharactersMax = 140

export function createHttpHosts({ hosts, isLab = false, lookup }: HttpHostsOptions): HttpHosts {
  const names = hosts.map(withoutPort)
  const isOfLab = (host: string) => isLab && (isLoopback(host) || names.includes(host))

  const guard = createAddressGuard(hosts, { isLab, lookup })

  /** The lab records what it does not call, so that any address will do there. */
  function addressProblem(host: string): string | undefined {
    if (isLab) return undefined
    try {
      // The one name that needs no look-up.
      if (host === 'localhost' && !names.includes(host)) guard.checkHost('127.0.0.1')
      guard.checkHost(host)
    } catch (thrown) {
      return messageOf(thrown)
    }
    return undefined
  }

  function problemOf(text: string, ports: ReadonlySet<string>): string | undefined {
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
    const isPort = ports.has(url.port) || hosts.includes(`${host}:${url.port}`)
    if (isPort || isOfLab(host)) return addressProblem(host)
    const taken = [...ports].filter(Boolean)
    return `port ${url.port} is not taken, only ${taken.slice(0, -1).join(', ')} and ${taken.at(-1)}`
  }

  return {
    guard,
    urlProblem: (text) => problemOf(text, awsPorts),
    influxdbUrlProblem(text) {
      const problem = problemOf(text, influxdbPorts)
      if (problem !== undefined) return problem
      const { search, hash } = new URL(text)
      return search || hash ? 'a query or a fragment in the URL is not taken' : undefined
    },
    isCalledByLab: (url) => URL.canParse(url) && isOfLab(new URL(url).hostname.toLowerCase()),
  }
}
