import { lookup as resolve } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isLoopback } from '../base/loopback.ts'
import { isPrivateAddress, isPublicAddress } from '../base/private-address.ts'

const mayCall = (address: string) =>
  isPublicAddress(address) || isPrivateAddress(address) || isLoopback(address)

/**
 * Resolves the names of brokers. Brokers are on private networks as a rule, so those are called
 * without being listed: nothing that the author of a rule has chosen is sent to a server that does
 * not answer as a broker. Link-local addresses, where the metadata of a cloud's hosts is, are not.
 */
export function createBrokerLookup(lookup: LookupFunction = resolve): LookupFunction {
  return (host, options, callback) =>
    lookup(host, options, (error, found, family) => {
      if (error) {
        callback(error, '')
        return
      }
      const all = typeof found === 'string' ? [found] : found.map(({ address }) => address)
      const refused = all.find((address) => !mayCall(address))
      if (refused === undefined) {
        callback(null, found, family)
        return
      }
      const what = host === refused ? host : `${host} (${refused})`
      const refusal = new Error(`${what} is not called: brokers have no such address`)
      callback(Object.assign(refusal, { code: 'EndpointRefused' }), '')
    })
}
