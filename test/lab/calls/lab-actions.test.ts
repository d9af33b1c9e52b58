import { describe, expect, test } from 'vitest'
import { createLabActions } from '../../../src/lab/calls/lab-actions.ts'

const lab = (isStrict: boolean) =>
  createLabActions(
    { isStrict, endpoints: {}, hosts: ['kafka', '10.0.0.7'] },
    { functionsDir: '/the/functions', isCalledByLab: () => false },
  )

function kafka(servers: string, more: Readonly<Record<string, string>> = {}) {
  const destinationArn = 'arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x'
  const clientProperties = { 'bootstrap.servers': servers, ...more }
  return { destinationArn, topic: 't', clientProperties }
}

describe('a kafka action in the lab', () => {
  test.each([
    ['on loopback', '127.0.0.1:9092,localhost:9093,[::1]:9094', false],
    ['of a listed container', 'kafka:9092', false],
    ['on a listed address', '10.0.0.7:9092', false],
    ['of another name', 'b-1.example.com:9096', true],
    ['of which one is elsewhere', '127.0.0.1:9092,b-1.example.com:9096', true],
    ['in a secret', "${get_secret('s', 'SecretString', 'k', 'r')}", true],
  ])('with brokers %s', (_name, servers, isRecorded) => {
    const action = kafka(servers)
    const payload = { actions: [{ kafka: action }], errorAction: undefined }
    expect(lab(false).recordedKinds(payload as never)).toEqual(isRecorded ? ['kafka'] : [])
    expect(lab(false).refusalOf('kafka', action)).toBeUndefined()
    const refusal = lab(true).refusalOf('kafka', action)
    const reason = /only record .*: bootstrap\.servers names a broker/
    expect(refusal === undefined ? '' : refusal).toMatch(isRecorded ? reason : /^$/)
  })

  test('is refused when it would be sent and cannot be', () => {
    const kerberos = { 'sasl.mechanism': 'GSSAPI' }
    expect(lab(false).refusalOf('kafka', kafka('localhost:9092', kerberos))).toMatch(/GSSAPI/)
    expect(lab(false).refusalOf('kafka', kafka('b-1.example.com:9096', kerberos))).toBeUndefined()
  })
})
