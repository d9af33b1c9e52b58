import { describe, expect, test } from 'vitest'
import { isLoopback, loadConfig } from '../src/config.ts'

describe('loadConfig', () => {
  test('the lab needs no variable at all', () => {
    expect(loadConfig({}, 'lab')).toMatchObject({
      mode: 'lab',
      mqtt: { host: '127.0.0.1', port: 1883, unansweredMax: 64 },
      drainMs: 8_000,
      http: { host: '127.0.0.1', port: 8080 },
      lab: { host: '127.0.0.1', port: 4567 },
      accountId: '000000000000',
      region: 'us-east-1',
      logLevel: 'info',
    })
  })

  test('an empty value counts as not set', () => {
    expect(loadConfig({ SLUICE_MQTT_PORT: '' }, 'lab').mqtt.port).toBe(1883)
  })

  test('`start` takes AWS_DEFAULT_REGION where AWS_REGION is absent', () => {
    expect(loadConfig({ AWS_DEFAULT_REGION: 'eu-west-1' }, 'start').region).toBe('eu-west-1')
  })

  test('the result is frozen all the way down', () => {
    const config = loadConfig({}, 'lab')
    expect(Object.isFrozen(config) && Object.isFrozen(config.mqtt)).toBe(true)
  })

  test.each([
    [{ SLUICE_MQTT_PORT: 'abc' }, /SLUICE_MQTT_PORT=abc .*integer.*Port of the MQTT broker/],
    [{ SLUICE_HTTP_PORT: '70000' }, /SLUICE_HTTP_PORT=70000 .*65535/],
    [{ SLUICE_HTTP_PORT: '-1' }, /SLUICE_HTTP_PORT=-1 /],
    [{ SLUICE_LOG_LEVEL: 'loud' }, /SLUICE_LOG_LEVEL=loud .*debug, info, warn, error/],
    [{ SLUICE_ACCOUNT_ID: '123' }, /SLUICE_ACCOUNT_ID=123 /],
    [{ AWS_REGION: 'nowhere' }, /AWS_REGION=nowhere /],
    [{ SLUICE_AUTH: 'sigv4' }, /SLUICE_AUTH=sigv4 .*`off` only/],
    [{ SLUICE_MQTT_HOST: '0.0.0.0' }, /SLUICE_MQTT_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
    [{ SLUICE_LAB_HOST: '0.0.0.0' }, /SLUICE_LAB_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
  ])('%j is refused with one line that names it', (environment, message) => {
    expect(() => loadConfig(environment, 'lab')).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringMatching(new RegExp(`^${message.source}[^\\n]*$`)) as string,
      }) as Error,
    )
  })

  test('`start` without a region says so', () => {
    expect(() => loadConfig({}, 'start')).toThrow(/AWS_REGION is not set/)
  })

  test('SLUICE_INSECURE=1 allows to listen anywhere', () => {
    const environment = { SLUICE_MQTT_HOST: '0.0.0.0', SLUICE_INSECURE: '1' }
    expect(loadConfig(environment, 'lab').mqtt.host).toBe('0.0.0.0')
  })
})

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['localhost', true],
  ['::1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.example.com', false],
  ['192.0.2.1', false],
])('isLoopback(%s) is %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected)
})
