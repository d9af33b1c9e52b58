import { describe, expect, test } from 'vitest'
import {
  bootstrapHostsOf,
  faultsOfProperties,
  refusalOfKafka,
} from '../../src/kafka/client-properties.ts'

const near = { 'bootstrap.servers': '127.0.0.1:9092' }
const far = { 'bootstrap.servers': 'b-1.example.com:9096, b-2.example.com:9096' }
const secret = "${get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/r')}"

describe('properties', () => {
  test.each([
    ['of AWS', { ...far, 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'SCRAM-SHA-512' }],
    ['without TLS on loopback', { ...near, 'security.protocol': 'PLAINTEXT' }],
    [
      'without TLS for a container',
      { 'bootstrap.servers': 'kafka:9092', 'security.protocol': 'SASL_PLAINTEXT' },
    ],
    ['with brokers in a secret', { 'bootstrap.servers': secret }],
  ])('%s are taken', (_name, properties) => {
    expect(faultsOfProperties(properties, 'p')).toEqual([])
  })

  test.each([
    ['no brokers', {}, [/^p: bootstrap\.servers is missing/]],
    [
      'several faults',
      { ...near, colour: 'red', acks: '2', 'ssl.keystore': '${' },
      [
        /^p\.colour is not a known property/,
        /^p\.acks must be one of -1, 0, 1, all/,
        /^p\.ssl\.keystore: /,
      ],
    ],
    [
      'brokers without a port',
      { 'bootstrap.servers': 'b-1' },
      [/^p\.bootstrap\.servers: the text is not host:port/],
    ],
    [
      'no TLS for a name of the internet',
      { ...far, 'security.protocol': 'PLAINTEXT' },
      [/^p\.security\.protocol: PLAINTEXT is not taken/],
    ],
    [
      'no TLS for brokers in a secret',
      { 'bootstrap.servers': secret, 'security.protocol': 'SASL_PLAINTEXT' },
      [/^p\.security\.protocol: SASL_PLAINTEXT is not taken/],
    ],
  ])('with %s are refused', (_name, properties, messages) => {
    const faults = faultsOfProperties(properties, 'p').map(({ message }) => message)
    expect(faults).toEqual(messages.map((message) => expect.stringMatching(message) as string))
  })
})

test('the hosts of brokers', () => {
  const properties = { 'bootstrap.servers': 'B-1.example.com:9096, [::1]:9092,' }
  expect(bootstrapHostsOf(properties)).toEqual(['b-1.example.com', '::1'])
  expect(bootstrapHostsOf({ 'bootstrap.servers': secret })).toBeUndefined()
})

describe('an action that can never be carried out', () => {
  test.each([
    [{ 'sasl.mechanism': 'GSSAPI' }, /GSSAPI \(Kerberos\) is not supported: use SCRAM-SHA-512/],
    [
      { 'ssl.keystore': '/u3+7QAAAAIAAAAB' },
      /ssl\.keystore: a JKS store is not supported: use PKC/,
    ],
    [{ 'ssl.truststore': 'zs7OzgAAAAIAAAAB' }, /ssl\.truststore: a JCEKS store is not supported/],
    [{ 'security.protocol': 'SASL_SSL' }, /sasl\.mechanism is missing, which SASL_SSL needs/],
    [
      { 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'PLAIN', 'sasl.plain.username': 'u' },
      /sasl\.plain\.password is missing, which PLAIN needs/,
    ],
  ])('%o', (properties, reason) => {
    expect(refusalOfKafka({ clientProperties: { ...far, ...properties } })).toMatch(reason)
  })

  test('and one that can', () => {
    expect(refusalOfKafka({ clientProperties: { ...far, 'ssl.keystore': secret } })).toBeUndefined()
  })
})
