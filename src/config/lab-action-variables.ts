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
  IOTSITEWISE: 'AWS IoT SiteWise',
  LAMBDA: 'AWS Lambda, for functions that the folder lacks',
  LOCATION: 'Amazon Location',
  S3: 'Amazon S3',
  SFN: 'AWS Step Functions',
  SNS: 'Amazon SNS',
  SQS: 'Amazon SQS',
  TIMESTREAM_WRITE: 'Amazon Timestream',
} as const

export type LabService = keyof typeof labServices
export const labServiceNames = Object.keys(labServices) as readonly LabService[]

type EndpointVariable = Extract<Variable, { kind: 'text' }> & { readonly default?: undefined }
type EndpointName = `SLUICE_LAB_AWS_ENDPOINT_URL_${LabService}`

/** The name of the variable for one service. */
export const endpointVariableOf = (service: LabService): EndpointName =>
  `SLUICE_LAB_AWS_ENDPOINT_URL_${service}`

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
    description: 'URL of an emulator of AWS (LocalStack, moto), which the lab calls for actions.',
  },
  SLUICE_LAB_AWS_ENDPOINT_HOSTS: {
    kind: 'text',
    whenUnset: 'loopback only',
    description:
      'Names and private addresses, separated by commas, that URLs of emulators may have.',
  },
  ...(Object.fromEntries(
    labServiceNames.map((service) => [
      endpointVariableOf(service),
      {
        kind: 'text',
        whenUnset: 'the value of `SLUICE_LAB_AWS_ENDPOINT_URL`',
        description: `URL of an emulator of ${labServices[service]}.`,
      } satisfies EndpointVariable,
    ]),
  ) as Record<EndpointName, EndpointVariable>),
} as const
