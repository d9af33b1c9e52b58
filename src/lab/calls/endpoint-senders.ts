import { lookup as resolve } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { createRequestHandler } from '../../aws/aws-calls.ts'
import type { ServiceSender } from '../../aws/call/service-sender.ts'
import { createServiceSender } from '../../aws/service-senders.ts'
import { isLoopback } from '../../base/loopback.ts'
import { isPrivateAddress } from '../../base/private-address.ts'
import type { ServiceDestination } from '../../outbox/outbox.ts'
import type { LabActions } from './lab-actions.ts'

/** The senders of services that an emulator stands in for. */
export interface EndpointSenders {
  /** @returns undefined when no emulator takes the calls of the destination */
  senderFor(destination: ServiceDestination): ServiceSender | undefined
  /** Closes all connections. */
  close(): void
}

/** Emulators take any credentials. Those of the machine's user are never sent to them. */
const emulatorCredentials = { accessKeyId: 'test', secretAccessKey: 'test' }

/**
 * Calls emulators with the senders that call AWS. Roles are not assumed, because an emulator does
 * not know those of the lab.
 */
export function createEndpointSenders({
  endpointOf,
  endpointHosts,
}: Pick<LabActions, 'endpointOf' | 'endpointHosts'>): EndpointSenders {
  const requestHandler = createRequestHandler({}, createGuardedLookup(endpointHosts))
  return {
    senderFor({ kind, region, target }) {
      const endpoint = endpointOf(kind, target)
      if (endpoint === undefined) return undefined
      const baseCredentials = emulatorCredentials
      return createServiceSender(kind, { region, requestHandler, endpoint, baseCredentials })
    },
    close: () => requestHandler.destroy(),
  }
}

/**
 * Resolves the listed names alone, and to loopback and private addresses alone: neither a name that
 * a rule has chosen nor a changed entry of DNS leads off the machine or its network.
 */
export function createGuardedLookup(
  hosts: readonly string[],
  lookup: LookupFunction = resolve,
): LookupFunction {
  return (host, options, callback) => {
    if (!isLoopback(host) && !hosts.includes(host)) {
      callback(refused(host, 'the lab calls hosts of SLUICE_LAB_AWS_ENDPOINT_HOSTS alone'), '')
      return
    }
    lookup(host, options, (error, found, family) => {
      if (error) {
        callback(error, '')
        return
      }
      const all = typeof found === 'string' ? [found] : found.map(({ address }) => address)
      if (all.every((address) => isLoopback(address) || isPrivateAddress(address))) {
        callback(null, found, family)
        return
      }
      callback(refused(host, `${all.join(', ')} is no private address`), '')
    })
  }
}

const refused = (host: string, why: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${host} is not called: ${why}`), { code: 'EndpointRefused' })
