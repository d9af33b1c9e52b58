import { lookup as resolve } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { createRequestHandler } from '../../aws/aws-calls.ts'
import type { AwsAccess } from '../../aws/role-calls.ts'
import { isLoopback } from '../../base/loopback.ts'
import { isPrivateAddress } from '../../base/private-address.ts'

/** How emulators of AWS are reached, and nothing else. */
export interface EmulatorAccess {
  /** @param endpoint a URL that the configuration has checked */
  accessTo(endpoint: string, region: string): AwsAccess
  /** Closes all connections. */
  close(): void
}

/** Emulators take any credentials. Those of the machine's user are never sent to them. */
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
const session = { ...credentials, sessionToken: 'test', expiresAtMs: Number.POSITIVE_INFINITY }

/**
 * Roles are not assumed, because an emulator does not know those of the lab.
 *
 * @param hosts names and private addresses, beyond loopback, that may be called
 */
export function createEmulatorAccess(hosts: readonly string[]): EmulatorAccess {
  const requestHandler = createRequestHandler({}, createGuardedLookup(hosts))
  return {
    accessTo: (endpoint, region) => ({
      region,
      requestHandler,
      endpoint,
      baseCredentials: credentials,
      credentialsOf: () => ({ current: () => Promise.resolve(session), drop: () => undefined }),
    }),
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
