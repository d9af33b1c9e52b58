import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { reserveBytes } from '../../src/cluster/log/log-room.ts'
import { isOlder, payloadBytesMin } from '../../src/cluster/nats/server-check.ts'
import { loadConfig, variables } from '../../src/config/config.ts'

interface Service {
  readonly image: string
  readonly restart?: string
  readonly build?: string
  readonly command?: readonly string[]
  /** Null: as in the shell that runs compose. */
  readonly environment?: Readonly<Record<string, string | null>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly networks?: readonly string[] | Readonly<Record<string, { ipv4_address: string }>>
  readonly stop_grace_period?: string
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { internal?: boolean }>>
  readonly volumes: Readonly<Record<string, null>>
}

const deploy = path.resolve(import.meta.dirname, '../../deploy')
const read = (file: string) => readFileSync(path.join(deploy, file), 'utf8')
const file = parse(read('compose.cluster.yml'), { merge: true }) as Compose
const named = (start: string) =>
  Object.entries(file.services).filter(([name]) => name.startsWith(start))
const [servers, engines] = [named('nats-'), named('engine-')]
const balancer = file.services['balancer']
const serverConf = read('cluster/nats-server.conf')
const proxyConf = read('cluster/haproxy.cfg')

/** What the variables of an engine come to, with those of the shell that are demanded. */
function configOf({ environment = {} }: Service) {
  const set = Object.entries(environment).flatMap(([name, value]) =>
    value === null ? [] : [[name, value.replace(/\$\{AWS_REGION:\?.*\}/, 'eu-central-1')]],
  )
  return loadConfig(Object.fromEntries(set) as Record<string, string>, 'start')
}

test('the cluster has three servers and three engines, each with data of its own', () => {
  expect([servers.length, engines.length]).toEqual([3, 3])
  const held = [...servers, ...engines].map(([name, { volumes = [] }]) => [name, volumes.at(-1)])
  expect(held).toEqual([
    ...servers.map(([name]) => [name, `${name}:/data`]),
    ...engines.map(([name]) => [name, `${name}:/sluice/data`]),
  ])
  expect(Object.keys(file.volumes)).toEqual(held.map(([name]) => name))
  expect(serverConf).toContain('store_dir: /data\n')
})

test('the engines are of the one image, and nodes of one cluster of all servers', () => {
  for (const [, engine] of engines) {
    expect(engine).toMatchObject({ image: 'sluice', build: '..', command: ['start'] })
    for (const name of Object.keys(engine.environment ?? {})) {
      expect([...Object.keys(variables), ...ofShell]).toContain(name)
    }
    const { cluster, drainMs } = configOf(engine)
    expect(cluster).toMatchObject({
      name: 'sluice',
      servers: servers.map(([name]) => `${name}:4222`),
      monitorUrls: servers.map(([name]) => `http://${name}:8222`),
    })
    expect(Number.parseInt(engine.stop_grace_period ?? '') * 1_000).toBeGreaterThan(2 * drainMs)
  }
})
const ofShell = ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']

test('nobody signs in without a certificate or a signature, and only engines reach NATS', () => {
  for (const [, engine] of engines) {
    expect(engine.environment).not.toHaveProperty('SLUICE_INSECURE')
    const { auth, mqtt, tls } = configOf(engine)
    expect(auth.kind).toBe('sigv4')
    expect(mqtt.anonymous).toMatchObject({ tls: false, websocket: false })
    expect(tls?.authorityFile).toBe('/tls/ca.pem')
    expect(engine.ports).toBeUndefined()
  }
  expect(file.networks['nats']).toEqual({ internal: true })
  const reaching = Object.entries(file.services).filter(([, { networks = [] }]) =>
    Array.isArray(networks) ? networks.includes('nats') : 'nats' in networks,
  )
  expect(reaching.map(([name]) => name)).toEqual([...servers, ...engines].map(([name]) => name))
  for (const [, { ports }] of servers) expect(ports).toBeUndefined()
})

test('the servers are as a node asks for them', () => {
  const lines = serverConf.split('\n').map((line) => line.trim())
  for (const line of ['sync_interval: always', 'max_payload: 8MB', 'server_name: $SERVER_NAME']) {
    expect(lines).toContain(line)
  }
  expect(8 * 1_048_576).toBeGreaterThanOrEqual(payloadBytesMin)
  const routes = servers.map(([name]) => `nats://${name}:6222`)
  expect(lines).toContain(`routes: [${routes.join(', ')}]`)
  for (const [name, { image, environment, command, volumes = [] }] of servers) {
    expect(environment).toEqual({ SERVER_NAME: name })
    const [mounted, target] = (volumes[0] ?? '').split(':')
    expect([mounted, target]).toEqual(['./cluster/nats-server.conf', command?.at(-1)])
    expect(isOlder(image.replace('nats:', ''))).toBe(false)
  }
  const [, first] = engines[0] ?? []
  const stores = Number(/max_file_store: (\d+)GB/.exec(serverConf)?.[1]) * 1_073_741_824
  // The log, and the bucket of what nodes share.
  const needed = (first ? configOf(first).outboxBytesMax : Infinity) + reserveBytes + 1_073_741_824
  expect(stores).toBeGreaterThan(needed)
})

test('the balancer asks the health of each engine, and names the addresses of devices', () => {
  expect(proxyConf).toContain('http-check send meth GET uri /v1/health ver HTTP/1.1')
  expect(proxyConf).toContain('http-check expect status 200')
  const { networks, ports = [] } = balancer ?? {}
  const { ipv4_address: address } =
    (networks as Record<string, { ipv4_address: string }>)['devices'] ?? {}
  for (const [, engine] of engines) {
    expect(engine.environment?.['SLUICE_TRUSTED_PROXIES']).toBe(address)
    const { http, mqtt } = configOf(engine)
    expect([http.port, mqtt.tls.port]).toEqual([8080, 8883])
  }
  expect(proxyConf).toMatch(/^ {2}default-server check port 8080 .* send-proxy-v2 /m)
  for (const port of [8883, 8080]) {
    const ofPort = [...proxyConf.matchAll(new RegExp(`^  server (\\S+) (\\S+):${port}$`, 'gm'))]
    expect(ofPort.map(([, name, host]) => [name, host])).toEqual(
      engines.map(([name]) => [name, name]),
    )
    expect(proxyConf).toContain(`bind :${port}\n`)
  }
  expect(ports).toEqual(['8883:8883', '127.0.0.1:8080:8080'])
})
