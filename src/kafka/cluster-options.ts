import type { ConnectionOptions } from 'node:tls'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { readServers } from './client-properties.ts'
import type { BrokerAddress, ClientProperties } from './client-properties.ts'
import { KafkaProblem } from './kafka-problem.ts'
import { pkcs12Certificates } from './pkcs12-certificates.ts'
import { oldStoreOf, readStore } from './store-format.ts'

/** How a cluster is reached: the client properties of a rule after their secrets were read. */
export interface ClusterOptions {
  readonly servers: readonly BrokerAddress[]
  /** Undefined: the connections are not encrypted. */
  readonly tls: TlsOptions | undefined
  readonly sasl: SaslOptions | undefined
  /** -1: all replicas in sync have the record. 1: the leader has it. */
  readonly acks: 1 | -1
  readonly compression: Compression
}

/** The part of Node's options that the stores of a rule determine. */
type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase'>

export interface SaslOptions {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly username: string
  readonly password: string
}

type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/**
 * Reads complete properties. No message holds a value of them, because any may be a secret.
 *
 * @param properties without templates
 * @throws KafkaProblem ClientPropertyInvalid, naming the property
 */
export function clusterOptionsOf(properties: ClientProperties): ClusterOptions {
  const servers = readServers(properties['bootstrap.servers'] ?? '')
  if (servers === undefined) throw unusable('bootstrap.servers', 'it is no list of host:port')
  const protocol = properties['security.protocol'] ?? 'SSL'
  return {
    servers,
    tls: protocol.endsWith('SSL') ? tlsOptionsOf(properties) : undefined,
    sasl: protocol.startsWith('SASL_') ? saslOptionsOf(properties) : undefined,
    // With `0` the broker answers nothing, and nobody could say that it has a record.
    acks: properties['acks'] === '-1' || properties['acks'] === 'all' ? -1 : 1,
    compression: (properties['compression.type'] ?? 'none') as Compression,
  }
}

function saslOptionsOf(properties: ClientProperties): SaslOptions {
  const mechanism = properties['sasl.mechanism']
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512': {
      const names = `sasl.${mechanism === 'PLAIN' ? 'plain' : 'scram'}`
      const username = required(properties, `${names}.username`)
      return { mechanism, username, password: required(properties, `${names}.password`) }
    }
    case undefined:
    default:
      throw unusable('sasl.mechanism', 'only PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are supported')
  }
}

function required(properties: ClientProperties, name: string): string {
  const value = properties[name]
  if (!value) throw unusable(name, 'it is missing or empty')
  return value
}

function tlsOptionsOf(properties: ClientProperties): TlsOptions {
  const options = { ...keyStoreOptions(properties), ...trustStoreOptions(properties) }
  try {
    // Node would otherwise find a fault of the stores on each connection, as an exception.
    createSecureContext(options)
  } catch (thrown) {
    const name = properties['ssl.keystore'] === undefined ? 'ssl.truststore' : 'ssl.keystore'
    throw unusable(name, storeProblem(messageOf(thrown)))
  }
  return options
}

function keyStoreOptions(properties: ClientProperties): TlsOptions {
  const name = 'ssl.keystore'
  const text = properties[name]
  if (!text) return {}
  const { format, bytes } = knownStore(name, text)
  const storePassword = properties['ssl.keystore.password']
  if (format === 'PKCS#12') return { pfx: bytes, passphrase: storePassword ?? '' }
  const passphrase = properties['ssl.key.password'] ?? storePassword
  const pem = { cert: bytes, key: bytes }
  return passphrase === undefined ? pem : { ...pem, passphrase }
}

function trustStoreOptions(properties: ClientProperties): TlsOptions {
  const name = 'ssl.truststore'
  const text = properties[name]
  if (!text) return {}
  const { format, bytes } = knownStore(name, text)
  if (format === 'PEM') return { ca: bytes }
  let certificates: readonly string[]
  try {
    certificates = pkcs12Certificates(bytes, properties['ssl.truststore.password'] ?? '')
  } catch (thrown) {
    throw unusable(name, messageOf(thrown))
  }
  if (certificates.length === 0) throw unusable(name, 'it holds no certificate')
  return { ca: [...certificates] }
}

function knownStore(name: string, text: string) {
  const oldStore = oldStoreOf(text)
  if (oldStore !== undefined) throw unusable(name, oldStore)
  const { format, bytes } = readStore(text)
  if (format === undefined) throw unusable(name, 'it is neither PKCS#12 in base64 nor PEM')
  return { format, bytes }
}

/** What OpenSSL says of a store, for people. */
function storeProblem(message: string): string {
  if (/mac verify failure|bad decrypt|bad password/i.test(message)) return 'its password is wrong'
  if (!/unsupported/i.test(message)) return message
  return 'its encryption is too old: write it anew with keytool of Java 17 or openssl pkcs12, or use PEM'
}

function unusable(name: string, problem: string): KafkaProblem {
  return new KafkaProblem('ClientPropertyInvalid', `clientProperties.${name}: ${problem}`)
}
