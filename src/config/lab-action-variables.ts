import type { Variable } from './variable.ts'

/**
 * The services that an emulator may stand in for in the lab, named as in the SDKs' own variables
 * [AWS SDKs and Tools Reference Guide, "Service-specific endpoints"].
 */
const labServices = {
  CLOUDWATCH: 'Amazon CloudWatch',
  CLOUDWATCH_LOGS: 'CloudWatch Logs',
  DYNAMODB: 'Amazon DynamoDB',
  FIREHOSE: 'Amazon Data Firehose',
  IOT: 'AWS IoT, for `get_registry_data`',
  IOT_DATA_PLANE: 'the data plane of AWS IoT, for `get_thing_shadow`',
  IOTSITEWISE: 'AWS IoT SiteWise',
  LAMBDA: 'AWS Lambda, for functions that the folder lacks',
  LOCATION: 'Amazon Location',
  S3: 'Amazon S3',
  SECRETS_MANAGER: 'AWS Secrets Manager',
  SFN: 'AWS Step Functions',
  SNS: 'Amazon SNS',
  SQS: 'Amazon SQS',
  TIMESTREAM_WRITE: 'Amazon Timestream',
} as const

/** Servers that an emulator of AWS does not have: only their own variable names one. */
const labServers = {
  IOTANALYTICS: 'AWS IoT Analytics',
  IOT_EVENTS_DATA: 'AWS IoT Events',
  OPENSEARCH: 'the domains of `openSearch` and `elasticsearch` actions',
  SALESFORCE: 'the input streams of Salesforce',
} as const

export type LabService = keyof typeof labServices | keyof typeof labServers
export const labServiceNames = Object.keys(labServices) as readonly LabService[]
export const labServerNames = Object.keys(labServers) as readonly LabService[]

type EndpointVariable = Extract<Variable, { kind: 'text' }> & { readonly default?: undefined }
type EndpointName<Service extends LabService> = `SLUICE_LAB_AWS_ENDPOINT_URL_${Service}`

/** The name of the variable for one service. */
export function endpointVariableOf<Service extends LabService>(
  service: Service,
): EndpointName<Service> {
  return `SLUICE_LAB_AWS_ENDPOINT_URL_${service}`
}

/** What the lab does with actions for services that it does not have. */
export const labActionVariables = {
  SLUICE_LAB_ACTIONS: {
    kind: 'choice',
    choices: ['record', 'strict'],
    default: 'record',
    description: '`strict` refuses rules with an action whose calls the lab would only record.',
  },
  SLUICE_LAB_AWS_ENDPOINT_URL: {
    kind: 'text',
    whenUnset: 'calls are recorded',
    description:
      'URL of an emulator of AWS (LocalStack, moto), which the lab calls for actions and SQL functions.',
  },
  SLUICE_LAB_AWS_ENDPOINT_HOSTS: {
    kind: 'text',
    whenUnset: 'loopback only',
    description:
      'Names and private addresses, separated by commas, that URLs of emulators may have.',
  },
  SLUICE_STUBS_DIR: {
    kind: 'text',
    default: './stubs',
    description:
      'Folder of files that answer `get_dynamodb`, `get_secret` and the like in the lab.',
  },
  ...endpointVariables(labServices, 'the value of `SLUICE_LAB_AWS_ENDPOINT_URL`', 'an emulator of'),
  ...endpointVariables(labServers, 'calls are recorded', 'a server that stands in for'),
} as const

function endpointVariables<Service extends LabService>(
  services: Readonly<Record<Service, string>>,
  whenUnset: string,
  what: string,
) {
  const entries = (Object.entries(services) as [Service, string][]).map(([service, name]) => {
    const description = `URL of ${what} ${name}.`
    const variable: EndpointVariable = { kind: 'text', whenUnset, description }
    return [endpointVariableOf(service), variable] as const
  })
  return Object.fromEntries(entries) as Record<EndpointName<Service>, EndpointVariable>
}
