import path from 'node:path'
import { SluiceError } from '../base/errors.ts'
import type { upstreamVariables } from './upstream-variables.ts'
import type { ValuesOf } from './variable.ts'

type UpstreamVariables = ValuesOf<typeof upstreamVariables>

/** A broker whose messages run the rules, and how Sluice is its client. */
export interface UpstreamConfig extends UpstreamAddress {
  readonly version: UpstreamVariables['SLUICE_UPSTREAM_MQTT_VERSION']
  /** Without the prefix of a shared subscription. */
  readonly filters: readonly string[]
  readonly shareGroup: string | undefined
  /** Undefined: one is made, and kept in the data folder. */
  readonly clientId: string | undefined
  readonly user: string | undefined
  /** A secret. */
  readonly password: string | undefined
  readonly passwordFile: string | undefined
  /** Absolute paths of PEM files. */
  readonly authorityFile: string | undefined
  readonly certificateFile: string | undefined
  readonly keyFile: string | undefined
  readonly alpn: string | undefined
  /** 0: the session ends with the connection. */
  readonly sessionExpirySeconds: number
  readonly unacknowledgedMax: number
}

interface UpstreamAddress {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  /** An IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** Of a WebSocket, with its query. */
  readonly path: string | undefined
}

const portDefaults = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const

/**
 * @returns undefined where no broker is to be read
 * @throws SluiceError ConfigInvalid
 */
export function upstreamConfigOf(read: UpstreamVariables): UpstreamConfig | undefined {
  const { SLUICE_UPSTREAM_URL: url } = read
  if (url === undefined) return undefined
  const address = addressOf(url)
  refuseContradictions(read, address)
  return {
    ...address,
    version: read.SLUICE_UPSTREAM_MQTT_VERSION,
    filters: filtersOf(read.SLUICE_UPSTREAM_FILTERS),
    shareGroup: read.SLUICE_UPSTREAM_SHARE_GROUP,
    clientId: read.SLUICE_UPSTREAM_CLIENT_ID,
    user: read.SLUICE_UPSTREAM_USER,
    password: read.SLUICE_UPSTREAM_PASSWORD,
    passwordFile: absolute(read.SLUICE_UPSTREAM_PASSWORD_FILE),
    authorityFile: absolute(read.SLUICE_UPSTREAM_CA_FILE),
    certificateFile: absolute(read.SLUICE_UPSTREAM_CERT_FILE),
    keyFile: absolute(read.SLUICE_UPSTREAM_KEY_FILE),
    alpn: read.SLUICE_UPSTREAM_ALPN ?? alpnOf(read, address),
    sessionExpirySeconds: read.SLUICE_UPSTREAM_SESSION_EXPIRY_S,
    unacknowledgedMax: read.SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX,
  }
}

const absolute = (file: string | undefined) => file && path.resolve(file)

const example = 'mqtts://broker.example.com:8883'

function addressOf(text: string): UpstreamAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const protocol = url?.protocol.slice(0, -1)
  if (url === undefined || !isKnown(protocol) || url.hostname === '') {
    // The text may hold a password.
    throw invalid(
      `SLUICE_UPSTREAM_URL is not usable: it must be a URL such as ${example}, ` +
        'with mqtt, mqtts, ws or wss before the colon',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      'SLUICE_UPSTREAM_URL holds a user or a password, which logs would show: ' +
        'use SLUICE_UPSTREAM_USER and SLUICE_UPSTREAM_PASSWORD_FILE',
    )
  }
  const isWebSocket = protocol === 'ws' || protocol === 'wss'
  const resource = `${url.pathname}${url.search}`
  if (!isWebSocket && !/^\/?$/.test(resource + url.hash)) {
    throw invalid(
      `SLUICE_UPSTREAM_URL has a path, which ${protocol} does not have: ` +
        'topics are named by SLUICE_UPSTREAM_FILTERS',
    )
  }
  return {
    protocol,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? portDefaults[protocol] : Number(url.port),
    // Most brokers serve MQTT there.
    path: isWebSocket ? (resource === '/' ? '/mqtt' : resource) : undefined,
  }
}

const isKnown = (protocol: string | undefined): protocol is UpstreamAddress['protocol'] =>
  protocol !== undefined && Object.hasOwn(portDefaults, protocol)

function filtersOf(list: string): readonly string[] {
  const filters = list.split(',').map((filter) => filter.trim())
  const given = [...new Set(filters.filter((filter) => filter !== ''))]
  if (given.length > 0) return given
  throw invalid('SLUICE_UPSTREAM_FILTERS names no topic filter; # stands for all topics')
}

function refuseContradictions(read: UpstreamVariables, { protocol }: UpstreamAddress): void {
  const {
    SLUICE_UPSTREAM_CERT_FILE: certificate,
    SLUICE_UPSTREAM_KEY_FILE: key,
    SLUICE_UPSTREAM_CA_FILE: authority,
  } = read
  if ((certificate === undefined) !== (key === undefined)) {
    const missing =
      certificate === undefined ? 'SLUICE_UPSTREAM_CERT_FILE' : 'SLUICE_UPSTREAM_KEY_FILE'
    throw invalid(`${missing} is not set: a client certificate needs its key, and a key it`)
  }
  const isPlain = protocol === 'mqtt' || protocol === 'ws'
  if (isPlain && (certificate !== undefined || authority !== undefined)) {
    throw invalid(
      `SLUICE_UPSTREAM_URL begins with ${protocol}:, which has no TLS: ` +
        `the files of TLS need ${protocol}s:`,
    )
  }
  if (
    read.SLUICE_UPSTREAM_PASSWORD !== undefined &&
    read.SLUICE_UPSTREAM_PASSWORD_FILE !== undefined
  ) {
    throw invalid(
      'SLUICE_UPSTREAM_PASSWORD and SLUICE_UPSTREAM_PASSWORD_FILE are both set: keep one',
    )
  }
  const hasPassword =
    read.SLUICE_UPSTREAM_PASSWORD !== undefined || read.SLUICE_UPSTREAM_PASSWORD_FILE !== undefined
  if (hasPassword && read.SLUICE_UPSTREAM_USER === undefined) {
    throw invalid('SLUICE_UPSTREAM_USER is not set: a password needs its user')
  }
  if (read.SLUICE_UPSTREAM_SHARE_GROUP !== undefined && read.SLUICE_UPSTREAM_MQTT_VERSION !== '5') {
    throw invalid('SLUICE_UPSTREAM_SHARE_GROUP needs SLUICE_UPSTREAM_MQTT_VERSION=5')
  }
}

/** AWS IoT Core tells MQTT from HTTPS by it [AWS IoT Developer Guide, "Port mappings"]. */
function alpnOf(
  { SLUICE_UPSTREAM_CERT_FILE: certificate }: UpstreamVariables,
  { protocol, host, port }: UpstreamAddress,
): string | undefined {
  const isAws = /\.iot\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$/.test(host)
  if (!isAws || protocol !== 'mqtts' || port !== 443) return undefined
  // Without a certificate a custom authorizer decides.
  return certificate === undefined ? 'mqtt' : 'x-amzn-mqtt-ca'
}

const invalid = (message: string): SluiceError => new SluiceError('ConfigInvalid', message)
