import { loadConfig } from '@smithy/core/config'
import type { Service } from './service-failures.ts'

/** Variables and members of profiles have the SDK's names of the services. */
const sdkNames: Readonly<Partial<Record<Service, string>>> = {
  'IoT Analytics': 'IoTAnalytics',
  'IoT Events': 'IoT Events Data',
  'IoT SiteWise': 'IoTSiteWise',
  'Step Functions': 'SFN',
  Timestream: 'Timestream Write',
}

/** The name of the variable with the endpoint of one service. */
export function endpointVariableOf(service: Service): string {
  return `AWS_ENDPOINT_URL_${nameOf(service).toUpperCase()}`
}

const nameOf = (service: Service) => (sdkNames[service] ?? service).replaceAll(' ', '_')

/**
 * The endpoint that the operator has configured for a service: `AWS_ENDPOINT_URL_<SERVICE>`,
 * `AWS_ENDPOINT_URL`, or `endpoint_url` of the profile [AWS SDKs and Tools Reference Guide,
 * "Service-specific endpoints"].
 *
 * The SDK's clients read it themselves, but too late: SQS then calls the host of the queue's URL,
 * Timestream looks for its endpoint at AWS, and Location and IoT SiteWise put a prefix before it.
 *
 * @param isOwn only an endpoint of this very service counts
 * @returns undefined when there is none, or when it is to be ignored
 * @throws Error when the profile cannot be read
 */
export async function configuredEndpoint(
  service: Service,
  { isOwn = false }: { readonly isOwn?: boolean | undefined } = {},
): Promise<string | undefined> {
  const forAll = (endpoint: string | undefined) => (isOwn ? undefined : endpoint)
  const isIgnored = await loadConfig<boolean>({
    environmentVariableSelector: (variables) =>
      isTrue(variables['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']),
    configFileSelector: (profile) => isTrue(profile['ignore_configured_endpoint_urls']),
    default: false,
  })()
  if (isIgnored) return undefined
  const endpoint = await loadConfig({
    environmentVariableSelector: (variables) =>
      variables[endpointVariableOf(service)] || forAll(variables['AWS_ENDPOINT_URL']),
    configFileSelector: (profile, file) => {
      const { services } = profile
      const own = services === undefined ? undefined : file?.[`services.${services}`]
      const name = nameOf(service).toLowerCase()
      return own?.[`${name}.endpoint_url`] || forAll(profile['endpoint_url'])
    },
    default: '',
  })()
  return endpoint === '' ? undefined : endpoint
}

function isTrue(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text.toLowerCase() === 'true'
}
