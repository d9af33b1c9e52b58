import { loadConfig } from '@smithy/core/config'
import type { Service } from './service-failures.ts'

/** Variables and members of profiles have the SDK's names of the services. */
const sdkNames: Readonly<Partial<Record<Service, string>>> = {
  'IoT SiteWise': 'IoTSiteWise',
  'Step Functions': 'SFN',
  Timestream: 'Timestream Write',
}

/**
 * The endpoint that the operator has configured for a service: `AWS_ENDPOINT_URL_<SERVICE>`,
 * `AWS_ENDPOINT_URL`, or `endpoint_url` of the profile [AWS SDKs and Tools Reference Guide,
 * "Service-specific endpoints"].
 *
 * The SDK's clients read it themselves, but too late: SQS then calls the host of the queue's URL,
 * Timestream looks for its endpoint at AWS, and Location and IoT SiteWise put a prefix before it.
 *
 * @returns undefined when there is none, or when it is to be ignored
 * @throws Error when the profile cannot be read
 */
export async function configuredEndpoint(service: Service): Promise<string | undefined> {
  const name = (sdkNames[service] ?? service).replaceAll(' ', '_')
  const isIgnored = await loadConfig<boolean>({
    environmentVariableSelector: (variables) =>
      isTrue(variables['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']),
    configFileSelector: (profile) => isTrue(profile['ignore_configured_endpoint_urls']),
    default: false,
  })()
  if (isIgnored) return undefined
  const endpoint = await loadConfig({
    environmentVariableSelector: (variables) =>
      variables[`AWS_ENDPOINT_URL_${name.toUpperCase()}`] || variables['AWS_ENDPOINT_URL'],
    configFileSelector: (profile, file) => {
      const { services } = profile
      const own = services === undefined ? undefined : file?.[`services.${services}`]
      return own?.[`${name.toLowerCase()}.endpoint_url`] || profile['endpoint_url']
    },
    default: '',
  })()
  return endpoint === '' ? undefined : endpoint
}

function isTrue(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text.toLowerCase() === 'true'
}
