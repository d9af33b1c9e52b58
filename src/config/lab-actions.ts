import { isIP } from 'node:net'
import { SluiceError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import { isPrivateAddress } from '../base/private-address.ts'
import { endpointVariableOf, labServerNames, labServiceNames } from './lab-action-variables.ts'
import type { LabService, labActionVariables } from './lab-action-variables.ts'
import type { ValuesOf } from './variable.ts'

/** What the lab does with actions for services that it does not have. */
export interface LabActionsConfig {
  /** Whether rules are refused whose calls would only be recorded. */
  readonly isStrict: boolean
  /** The URLs of emulators: `http://127.0.0.1:4566`. */
  readonly endpoints: Readonly<Partial<Record<LabService, string>>>
  /** Names and private addresses beyond loopback that they may have. */
  readonly hosts: readonly string[]
}

/**
 * Reads where emulators are. Nothing may leave the machine by accident, so that a URL has to be on
 * loopback, or on a host that the operator lists by name.
 *
 * @throws SluiceError ConfigInvalid, naming the variable and its value
 */
export function labActionsOf(read: ValuesOf<typeof labActionVariables>): LabActionsConfig {
  const hosts = hostsOf(read.SLUICE_LAB_AWS_ENDPOINT_HOSTS)
  const endpointIn = (
    name: 'SLUICE_LAB_AWS_ENDPOINT_URL' | ReturnType<typeof endpointVariableOf<LabService>>,
  ) => {
    const url = read[name]
    return url === undefined ? undefined : checkedEndpoint(name, url, hosts)
  }
  const common = endpointIn('SLUICE_LAB_AWS_ENDPOINT_URL')
  const endpointsOf = (services: readonly LabService[], otherwise: string | undefined) =>
    services.flatMap((service) => {
      const url = endpointIn(endpointVariableOf(service)) ?? otherwise
      return url === undefined ? [] : [[service, url] as const]
    })
  return {
    isStrict: read.SLUICE_LAB_ACTIONS === 'strict',
    endpoints: Object.fromEntries([
      ...endpointsOf(labServiceNames, common),
      ...endpointsOf(labServerNames, undefined),
    ]),
    hosts,
  }
}

function checkedEndpoint(name: string, text: string, hosts: readonly string[]): string {
  const refused = (why: string) => new SluiceError('ConfigInvalid', `${name}=${text}: ${why}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw refused('it must be the URL of a server, such as http://127.0.0.1:4566')
  }
  const host = hostOf(url)
  if (isLoopback(host)) return url.origin
  const isListed = hosts.includes(host)
  if (isListed && (isIP(host) === 0 || isPrivateAddress(host))) return url.origin
  throw refused(
    isListed
      ? `${host} is no private address, and the lab calls nothing else`
      : `${host} is not a loopback address: the lab calls it only when ` +
          'SLUICE_LAB_AWS_ENDPOINT_HOSTS lists it, such as the name of a container',
  )
}

/** The host of a URL, without the brackets of IPv6. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

/** Reads names and addresses that are separated by commas. */
export function hostsOf(text = ''): readonly string[] {
  return text
    .split(',')
    .map((host) => host.trim().toLowerCase())
    .filter((host) => host !== '')
}
