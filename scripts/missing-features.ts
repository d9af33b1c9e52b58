import { compilePolicy } from '../src/identity/policies/policy.ts'
import { compileStatement } from '../src/sql/sql.ts'

/**
 * The features of AWS IoT that Sluice does not have, in the order of docs/NOT-SUPPORTED.md.
 *
 * The document lists the missing operations of each feature by itself: an operation that gets a
 * route leaves the list. The text of a feature is to be edited here; its signs say what the text
 * rests on, and the document cannot be made while one of them does not hold.
 */
export interface MissingFeature {
  readonly title: string
  /** What is missing, and what you can do instead; Markdown. */
  readonly text: string
  /** Matches the names of the operations that belong to the feature. */
  readonly operations?: RegExp | undefined
  readonly signs?: readonly Sign[] | undefined
}

export interface Sign {
  readonly text: string
  /** Whether the feature is still missing. */
  readonly holds: () => boolean
}

const throws = (text: string, attempt: () => unknown): Sign => ({
  text,
  holds: () => {
    try {
      attempt()
    } catch {
      return true
    }
    return false
  },
})
const refusedStatement = (sql: string): Sign =>
  throws(`the statement ${sql} is refused`, () => compileStatement(sql, '2016-03-23'))
const refusedStatementOfPolicy = (statement: object): Sign =>
  throws(`a policy with ${JSON.stringify(statement)} is refused`, () =>
    compilePolicy({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 'iot:Connect', Resource: '*', ...statement },
    }),
  )

export const mqttFeatures: readonly MissingFeature[] = [
  {
    title: 'Wills and QoS 2 handshakes after a crash',
    text: `Sessions, their queues and retained messages survive a crash ([MQTT.md](MQTT.md#after-a-restart)). Wills do not, and a message of QoS 2
that is sent again after one is taken again: rules may see it twice.`,
  },
  {
    title: 'Events of the registry and of jobs',
    text: 'Below `$aws/events/` there are lifecycle events alone: [DEVICES.md](DEVICES.md#lifecycle-events).',
    operations: /EventConfigurations$/,
  },
  {
    title: 'Custom authorizers',
    text: 'MQTT clients can have user names and passwords instead: `sluice passwd`.',
    operations: /Authorizer|^TestAuthorization$/,
  },
  {
    title: 'Publishing over HTTPS with a client certificate',
    text: 'Requests over HTTP are authenticated by AWS Signature Version 4 alone.',
  },
]

export const deviceFeatures: readonly MissingFeature[] = [
  {
    title: 'Fleet provisioning and registration',
    text: 'Devices get their certificates from you: by CreateKeysAndCertificate, `sluice certs`, or a certificate authority of your own.',
    operations: /Provisioning|^RegisterThing$|ThingRegistration/,
  },
  {
    title: 'Jobs',
    text: 'Devices that ask for jobs are told that there are none.',
    operations: /Job/,
  },
  {
    title: 'Commands',
    text: 'There are neither commands nor their executions.',
    operations: /Command/,
  },
  {
    title: 'Streams of files, and updates over the air',
    text: 'Devices cannot read files over MQTT.',
    operations: /Stream|OTAUpdate/,
  },
  {
    title: 'Software packages',
    text: 'There is no catalogue of packages and their versions.',
    operations: /Package|Sbom/,
  },
  {
    title: 'Device location',
    text: 'Positions are not resolved.',
  },
  {
    title: 'Device Defender',
    text: 'There are neither audits nor security profiles, and metrics of devices are not taken.',
    operations:
      /Audit|Detect|SecurityProfile|Violation|MitigationAction|CustomMetric|Dimension|BehaviorModel|MetricValues/,
  },
  {
    title: 'Fleet indexing',
    text: 'Things and their connections cannot be searched.',
    operations:
      /Index|Indices|FleetMetric|Cardinality|Percentiles|^GetStatistics$|BucketsAggregation/,
  },
  {
    title: 'Certificate authorities, and transfers of certificates',
    text: `Certificates are served. \`SLUICE_TLS_CA_FILE\` names the authorities whose certificates are taken; a certificate of another authority
cannot be registered, because TLS takes none.`,
    operations: /Certificate|RegistrationCode/,
  },
  {
    title: 'Conditions of policies',
    text: `Policies are served, on certificates: [SECURITY.md](SECURITY.md#policies). Their one \`Condition\` is \`Bool\` with
\`iot:Connection.Thing.IsAttached\`; a policy with another is refused. Policies of things groups and Cognito identities do not exist.`,
    operations: /Polic(?:y|ies)/,
    signs: [
      refusedStatementOfPolicy({ Condition: { IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } } }),
    ],
  },
  {
    title: 'Types and groups of things',
    text: `Things are served: [DEVICES.md](DEVICES.md#first-steps-with-things). The type of a thing is a name that is not checked, and no thing is in a
group. \`get_registry_data()\` reads the things here, and asks AWS (in the lab an emulator or a file) for others.`,
    operations: /Thing|BillingGroup/,
  },
]

export const ruleFeatures: readonly MissingFeature[] = [
  {
    title: 'Destinations of rules',
    text: 'Destinations of HTTP and InfluxDB actions are served. `vpcConfiguration` is refused by name.',
  },
  {
    title: 'machinelearning_predict() in statements',
    text: 'AWS has closed Amazon Machine Learning, and a statement with this function is refused.',
    signs: [refusedStatement("SELECT machinelearning_predict('m', 'r', *) AS p FROM 'a'")],
  },
]

export const accountFeatures: readonly MissingFeature[] = [
  {
    title: 'Role aliases and the credentials provider',
    text: 'Devices cannot change their certificate for credentials of AWS.',
    operations: /RoleAlias/,
  },
  {
    title: 'Domains, logging and encryption',
    text: `Hosts, ports and certificates of the server are variables ([CONFIG.md](CONFIG.md)). The log goes to standard output, metrics to
\`/v1/metrics\`.`,
    operations: /DomainConfiguration|Logging|EncryptionConfiguration/,
  },
]
