import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'

const url = 'SLUICE_LAB_AWS_ENDPOINT_URL'
const hosts = 'SLUICE_LAB_AWS_ENDPOINT_HOSTS'
const actionsOf = (environment: Record<string, string>) => loadConfig(environment, 'lab').labActions

describe('emulators of the lab', () => {
  test.each([
    'http://127.0.0.1:4566',
    'http://localhost:4566',
    'https://localhost:4566',
    'http://127.9.8.7:1',
    'http://[::1]:4566',
  ])('may be on loopback: %s', (endpoint) => {
    expect(actionsOf({ [url]: endpoint })?.endpoints).toMatchObject({ SQS: endpoint, S3: endpoint })
  })

  test.each([
    ['http://localstack:4566', 'localstack'],
    ['http://172.17.0.2:4566', '10.0.0.1, 172.17.0.2'],
    ['http://192.168.1.9:4566', '192.168.1.9'],
    ['http://[fd00::2]:4566', 'fd00::2'],
  ])('may be where the operator says: %s', (endpoint, listed) => {
    const environment = { [`${url}_SQS`]: endpoint, [hosts]: listed }
    expect(actionsOf(environment)?.endpoints).toEqual({ SQS: endpoint })
  })

  test.each([
    ['http://localstack:4566', ''],
    ['http://172.17.0.2:4566', ''],
    ['http://172.17.0.2:4566', '172.17.0.3'],
    ['https://sqs.us-east-1.amazonaws.com', 'localstack'],
    ['http://52.94.0.1', '52.94.0.1'],
    ['http://169.254.169.254', '169.254.169.254'],
    ['http://127.0.0.1.example.com', ''],
    ['http://127.0.0.1@example.com', ''],
    ['http://user:word@127.0.0.1:4566', ''],
    ['http://2130706433.example', ''],
    ['file:///etc/passwd', ''],
    ['127.0.0.1:4566', ''],
    ['http://', ''],
  ])('are refused anywhere else: %s while %j is listed', (endpoint, listed) => {
    expect(() => actionsOf({ [`${url}_SNS`]: endpoint, [hosts]: listed })).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringContaining(`${url}_SNS=${endpoint}: `) as string,
      }) as Error,
    )
  })

  test('of one service come before the common one, and `start` has none', () => {
    const environment = { [url]: 'http://127.0.0.1:1', [`${url}_DYNAMODB`]: 'http://127.0.0.1:2' }
    const { DYNAMODB, SQS } = actionsOf(environment)?.endpoints ?? {}
    expect([DYNAMODB, SQS]).toEqual(['http://127.0.0.1:2', 'http://127.0.0.1:1'])
    const start = loadConfig({ ...environment, AWS_REGION: 'eu-west-1' }, 'start')
    expect(start.labActions).toBeUndefined()
  })
})
