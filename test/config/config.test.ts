import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig, openListeners, variables } from '../../src/config/config.ts'
import { isLoopback } from '../../src/base/loopback.ts'
import { readVariables } from '../../src/config/variable.ts'

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

  test('AWS_DEFAULT_REGION is checked where it is used, and nowhere else', () => {
    const environment = { AWS_DEFAULT_REGION: 'nowhere' }
    expect(() => loadConfig(environment, 'start')).toThrow(
      /^AWS_DEFAULT_REGION=nowhere is not usable: .*such as eu-central-1\. /,
    )
    expect(loadConfig(environment, 'lab').region).toBe('us-east-1')
    const given = { ...environment, AWS_REGION: 'eu-west-1' }
    expect(loadConfig(given, 'start').region).toBe('eu-west-1')
  })

  test('trusted proxies are addresses and blocks with commas between them', () => {
    const { trustedProxies } = loadConfig({ SLUICE_TRUSTED_PROXIES: '10.0.0.0/8, ::1,' }, 'lab')
    expect(trustedProxies).toEqual(['10.0.0.0/8', '::1'])
    expect(() => loadConfig({ SLUICE_TRUSTED_PROXIES: '10.0.0.0/8,proxy' }, 'lab')).toThrow(
      'SLUICE_TRUSTED_PROXIES: "proxy" is no IP address or CIDR block',
    )
  })

  test('the result is frozen all the way down', () => {
    const config = loadConfig({}, 'lab')
    expect(Object.isFrozen(config) && Object.isFrozen(config.mqtt)).toBe(true)
  })

  test.each([
    [{ SLUICE_MQTT_PORT: 'abc' }, /SLUICE_MQTT_PORT=abc .*integer.*Port of the MQTT broker/],
    [{ SLUICE_HTTP_PORT: '70000' }, /SLUICE_HTTP_PORT=70000 .*an integer from 0 to 65535\. /],
    [{ SLUICE_HTTP_PORT: '-1' }, /SLUICE_HTTP_PORT=-1 /],
    [{ SLUICE_HTTP_PORT: '80.5' }, /SLUICE_HTTP_PORT=80\.5 /],
    [{ SLUICE_HTTP_PORT: '0x50' }, /SLUICE_HTTP_PORT=0x50 /],
    [{ SLUICE_RULES_MAX: '0' }, /SLUICE_RULES_MAX=0 .*an integer from 1 to 100000\. Rules/],
    [{ SLUICE_LOG_LEVEL: 'loud' }, /SLUICE_LOG_LEVEL=loud .*debug, info, warn, error/],
    [{ SLUICE_ACCOUNT_ID: '123' }, /SLUICE_ACCOUNT_ID=123 .*it must be 12 digits\. /],
    [{ AWS_REGION: 'nowhere' }, /AWS_REGION=nowhere .*such as eu-central-1\. /],
    [{ SLUICE_LAB_LIMITS: 'reads,all' }, /SLUICE_LAB_LIMITS=reads,all .*writes, reads and fan-out/],
    [{ SLUICE_LAB_STRICT: 'yes' }, /SLUICE_LAB_STRICT=yes .*it must be 1 or 0\. /],
    [{ SLUICE_AUTH: 'basic' }, /SLUICE_AUTH=basic .*`sigv4` accepts signed requests/],
    [{ SLUICE_METRICS_TOKEN: 'short' }, /SLUICE_METRICS_TOKEN=\(not shown\) .*16 to 256/],
    [{ SLUICE_HTTP_HOST: '0.0.0.0' }, /SLUICE_HTTP_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
    [{ SLUICE_MQTT_HOST: '0.0.0.0' }, /SLUICE_MQTT_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
    [{ SLUICE_LOGIN_KEY_FILE: 'k' }, /SLUICE_LOGIN_KEY_FILE needs SLUICE_PASSWORD_FILE/],
    [
      { SLUICE_LOGIN_KEY_FILE: 'd/k', SLUICE_PASSWORD_FILE: 'p', SLUICE_DATA_DIR: 'd' },
      /SLUICE_LOGIN_KEY_FILE is in the data folder .*keep it elsewhere/,
    ],
    [{ SLUICE_MQTT_ANONYMOUS: 'off' }, /SLUICE_MQTT_ANONYMOUS=off .*SLUICE_PASSWORD_FILE/],
    [{ SLUICE_MQTT_ANONYMOUS: 'maybe' }, /SLUICE_MQTT_ANONYMOUS=maybe /],
    [{ SLUICE_TLS_CERT_FILE: 'c' }, /SLUICE_TLS_KEY_FILE is not set/],
    [{ SLUICE_TLS_KEY_FILE: 'k' }, /SLUICE_TLS_CERT_FILE is not set/],
    [{ SLUICE_TLS_CA_FILE: 'a' }, /SLUICE_TLS_CERT_FILE is not set/],
    [
      { SLUICE_TLS_CERT_FILE: 'c', SLUICE_TLS_KEY_FILE: 'k', SLUICE_MQTTS_HOST: '::' },
      /SLUICE_MQTTS_HOST=:: .*nobody could log in/,
    ],
    [{ SLUICE_HTTP_TLS: 'on' }, /SLUICE_HTTP_TLS=on needs SLUICE_TLS_CERT_FILE/],
    [{ SLUICE_LAB_HOST: '0.0.0.0' }, /SLUICE_LAB_HOST=0\.0\.0\.0 .*SLUICE_INSECURE=1/],
  ])('%j is refused with one line that names it', (environment, message) => {
    expect(() => loadConfig(environment, 'lab')).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringMatching(new RegExp(`^${message.source}[^\\n]*$`)) as string,
      }) as Error,
    )
  })

  test('`start` without a region is refused', () => {
    expect(() => loadConfig({}, 'start')).toThrow(
      'AWS_REGION is not set: it names the region of the streams, e.g. AWS_REGION=eu-central-1',
    )
  })

  test('SLUICE_INSECURE=1 allows all bind addresses', () => {
    const environment = { SLUICE_MQTT_HOST: '0.0.0.0', SLUICE_INSECURE: '1' }
    expect(loadConfig(environment, 'lab').mqtt.host).toBe('0.0.0.0')
  })
})

describe('authentication of the HTTP API', () => {
  const region = { AWS_REGION: 'eu-west-1' }

  test('is off in the lab and on in `start` by default', () => {
    expect(loadConfig({}, 'lab').auth.kind).toBe('off')
    expect(loadConfig(region, 'start').auth.kind).toBe('sigv4')
    expect(loadConfig({ SLUICE_AUTH: 'sigv4' }, 'lab').auth.kind).toBe('sigv4')
    expect(loadConfig({ ...region, SLUICE_AUTH: 'off' }, 'start').auth.kind).toBe('off')
  })

  test.each([
    ['lab', {}, path.resolve('lab-data/credentials.json')],
    ['start', {}, path.resolve('data/credentials.json')],
    ['lab', { SLUICE_DATA_DIR: '/d' }, '/d/credentials.json'],
    ['start', { SLUICE_DATA_DIR: '/d', SLUICE_CREDENTIALS_FILE: '' }, '/d/credentials.json'],
    ['start', { SLUICE_DATA_DIR: '/d', SLUICE_CREDENTIALS_FILE: '/keys' }, '/keys'],
  ] as const)('in `%s` keys of %j are in %s', (mode, environment, file) => {
    expect(loadConfig({ ...region, ...environment }, mode).auth.credentialsFile).toBe(file)
  })

  test('allows non-loopback addresses for HTTP, and for no other listener', () => {
    const signed = { ...region, SLUICE_HTTP_HOST: '0.0.0.0' }
    expect(openListeners(loadConfig(signed, 'start'))).toEqual([])
    for (const more of [{ SLUICE_AUTH: 'off' }, { SLUICE_MQTT_HOST: '0.0.0.0' }]) {
      expect(() => loadConfig({ ...signed, ...more }, 'start')).toThrow(/SLUICE_INSECURE=1/)
    }
    const insecure = { ...signed, SLUICE_MQTT_HOST: '::', SLUICE_INSECURE: '1' }
    const open = openListeners(loadConfig(insecure, 'start'))
    expect(open.map(({ name }) => name)).toEqual(['SLUICE_MQTT_HOST', 'SLUICE_HTTP_HOST'])
  })
})

describe('the data folder', () => {
  test('has different defaults for a lab and an engine', () => {
    expect(loadConfig({}, 'lab').dataDir).toBe(path.resolve('lab-data'))
    expect(loadConfig({ AWS_REGION: 'eu-west-1' }, 'start').dataDir).toBe(path.resolve('data'))
  })

  test("differs from the folder of the lab's streams", () => {
    expect(() => loadConfig({ SLUICE_LAB_DATA: 'lab-data' }, 'lab')).toThrow(
      /^SLUICE_LAB_DATA and SLUICE_DATA_DIR are both .*lab-data: .* a folder of their own$/,
    )
  })

  test.each([
    ['lab', undefined, true],
    ['lab', 'off', false],
    ['start', undefined, false],
    ['start', 'on', false],
  ] as const)(
    'in `%s` with SLUICE_SAMPLE_MAPPING=%s starts with a sample: %s',
    (mode, value, is) => {
      const environment = { AWS_REGION: 'eu-west-1', SLUICE_SAMPLE_MAPPING: value }
      expect(loadConfig(environment, mode).samplesMapping).toBe(is)
    },
  )
})

describe('MQTT', () => {
  const certificate = { SLUICE_TLS_CERT_FILE: 'c.pem', SLUICE_TLS_KEY_FILE: 'k.pem' }
  const anywhere = { SLUICE_MQTT_HOST: '0.0.0.0' }

  test.each([
    [{}, true, true, true],
    [{ SLUICE_MQTT_ANONYMOUS: 'off', SLUICE_PASSWORD_FILE: 'p' }, false, false, false],
    [{ ...anywhere, SLUICE_PASSWORD_FILE: 'p' }, false, false, true],
    [{ ...anywhere, ...certificate, SLUICE_TLS_CA_FILE: 'a' }, false, false, true],
    [{ ...anywhere, SLUICE_MQTT_ANONYMOUS: 'on' }, true, true, true],
    [{ ...anywhere, SLUICE_INSECURE: '1' }, true, true, true],
    [{ SLUICE_MQTTS_HOST: '::', ...certificate, SLUICE_TLS_CA_FILE: 'a' }, true, false, true],
    [{ SLUICE_HTTP_HOST: '::', SLUICE_AUTH: 'sigv4' }, true, true, false],
  ])(
    'of %j admits anonymous clients: without TLS %s, over TLS %s, over WebSocket %s',
    (given, ...expected) => {
      const { tcp, tls, websocket } = loadConfig(given, 'lab').mqtt.anonymous
      expect([tcp, tls, websocket]).toEqual(expected)
    },
  )

  test('can be closed to all clients without a signed URL', () => {
    const closed = { SLUICE_MQTT_ANONYMOUS: 'off', SLUICE_AUTH: 'sigv4' }
    expect(loadConfig(closed, 'lab').mqtt.anonymous.tcp).toBe(false)
  })

  test('over TLS has a bind address of its own, or that of plain MQTT', () => {
    expect(loadConfig({}, 'lab').mqtt.tls).toEqual({ host: '127.0.0.1', port: 8883 })
    const config = loadConfig(
      { ...certificate, SLUICE_MQTTS_HOST: '::', SLUICE_MQTT_ANONYMOUS: 'on' },
      'lab',
    )
    expect(config.mqtt).toMatchObject({ host: '127.0.0.1', tls: { host: '::' } })
    expect(openListeners(config).map(({ name }) => name)).toEqual(['SLUICE_MQTTS_HOST'])
  })

  test('that other machines reach without authentication is an open listener', () => {
    const config = loadConfig({ ...anywhere, SLUICE_MQTT_ANONYMOUS: 'on' }, 'lab')
    expect(openListeners(config)).toEqual([
      { name: 'SLUICE_MQTT_HOST', host: '0.0.0.0', isAllowed: true },
    ])
  })

  test('has TLS files with absolute paths, and HTTP uses them by default', () => {
    const { tls, http } = loadConfig(certificate, 'lab')
    expect(tls).toEqual({
      certificateFile: path.resolve('c.pem'),
      keyFile: path.resolve('k.pem'),
    })
    expect(http.tls).toBe(true)
    expect(loadConfig({ ...certificate, SLUICE_HTTP_TLS: 'off' }, 'lab').http.tls).toBe(false)
    expect(loadConfig({}, 'lab')).toMatchObject({ tls: undefined, http: { tls: false } })
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

describe('readVariables', () => {
  const table = {
    A_PORT: { kind: 'integer', range: { minimum: 0, maximum: 65_535 }, description: 'A port.' },
    A_SWITCH: { kind: 'choice', choices: ['on', 'off'], default: 'off', description: 'A switch.' },
    A_SECRET: { kind: 'pattern', pattern: /^\d+$/, form: 'x', isSecret: true, description: 'A.' },
  } as const

  test('gives each value its type: a literal, a number, or undefined without a default', () => {
    const { A_PORT: port, A_SWITCH: aSwitch } = readVariables(table, { A_PORT: '80' })
    const read: { port: number | undefined; aSwitch: 'on' | 'off' } = { port, aSwitch }
    expect(read).toEqual({ port: 80, aSwitch: 'off' })
    expect(readVariables(table, {}).A_PORT).toBeUndefined()
  })

  test('reads the named variables and ignores the others', () => {
    expect(readVariables(table, { A_PORT: 'x', A_SWITCH: 'on' }, ['A_SWITCH'])).toEqual({
      A_SWITCH: 'on',
    })
  })

  test('accepts every default as a value', () => {
    const defaults = readVariables(variables, {})
    const written = Object.entries(defaults).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    )
    expect(written.length).toBeGreaterThan(0)
    expect(readVariables(variables, Object.fromEntries(written))).toEqual(defaults)
  })

  test('does not show secrets in errors', () => {
    expect(() => readVariables(table, { A_SECRET: 'hunter2' })).toThrow(
      'A_SECRET=(not shown) is not usable: it must be x. A.',
    )
  })
})
