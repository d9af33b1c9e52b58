import type { CallRecord, ServiceSender } from '../../aws/call/service-sender.ts'
import type { HttpAccess } from '../../aws/http/http-access.ts'
import type { HttpHosts } from '../../aws/http/http-hosts.ts'
import { createServiceSender } from '../../aws/service-senders.ts'
import type { ServiceDestination } from '../../outbox/outbox.ts'
import { createEmulatorAccess } from './emulator-access.ts'
import type { LabActions } from './lab-actions.ts'

/** The senders of services that an emulator stands in for. */
export interface EndpointSenders {
  /** @returns undefined when no emulator takes the calls of the destination */
  senderFor(
    destination: Pick<ServiceDestination, 'kind' | 'region' | 'target'>,
  ): ServiceSender<CallRecord> | undefined
  /** Closes all connections. */
  close(): void
}

/** Calls emulators with the senders that call AWS. */
export function createEndpointSenders({
  endpointOf,
  endpointHosts,
  isCalledByLab,
  http,
}: Pick<LabActions, 'endpointOf' | 'endpointHosts'> &
  Pick<HttpHosts, 'isCalledByLab'> & { readonly http: HttpAccess }): EndpointSenders {
  const access = createEmulatorAccess(endpointHosts)
  return {
    senderFor({ kind, region, target }) {
      const isHttp = kind === 'http' && isCalledByLab(target)
      const endpoint = isHttp ? target : endpointOf(kind, target)
      if (endpoint === undefined) return undefined
      const { requestHandler, baseCredentials } = access.accessTo(endpoint, region)
      if (isHttp) {
        const options = { region, target, requestHandler, baseCredentials, http }
        return createServiceSender(kind, options)
      }
      return createServiceSender(kind, { region, requestHandler, endpoint, baseCredentials })
    },
    close: () => access.close(),
  }
}
