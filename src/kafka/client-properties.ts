import { isIP } from 'node:net'
import { atField, invalidField, orFault } from '../base/errors.ts'
import type { SluiceError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import { isPrivateAddress } from '../base/private-address.ts'
import { readPropertyTemplate } from './property-template.ts'
import { oldStoreOf } from './store-format.ts'

/** The properties of a `kafka` action as its rule has them, by Kafka's names. */
export type ClientProperties = Readonly<Record<string, string>>

/**
 * The properties that have a choice [AWS IoT Developer Guide, "Apache Kafka"]. Beyond AWS,
 * SCRAM-SHA-256 is taken, and so are protocols without TLS for brokers of the same network.
 */
const choices: Readonly<Record<string, readonly string[]>> = {
  'security.protocol': ['SSL', 'SASL_SSL', 'PLAINTEXT', 'SASL_PLAINTEXT'],
  acks: ['-1', '0', '1', 'all'],
  'compression.type': ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
  'sasl.mechanism': ['PLAIN', 'SCRAM-SHA-512', 'SCRAM-SHA-256', 'GSSAPI'],
}
const propertyNames = new Set([
  ...Object.keys(choices),
  'bootstrap.servers',
  'key.serializer',
  'value.serializer',
  'ssl.truststore',
  'ssl.truststore.password',
  'ssl.keystore',
  'ssl.keystore.password',
  'ssl.key.password',
  'sasl.plain.username',
  'sasl.plain.password',
  'sasl.scram.username',
  'sasl.scram.password',
  'sasl.kerberos.keytab',
  'sasl.kerberos.service.name',
  'sasl.kerberos.krb5.kdc',
  'sasl.kerberos.krb5.realm',
  'sasl.kerberos.principal',
])

/**
 * Finds the faults in the properties of a rule. Secrets are not read.
 *
 * @param place the field that holds them: `actions[0].kafka.clientProperties`
 * @returns InvalidRequestException or, for a template, SqlParseException; each names the property
 */
export function faultsOfProperties(
  properties: ClientProperties,
  place: string,
): readonly SluiceError[] {
  const faults = Object.entries(properties).flatMap(([name, value]) =>
    faultOf(name, value, `${place}.${name}`),
  )
  const servers = properties['bootstrap.servers']
  if (!servers) return [invalidField(place, ': bootstrap.servers is missing'), ...faults]
  const hosts = bootstrapHostsOf(properties)
  if (hosts === undefined && isLiteral(servers)) {
    const where = `${place}.bootstrap.servers`
    faults.push(invalidField(where, ': the text is not host:port, or several with commas'))
  }
  const { 'security.protocol': protocol = 'SSL' } = properties
  if (protocol.endsWith('PLAINTEXT') && !hosts?.every(isNear)) {
    const why = 'it is for brokers on loopback, on private addresses or with names without dots'
    faults.push(
      invalidField(
        `${place}.security.protocol`,
        `: ${protocol} is not taken: ${why}. Use SASL_SSL`,
      ),
    )
  }
  return faults
}

function faultOf(name: string, value: string, field: string): readonly SluiceError[] {
  if (!propertyNames.has(name)) return [invalidField(field, ' is not a known property')]
  const allowed = choices[name]
  if (allowed !== undefined && !allowed.includes(value)) {
    return [invalidField(field, ` must be one of ${allowed.join(', ')}`)]
  }
  const faults: SluiceError[] = []
  orFault(faults, () => atField(field, () => readPropertyTemplate(value)))
  return faults
}

/** The name of a container has no dots. */
const isNear = (host: string) =>
  isLoopback(host) || isPrivateAddress(host) || (isIP(host) === 0 && !host.includes('.'))

const isLiteral = (value: string) => !value.includes('${')

/**
 * The hosts of `bootstrap.servers`.
 *
 * @returns undefined when a secret names them, or when the text cannot be read
 */
export function bootstrapHostsOf(properties: ClientProperties): readonly string[] | undefined {
  const servers = properties['bootstrap.servers'] ?? ''
  return isLiteral(servers) ? readServers(servers)?.map(({ host }) => host) : undefined
}

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

const serverSyntax = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/

/** @returns undefined when the text is no list of `host:port` */
export function readServers(text: string): readonly BrokerAddress[] | undefined {
  const servers = text
    .split(',')
    .map((server) => server.trim())
    .filter((server) => server !== '')
    .map((server) => {
      const [, address, name, port = '0'] = serverSyntax.exec(server) ?? []
      return { host: (address ?? name ?? '').toLowerCase(), port: Number(port) }
    })
  const areRead = servers.every(({ host, port }) => host !== '' && port > 0 && port < 65_536)
  return areRead && servers.length > 0 ? servers : undefined
}

/** The properties in the fields of an action. */
export function propertiesIn(fields: object): ClientProperties {
  const { clientProperties = {} } = fields as { readonly clientProperties?: ClientProperties }
  return clientProperties
}

/**
 * Why records of an action can never be sent, and what to use instead.
 *
 * @param fields of a `kafka` action
 * @returns undefined when they can, as far as it shows before secrets are read
 */
export function refusalOfKafka(fields: object): string | undefined {
  const properties = propertiesIn(fields)
  const { 'security.protocol': protocol = 'SSL', 'sasl.mechanism': mechanism } = properties
  if (mechanism === 'GSSAPI') {
    return (
      'sasl.mechanism GSSAPI (Kerberos) is not supported: use SCRAM-SHA-512 or PLAIN with ' +
      'SASL_SSL, or SSL with a client certificate in ssl.keystore'
    )
  }
  for (const name of ['ssl.keystore', 'ssl.truststore']) {
    const oldStore = oldStoreOf(properties[name] ?? '')
    if (oldStore !== undefined) return `${name}: ${oldStore}`
  }
  if (!protocol.startsWith('SASL_')) return undefined
  if (mechanism === undefined) return `sasl.mechanism is missing, which ${protocol} needs`
  const kind = mechanism === 'PLAIN' ? 'plain' : 'scram'
  const missing = [`sasl.${kind}.username`, `sasl.${kind}.password`].find(
    (name) => properties[name] === undefined,
  )
  return missing === undefined ? undefined : `${missing} is missing, which ${mechanism} needs`
}
