import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer as createPlainServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { startBroker, startUpstream, temporaryDirectory } from './upstream-fixtures.ts'
import type { TestBroker, TestUpstreamOptions } from './upstream-fixtures.ts'

/** The one line of an engine whose broker does not let it in. */
async function refusalOf(options: TestUpstreamOptions): Promise<string> {
  const engine = await startUpstream(options)
  await engine.until(() => engine.warnings().length > 0)
  expect(engine.upstream.troubles()).toContain('upstreamDisconnected')
  expect(engine.lines[0]?.['level']).toBe('error')
  expect(engine.lines[0]?.['retryMs']).toBe(500)
  await engine.close()
  const [line = '', ...more] = engine.warnings()
  expect(more).toEqual([])
  return line.replace('the upstream broker is not connected: ', '')
}

/** @param returnCode of CONNACK */
const refusing = (returnCode: number) =>
  startBroker({
    authenticate: (_client, _user, _password, done) => {
      const error = Object.assign(new Error('no'), { returnCode })
      done(error, null)
    },
  })

describe('a broker that does not let the engine in', () => {
  test.for([
    [4, /^it refused the connection: user name or password is not right \(SLUICE_UPSTREAM_USER, /],
    [5, /^it refused the connection: it does not let the client sluice-\w+ in: .*iot:Connect/],
    [2, /^it refused the connection: it does not take the client id sluice-\w+: set /],
    [3, /^it refused the connection: it is not available at the moment$/],
  ] as const)('says so: return code %i', async ([code, line]) => {
    const { port } = await refusing(code)
    expect(await refusalOf({ port })).toMatch(line)
  })

  test('because it wants a password, gets the one of the file', async () => {
    const seen: string[] = []
    const broker = await startBroker({
      authenticate: (_client, user, password, done) => {
        seen.push(`${String(user)} ${String(password)}`)
        done(null, true)
      },
    })
    const file = path.join(await temporaryDirectory(), 'password')
    await writeFile(file, 'secret\n', { mode: 0o600 })
    const engine = await startUpstream({
      port: broker.port,
      environment: { SLUICE_UPSTREAM_USER: 'plant', SLUICE_UPSTREAM_PASSWORD_FILE: file },
    })
    await engine.until(engine.isReading)
    expect(seen).toEqual(['plant secret'])
  })

  test('speaks another version of MQTT', async () => {
    const { port } = await startBroker()
    const environment = { SLUICE_UPSTREAM_MQTT_VERSION: '5' }
    expect(await refusalOf({ port, environment })).toMatch(
      /MQTT 5.*SLUICE_UPSTREAM_MQTT_VERSION=3\.1\.1/,
    )
  })

  test('is not there', async () => {
    const broker = await startBroker()
    await broker.down()
    expect(await refusalOf({ port: broker.port })).toBe('nothing listens there')
  })

  test('closes the connection without a word', async () => {
    const server = createPlainServer((socket) => {
      socket.on('error', () => undefined).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    expect(await refusalOf({ port })).toBe(
      'it closed the connection without an answer: it may speak TLS on this port (mqtts:), ' +
        'or a policy does not let the client in',
    )
  })

  test('does not answer', async () => {
    const server = createPlainServer((socket) => {
      socket.on('error', () => undefined).resume()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const engine = await startUpstream({ port })
    const [socket] = (await once(server, 'connection')) as [NodeJS.ReadableStream]
    await once(socket, 'data')
    engine.clock.advance(20_000)
    await engine.until(() => engine.warnings().length > 0)
    expect(engine.warnings()[0]).toMatch(/: it did not answer in time: is it an MQTT broker, and/)
  })
})

/** TLS in front of a broker, with the certificates of a lab. */
async function overTls(broker: TestBroker, isCertificateWanted = false) {
  const directory = await temporaryDirectory()
  await makeCertificateFolder({
    directory,
    devices: ['engine'],
    hosts: [],
    force: false,
    nowMs: Date.now(),
  })
  const file = (name: string) => path.join(directory, name)
  const server = tls.createServer(
    {
      ca: await readFile(file('ca.pem')),
      cert: await readFile(file('server.pem')),
      key: await readFile(file('server-key.pem')),
      requestCert: isCertificateWanted,
      rejectUnauthorized: isCertificateWanted,
      ALPNProtocols: ['x-amzn-mqtt-ca'],
    },
    (socket) => {
      protocols.push(String(socket.alpnProtocol))
      broker.aedes.handle(socket.on('error', () => undefined))
    },
  )
  const protocols: string[] = []
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { file, port: (server.address() as AddressInfo).port, protocols }
}

describe('over TLS', () => {
  const protocol = 'mqtts'

  test('a certificate of no known CA is refused', async () => {
    const { port } = await overTls(await startBroker())
    expect(await refusalOf({ port, protocol })).toMatch(
      /^its certificate is of no known CA: name the CA with SLUICE_UPSTREAM_CA_FILE/,
    )
  })

  test('a client certificate is shown, and ALPN asked for', async () => {
    const broker = await startBroker()
    const { file, port, protocols } = await overTls(broker, true)
    const engine = await startUpstream({
      port,
      protocol,
      environment: {
        SLUICE_UPSTREAM_CA_FILE: file('ca.pem'),
        SLUICE_UPSTREAM_CERT_FILE: file('devices/engine.pem'),
        SLUICE_UPSTREAM_KEY_FILE: file('devices/engine-key.pem'),
        SLUICE_UPSTREAM_ALPN: 'x-amzn-mqtt-ca',
      },
    })
    await engine.until(engine.isReading)
    expect(protocols).toEqual(['x-amzn-mqtt-ca'])
    await broker.publish('plant/1', 'a')
    await engine.until(() => engine.ingested.length === 1)
  })

  test('a broker that wants a client certificate says so', async () => {
    const { file, port } = await overTls(await startBroker(), true)
    const environment = { SLUICE_UPSTREAM_CA_FILE: file('ca.pem') }
    expect(await refusalOf({ port, protocol, environment })).toMatch(
      /may want a client certificate/,
    )
  })

  test('a port without TLS is told apart', async () => {
    const { port } = await startBroker()
    expect(await refusalOf({ port, protocol })).toMatch(
      /^it closed the connection without an answer: .*not speak TLS on this port/,
    )
  })

  test('files that are not there, or do not fit, end the start', async () => {
    const { file, port } = await overTls(await startBroker())
    const start = (environment: Record<string, string>) =>
      startUpstream({ port, protocol, environment })
    await expect(start({ SLUICE_UPSTREAM_CA_FILE: '/nowhere.pem' })).rejects.toThrow(
      'SLUICE_UPSTREAM_CA_FILE: /nowhere.pem: is not there',
    )
    await chmod(file('ca-key.pem'), 0o644)
    await expect(
      start({
        SLUICE_UPSTREAM_CERT_FILE: file('server.pem'),
        SLUICE_UPSTREAM_KEY_FILE: file('ca-key.pem'),
      }),
    ).rejects.toThrow(/SLUICE_UPSTREAM_KEY_FILE: .*ca-key\.pem: is open to others/)
    await expect(start({ SLUICE_UPSTREAM_CA_FILE: file('server-key.pem') })).rejects.toThrow(
      /SLUICE_UPSTREAM_CA_FILE: .*server-key\.pem: is not valid/,
    )
    await expect(
      start({
        SLUICE_UPSTREAM_CERT_FILE: file('server.pem'),
        SLUICE_UPSTREAM_KEY_FILE: file('devices/engine-key.pem'),
      }),
    ).rejects.toThrow(
      /SLUICE_UPSTREAM_KEY_FILE: .*engine-key\.pem: is not the key of .*server\.pem/,
    )
  })
})

test('a refused filter is told once, shown by health, and asked for again', async () => {
  let isAllowed = false
  const broker = await startBroker({
    authorizeSubscribe: (_client, subscription, callback) => {
      callback(null, subscription.topic === 'a/#' || isAllowed ? subscription : null)
    },
  })
  const engine = await startUpstream({
    port: broker.port,
    environment: { SLUICE_UPSTREAM_FILTERS: 'a/#, b/#' },
  })
  await engine.until(engine.isReading)
  expect(engine.warnings()).toEqual([
    'the upstream broker refuses the subscription to b/#: ' +
      'the broker does not allow it, or does not take such a filter',
  ])
  expect(engine.upstream.troubles()).toEqual(['upstreamFiltersRefused'])
  engine.clock.advance(60_000)
  await once(broker.aedes, 'subscribe')
  isAllowed = true
  await engine.until(() => engine.clock.timerCount > 0)
  engine.clock.advance(60_000)
  await engine.until(() => engine.upstream.troubles().length === 0)
  expect(engine.warnings()).toHaveLength(1)
  await broker.publish('b/1', 'b')
  await engine.until(() => broker.acknowledged.length === 1)
})

test('an engine does not read itself', async () => {
  const { port } = await startBroker()
  expect(await refusalOf({ port, isConnectedHere: () => true })).toMatch(
    /^it is this engine itself, or a client here has its client id: /,
  )
})

test.for([
  ['plant/#/more', /SLUICE_UPSTREAM_FILTERS: "plant\/#\/more": '#' is the last level/],
  ['$share/a/b', /SLUICE_UPSTREAM_FILTERS: .*SLUICE_UPSTREAM_SHARE_GROUP/],
] as const)('the filter %s ends the start', async ([filter, problem]) => {
  const environment = { SLUICE_UPSTREAM_FILTERS: filter }
  await expect(startUpstream({ port: 1, environment })).rejects.toThrow(problem)
})

test('the name of a group with a wildcard ends the start', async () => {
  const environment = {
    SLUICE_UPSTREAM_SHARE_GROUP: 'a+b',
    SLUICE_UPSTREAM_MQTT_VERSION: '5',
  }
  await expect(startUpstream({ port: 1, environment })).rejects.toThrow(
    /SLUICE_UPSTREAM_SHARE_GROUP: "a\+b": the name of the group holds a wildcard/,
  )
})
