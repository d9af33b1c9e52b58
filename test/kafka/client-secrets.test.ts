import { describe, expect, test } from 'vitest'
import { classify } from '../../src/aws/call/failure-class.ts'
import { startScriptedBroker } from './scripted-broker.ts'
import { codesOf, senders } from './sending.ts'

describe('secrets', () => {
  const roleArn = 'arn:aws:iam::123456789012:role/r'
  const secret = (key: string) => `\${get_secret('s', 'SecretString', '${key}', '${roleArn}')}`

  test('are read once for a cluster, by name and role', async () => {
    const broker = await startScriptedBroker({})
    const asked: unknown[] = []
    const { send } = senders((request) => {
      asked.push(request)
      return Promise.resolve(broker.server)
    })
    const server = secret('brokers')
    expect(codesOf(await send(server, [{}]))).toEqual(['ok'])
    expect(codesOf(await send(server, [{}]))).toEqual(['ok'])
    expect(asked).toEqual([
      {
        function: 'get_secret',
        secretId: 's',
        secretType: 'SecretString',
        key: 'brokers',
        roleArn,
      },
    ])
  })

  test.each([
    ['AccessDeniedException', 'destination'],
    ['ThrottlingException', 'passing'],
  ])('that AWS refuses with %s', async (name, failureClass) => {
    const refusal = Object.assign(new Error('refused'), { name })
    const { send } = senders(() =>
      Promise.reject(new Error(`${name}: refused`, { cause: refusal })),
    )
    const outcome = await send(secret('brokers'), [{}])
    expect(outcome).toMatchObject({
      answered: false,
      failure: {
        code: name,
        message: `clientProperties.bootstrap.servers: get_secret of s: ${name}: refused`,
      },
    })
    expect(!outcome.answered && classify(outcome.failure)).toBe(failureClass)
  })

  test('that have no text, or cannot be read in the lab', async () => {
    const codes = [
      await senders(() => Promise.resolve(new Map())).send(secret('k'), [{}]),
      await senders().send(secret('k'), [{}]),
    ].map(codesOf)
    expect(codes).toEqual([['SecretUnavailable'], ['SecretUnavailable']])
  })
})

test.each([
  [{ 'security.protocol': 'SASL_PLAINTEXT' }, /sasl\.mechanism: only PLAIN, SCRAM/],
  [
    { 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanism': 'PLAIN' },
    /sasl\.plain\.username: it is missing or empty/,
  ],
  [{ 'security.protocol': 'SSL', 'ssl.keystore': 'c2VjcmV0' }, /ssl\.keystore: it is neither/],
  [
    { 'security.protocol': 'SSL', 'ssl.truststore': 'MAAwAA==' },
    /ssl\.truststore: the file is damaged/,
  ],
  [
    { 'security.protocol': 'SSL', 'ssl.keystore': '-----BEGIN CERTIFICATE-----\nsecret' },
    /ssl\.keystore: /,
  ],
  [{ 'security.protocol': 'SSL', 'ssl.truststore': '/u3+7QAA' }, /a JKS store is not supported/],
])('properties that cannot be used: %o', async (properties, message) => {
  const outcome = await senders().send('127.0.0.1:1', [{}], properties)
  expect(outcome).toMatchObject({
    answered: false,
    failure: { code: 'ClientPropertyInvalid', message: expect.stringMatching(message) as string },
  })
  expect(JSON.stringify(outcome)).not.toContain('secret')
})
