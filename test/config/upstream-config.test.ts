import path from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'

const url = 'mqtts://broker.example.com'

const upstreamOf = (environment: Readonly<Record<string, string>>) =>
  loadConfig(environment, 'lab').upstream

test('without a URL no broker is read, whatever else is set', () => {
  expect(upstreamOf({})).toBeUndefined()
  expect(upstreamOf({ SLUICE_UPSTREAM_FILTERS: 'a/#' })).toBeUndefined()
})

test('a URL alone is enough', () => {
  expect(upstreamOf({ SLUICE_UPSTREAM_URL: url })).toEqual({
    protocol: 'mqtts',
    host: 'broker.example.com',
    port: 8883,
    version: '5',
    filters: ['#'],
    sessionExpirySeconds: 86_400,
    unacknowledgedMax: 256,
  })
})

test.for([
  ['mqtt://broker', { protocol: 'mqtt', host: 'broker', port: 1883, path: undefined }],
  ['mqtt://[::1]:1884/', { protocol: 'mqtt', host: '::1', port: 1884, path: undefined }],
  ['ws://broker', { protocol: 'ws', host: 'broker', port: 80, path: '/mqtt' }],
  ['wss://broker:8084/ws?a=1', { protocol: 'wss', host: 'broker', port: 8084, path: '/ws?a=1' }],
] as const)('the address of %s', ([text, address]) => {
  expect(upstreamOf({ SLUICE_UPSTREAM_URL: text })).toMatchObject(address)
})

test('filters are separated by commas, and each is asked for once', () => {
  const environment = { SLUICE_UPSTREAM_URL: url, SLUICE_UPSTREAM_FILTERS: 'a/#, b/+/c,, a/#' }
  expect(upstreamOf(environment)?.filters).toEqual(['a/#', 'b/+/c'])
})

const onAws = 'mqtts://a1b2-ats.iot.eu-central-1.amazonaws.com'
const files = { SLUICE_UPSTREAM_CERT_FILE: 'c.pem', SLUICE_UPSTREAM_KEY_FILE: 'k.pem' }

test.for([
  [`${onAws}:443`, files, 'x-amzn-mqtt-ca'],
  [`${onAws}:443`, {}, 'mqtt'],
  [`${onAws}:443`, { ...files, SLUICE_UPSTREAM_ALPN: 'mqtt' }, 'mqtt'],
  [onAws, files, undefined],
  ['mqtts://broker.example.com:443', files, undefined],
] as const)('ALPN of %s with %o', ([text, more, alpn]) => {
  const upstream = upstreamOf({ SLUICE_UPSTREAM_URL: text, ...more })
  expect(upstream?.alpn).toBe(alpn)
  expect(upstream?.keyFile).toBe(
    'SLUICE_UPSTREAM_KEY_FILE' in more ? path.resolve('k.pem') : undefined,
  )
})

const urlForm = /^SLUICE_UPSTREAM_URL is not usable: it must be a URL such as mqtts:\/\//

test.for<[environment: Record<string, string>, problem: RegExp]>([
  [{ SLUICE_UPSTREAM_URL: 'broker.example.com' }, urlForm],
  [{ SLUICE_UPSTREAM_URL: 'http://broker.example.com' }, urlForm],
  [{ SLUICE_UPSTREAM_URL: 'mqtts://' }, urlForm],
  [
    { SLUICE_UPSTREAM_URL: 'mqtts://me:hidden@broker' },
    /^SLUICE_UPSTREAM_URL holds a user or a password, .* SLUICE_UPSTREAM_PASSWORD_FILE$/,
  ],
  [{ SLUICE_UPSTREAM_URL: 'mqtt://broker/plant' }, /has a path, .*SLUICE_UPSTREAM_FILTERS/],
  [{ SLUICE_UPSTREAM_FILTERS: ' , ' }, /^SLUICE_UPSTREAM_FILTERS names no topic filter/],
  [{ SLUICE_UPSTREAM_CERT_FILE: 'c.pem' }, /^SLUICE_UPSTREAM_KEY_FILE is not set/],
  [{ SLUICE_UPSTREAM_KEY_FILE: 'k.pem' }, /^SLUICE_UPSTREAM_CERT_FILE is not set/],
  [
    { SLUICE_UPSTREAM_URL: 'mqtt://broker', SLUICE_UPSTREAM_CA_FILE: 'ca.pem' },
    /has no TLS: the files of TLS need mqtts:$/,
  ],
  [{ SLUICE_UPSTREAM_PASSWORD: 'hidden' }, /^SLUICE_UPSTREAM_USER is not set/],
  [
    {
      SLUICE_UPSTREAM_USER: 'me',
      SLUICE_UPSTREAM_PASSWORD: 'hidden',
      SLUICE_UPSTREAM_PASSWORD_FILE: 'f',
    },
    /are both set: keep one$/,
  ],
  [
    { SLUICE_UPSTREAM_SHARE_GROUP: 'g', SLUICE_UPSTREAM_MQTT_VERSION: '3.1.1' },
    /^SLUICE_UPSTREAM_SHARE_GROUP needs SLUICE_UPSTREAM_MQTT_VERSION=5$/,
  ],
  [{ SLUICE_UPSTREAM_MQTT_VERSION: '4' }, /SLUICE_UPSTREAM_MQTT_VERSION=4 is not usable/],
])('%o is refused in one line', ([environment, problem]) => {
  const load = () => upstreamOf({ SLUICE_UPSTREAM_URL: url, ...environment })
  expect(load).toThrow(problem)
  expect(load).not.toThrow(/hidden|\n/)
})
