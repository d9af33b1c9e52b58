import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { credentialsFileOf, isLoopback, loadConfig, openListeners } from '../src/config.ts'

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
    [{ SLUICE_AUTH: 'basic' }, /SLUICE_AUTH=basic .*`sigv4` takes signed requests/],
    [{ SLUICE_METRICS_TOKEN: 'short' }, /SLUICE_METRICS_TOKEN=\(not shown\) .*16 to 256/],
    [{ SLUICE_HTTP_HOST: '0.0.0.0' }, /SLUICE_HTTP_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
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

describe('authentication of the HTTP API', () => {
  const region = { AWS_REGION: 'eu-west-1' }

  test('is off in the lab and on in `start`, unless it is said', () => {
    expect(loadConfig({}, 'lab').auth.kind).toBe('off')
    expect(loadConfig(region, 'start').auth.kind).toBe('sigv4')
    expect(loadConfig({ SLUICE_AUTH: 'sigv4' }, 'lab').auth.kind).toBe('sigv4')
    expect(loadConfig({ ...region, SLUICE_AUTH: 'off' }, 'start').auth.kind).toBe('off')
  })

  test.each([
    [{}, path.resolve('data/credentials.json')],
    [{ SLUICE_DATA_DIR: '/d' }, '/d/credentials.json'],
    [{ SLUICE_DATA_DIR: '/d', SLUICE_CREDENTIALS_FILE: '' }, '/d/credentials.json'],
    [{ SLUICE_DATA_DIR: '/d', SLUICE_CREDENTIALS_FILE: '/keys' }, '/keys'],
  ])('keys of %j are in %s, for the server and for who makes one', (environment, file) => {
    expect(loadConfig(environment, 'lab').auth.credentialsFile).toBe(file)
    expect(credentialsFileOf(environment)).toBe(file)
  })

  test('lets HTTP listen anywhere, and nothing else', () => {
    const signed = { ...region, SLUICE_HTTP_HOST: '0.0.0.0' }
    expect(openListeners(loadConfig(signed, 'start'))).toEqual([])
    for (const more of [{ SLUICE_AUTH: 'off' }, { SLUICE_MQTT_HOST: '0.0.0.0' }]) {
      expect(() => loadConfig({ ...signed, ...more }, 'start')).toThrow(/SLUICE_INSECURE=1/)
    }
    const insecure = { ...signed, SLUICE_MQTT_HOST: '::', SLUICE_INSECURE: '1' }
    expect(openListeners(loadConfig(insecure, 'start'))).toEqual([
      { name: 'SLUICE_MQTT_HOST', host: '::' },
    ])
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
