import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { createTrustedProxies } from '../../../src/base/trusted-proxies.ts'
import { createCertificateMaker } from '../../../src/identity/certificates/certificate-maker.ts'
import type { KeyPairPem } from '../../../src/identity/certificates/certificate-maker.ts'
import { principalOf } from '../../../src/identity/policies/principal.ts'
import type { TlsMaterial } from '../../../src/identity/certificates/tls-files.ts'
import { allPermissions } from '../../../src/identity/policies/access.ts'
import type { Peer } from '../../../src/identity/policies/access.ts'
import { createIngress } from '../../../src/ingress/ingress.ts'
import type { Ingress, IngressOptions } from '../../../src/ingress/ingress.ts'
import type { WebSocketGuard } from '../../../src/ingress/entrances/web-socket.ts'
import type { Message } from '../../../src/message.ts'
import { guardOrigin } from '../../../src/base/origin-guard.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import { atTheEnd } from '../helpers.ts'

export type CertificatePair = Pick<TlsMaterial, 'cert' | 'key'>

/** A CA, and what it signed. */
export interface TestCertificates {
  readonly ca: string
  /** As the server shows it. */
  readonly server: TlsMaterial
  /** Another one of it. */
  readonly nextServer: TlsMaterial
  readonly device: CertificatePair
  readonly principal: string
  readonly expiredDevice: CertificatePair
}

const elevenYearsMs = 11 * 366 * 86_400_000

export async function makeCertificates(): Promise<TestCertificates> {
  const maker = await createCertificateMaker(Date.now())
  const formerMaker = await createCertificateMaker(Date.now() - elevenYearsMs)
  const authority = await maker.makeAuthority()
  const ca = authority.certificatePem
  const hosts = ['localhost', '127.0.0.1']
  const device = pairOf(await maker.makeDevice(authority, 'd1'))
  return {
    ca,
    server: { ...pairOf(await maker.makeServer(authority, hosts)), ca },
    nextServer: { ...pairOf(await maker.makeServer(authority, hosts)), ca },
    device,
    principal: principalOf(device.cert),
    expiredDevice: pairOf(await formerMaker.makeDevice(authority, 'd1')),
  }
}

const pairOf = ({ certificatePem, keyPem }: KeyPairPem): CertificatePair => ({
  cert: certificatePem,
  key: keyPem,
})

export interface TestEntrances {
  readonly ingress: Ingress
  readonly ports: {
    readonly mqtt: number
    readonly mqtts: number
    readonly ws: number
    readonly wss: number
  }
  /** What was known of each client that sent a CONNECT. */
  readonly peers: Peer[]
  readonly messages: Message[]
  /** Refused connections, by reason. */
  readonly refused: (reason: string) => Promise<number>
  readonly heldBytes: () => Promise<number>
  readonly lines: Record<string, unknown>[]
}

export interface EntrancesSettings {
  readonly certificates: TestCertificates
  readonly ingest?: (message: Message) => Promise<void>
  readonly options?: Partial<IngressOptions>
  readonly clock?: Clock
  readonly guard?: Partial<WebSocketGuard>
  readonly proxies?: readonly string[]
}

/** All ways in of one ingress; whoever comes is let in. Closed at the end of the file. */
export async function startEntrances(settings: EntrancesSettings): Promise<TestEntrances> {
  const { certificates, ingest, options, clock = systemClock, guard, proxies = [] } = settings
  const peers: Peer[] = []
  const messages: Message[] = []
  const lines: Record<string, unknown>[] = []
  const metrics = createMetrics()
  const ingress = await createIngress(
    {
      ingest(message) {
        messages.push(message)
        return ingest?.(message) ?? Promise.resolve()
      },
      access: {
        authenticate(origin) {
          peers.push(origin)
          return { outcome: 'admitted', permissions: allPermissions }
        },
      },
      webSocketGuard: {
        ignoresSignatures: false,
        accessKeys: { find: () => undefined },
        region: 'us-east-1',
        guardOrigin: (origin) => guardOrigin(origin, { host: '127.0.0.1', insecure: false }),
        ...guard,
      },
      proxies: createTrustedProxies(proxies),
      logger: createMemoryLogger((line) => lines.push(line)),
      metrics,
      clock,
    },
    { drainMs: 200, closeTimeoutMs: 200, ...options },
  )
  atTheEnd(() => ingress.close())
  const local = { host: '127.0.0.1', port: 0 }
  const tls = { ...certificates.server, requestCert: true, rejectUnauthorized: false }
  return {
    ingress,
    ports: {
      mqtt: (await ingress.listen(local)).port,
      mqtts: (await ingress.listenTls(local, certificates.server)).port,
      ws: await listen(createHttpServer(), ingress),
      wss: await listen(createHttpsServer(tls), ingress),
    },
    peers,
    messages,
    lines,
    async refused(reason) {
      const { values } = await metrics.mqttConnectionsRefused.get()
      return values.find(({ labels }) => labels.reason === reason)?.value ?? 0
    },
    async heldBytes() {
      const { values } = await metrics.mqttHeldBytes.get()
      return values[0]?.value ?? 0
    },
  }
}

async function listen(server: Server, ingress: Ingress): Promise<number> {
  server.on('upgrade', ingress.upgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTheEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

/** A client of MQTT by any of the ways; it does not come back by itself. */
export async function connectMqtt(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, ...options }, false)
  client.on('error', () => {})
  atTheEnd(() => client.end(true))
  return client
}

/** A TLS connection with nothing on it; rejects when there is none. */
export async function openTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ...options })
  atTheEnd(() => void socket.destroy())
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

/** Resolves when the other side has ended the connection, with or without an error. */
export function ended(socket: {
  once(event: 'close', listener: () => void): unknown
}): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()))
}
