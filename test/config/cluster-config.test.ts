import path from 'node:path'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'

const clusterOf = (environment: Readonly<Record<string, string>>) =>
  loadConfig(environment, 'lab').cluster

test('without servers there is no cluster', () => {
  expect(clusterOf({})).toBeUndefined()
  expect(clusterOf({ SLUICE_CLUSTER_NAME: 'other' })).toBeUndefined()
})

test('servers are listed with and without scheme and port', () => {
  expect(clusterOf({ SLUICE_NATS_URL: 'nats-0, nats://nats-1:4333,nats://[::1]' })).toEqual({
    name: 'sluice',
    servers: ['nats-0:4222', 'nats-1:4333', '[::1]:4222'],
    login: { kind: 'none' },
    tls: undefined,
    monitorUrls: [],
  })
})

test('a login is a user of a URL, a credentials file or an NKEY', () => {
  const url = { SLUICE_NATS_URL: 'tls://a%40b:p%3Aw@nats-0' }
  expect(clusterOf(url)).toMatchObject({
    servers: ['nats-0:4222'],
    login: { kind: 'password', user: 'a@b', password: 'p:w' },
    tls: { authorityFile: undefined, client: undefined },
  })
  const token = { SLUICE_NATS_URL: 'nats://s%40cret@nats-0,nats://nats-1' }
  expect(clusterOf(token)?.login).toEqual({ kind: 'token', token: 's@cret' })
  const file = path.resolve('user.creds')
  const plain = { SLUICE_NATS_URL: 'nats-0' }
  expect(clusterOf({ ...plain, SLUICE_NATS_CREDENTIALS_FILE: 'user.creds' })?.login).toEqual({
    kind: 'credentials',
    file,
  })
  expect(clusterOf({ ...plain, SLUICE_NATS_NKEY_FILE: 'user.creds' })?.login).toEqual({
    kind: 'nkey',
    file,
  })
})

test('files of TLS and monitoring ports', () => {
  const cluster = clusterOf({
    SLUICE_NATS_URL: 'nats-0',
    SLUICE_NATS_CA_FILE: 'ca.pem',
    SLUICE_NATS_CERT_FILE: 'c.pem',
    SLUICE_NATS_KEY_FILE: 'k.pem',
    SLUICE_NATS_MONITOR_URL: 'http://nats-0:8222/,http://nats-1:8222',
  })
  expect(cluster?.tls).toEqual({
    authorityFile: path.resolve('ca.pem'),
    client: { certificateFile: path.resolve('c.pem'), keyFile: path.resolve('k.pem') },
  })
  expect(cluster?.monitorUrls).toEqual(['http://nats-0:8222', 'http://nats-1:8222'])
})

test.each([
  [{ SLUICE_NATS_URL: 'nats://a:secret@' }, 'server 1 must be a URL such as'],
  [{ SLUICE_NATS_URL: 'nats-0,http://a:secret@nats-1' }, 'server 2 must be a URL such as'],
  [{ SLUICE_NATS_URL: 'nats://a:secret%@nats-0' }, 'server 1 must be a URL such as'],
  [{ SLUICE_NATS_URL: 'nats://a:secret@one,nats://b:secret@two' }, 'have different users'],
  [
    { SLUICE_MQTT_PAYLOAD_BYTES_MAX: '229377' },
    'with SLUICE_NATS_URL it is at most 229376, because a record',
  ],
  [{ SLUICE_NATS_URL: 'nats-0/secret' }, 'server 1 must be a URL such as'],
  [{ SLUICE_NATS_URL: ' , ' }, 'it names no server'],
  [{ SLUICE_CLUSTER_NAME: 'a.b' }, '1 to 64 letters, digits'],
  [{ SLUICE_NATS_CERT_FILE: 'c.pem' }, 'SLUICE_NATS_KEY_FILE is not set'],
  [{ SLUICE_NATS_KEY_FILE: 'k.pem' }, 'SLUICE_NATS_CERT_FILE is not set'],
  [{ SLUICE_NATS_MONITOR_URL: 'nats-0:8222' }, 'is not a URL such as http://nats-0:8222'],
  [
    { SLUICE_NATS_CREDENTIALS_FILE: 'a', SLUICE_NATS_NKEY_FILE: 'b' },
    'only one can be set: remove the others',
  ],
])('%j is refused', (environment, text) => {
  const all = { SLUICE_NATS_URL: 'nats-0', ...environment }
  expect(() => clusterOf(all)).toThrow(text)
  expect(() => clusterOf(all)).not.toThrow('secret')
})
