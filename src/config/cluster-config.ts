import path from 'node:path'
import { SluiceError } from '../base/errors.ts'
import type { clusterVariables } from './cluster-variables.ts'
import type { ValuesOf } from './variable.ts'

type ClusterVariables = ValuesOf<typeof clusterVariables>

/** The NATS servers of a cluster, and how to log in to them. Paths are absolute. */
export interface ClusterConfig {
  readonly name: string
  /** `host:port` of each server; the servers tell of those that are not listed. */
  readonly servers: readonly string[]
  readonly login: NatsLogin
  /** Undefined: TLS only where a server asks for it. */
  readonly tls: NatsTls | undefined
  /** URLs of monitoring ports, without a slash behind. */
  readonly monitorUrls: readonly string[]
}

export type NatsLogin =
  | { readonly kind: 'none' }
  /** A secret. */
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** A secret. */
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'credentials' | 'nkey'; readonly file: string }

export interface NatsTls {
  readonly authorityFile: string | undefined
  readonly client: { readonly certificateFile: string; readonly keyFile: string } | undefined
}

const defaultPort = '4222'
/**
 * A record of the log holds its data and the payload of its message, and 64 KiB are left to topic,
 * keys and properties: see `chunkBytesMax` of the log.
 */
const payloadBytesMax = 229_376

/**
 * @returns undefined when the engine is no part of a cluster
 * @throws SluiceError ConfigInvalid, which names the variable
 */
export function clusterConfigOf(
  read: ClusterVariables & { readonly SLUICE_MQTT_PAYLOAD_BYTES_MAX?: number },
): ClusterConfig | undefined {
  const text = read.SLUICE_NATS_URL
  if (text === undefined) return undefined
  const urls = listIn(text).map(natsUrlOf)
  if (urls.length === 0) throw unusable('SLUICE_NATS_URL', 'it names no server')
  if ((read.SLUICE_MQTT_PAYLOAD_BYTES_MAX ?? 0) > payloadBytesMax) {
    throw new SluiceError(
      'ConfigInvalid',
      `SLUICE_MQTT_PAYLOAD_BYTES_MAX: with SLUICE_NATS_URL it is at most ${payloadBytesMax}, ` +
        'because a record and its message have to fit into 512 KiB of the log',
    )
  }
  const hasTls = urls.some(({ protocol }) => protocol === 'tls:')
  return {
    name: read.SLUICE_CLUSTER_NAME,
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || defaultPort}`),
    login: loginOf(read, urls),
    tls: tlsOf(read) ?? (hasTls ? { authorityFile: undefined, client: undefined } : undefined),
    monitorUrls: listIn(read.SLUICE_NATS_MONITOR_URL ?? '').map(monitorUrlOf),
  }
}

function listIn(text: string): readonly string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/** The text may hold a password, so no message quotes it. */
function natsUrlOf(text: string, index: number): URL {
  const withScheme = text.includes('://') ? text : `nats://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  const isUsable =
    url !== undefined &&
    /^(nats|tls):$/.test(url.protocol) &&
    url.hostname !== '' &&
    pathOf(url) === '' &&
    decoded(url.username + url.password) !== undefined
  if (isUsable) return url
  throw unusable(
    'SLUICE_NATS_URL',
    `server ${index + 1} must be a URL such as nats://nats-0:4222 or tls://nats-0:4222`,
  )
}

const pathOf = ({ pathname, search, hash }: URL) => pathname.replace(/^\/$/, '') + search + hash

/** @returns undefined when a `%` is not followed by two digits of a byte */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const loginIn = ({ username, password }: URL) => `${username}:${password}`

function loginOf(read: ClusterVariables, urls: readonly URL[]): NatsLogin {
  const { SLUICE_NATS_CREDENTIALS_FILE: credentials, SLUICE_NATS_NKEY_FILE: nkey } = read
  const withLogin = urls.filter((url) => loginIn(url) !== ':')
  const [named] = withLogin
  if (named && withLogin.some((url) => loginIn(url) !== loginIn(named))) {
    throw unusable(
      'SLUICE_NATS_URL',
      'its servers have different users, and one login is for all: give each the same, or only one',
    )
  }
  const ways = [credentials, nkey, named].filter((way) => way !== undefined)
  if (ways.length > 1) {
    throw new SluiceError(
      'ConfigInvalid',
      'Of SLUICE_NATS_CREDENTIALS_FILE, SLUICE_NATS_NKEY_FILE and a user in SLUICE_NATS_URL only ' +
        'one can be set: remove the others',
    )
  }
  if (credentials !== undefined) return { kind: 'credentials', file: path.resolve(credentials) }
  if (nkey !== undefined) return { kind: 'nkey', file: path.resolve(nkey) }
  if (named === undefined) return { kind: 'none' }
  const { username, password } = named
  // As NATS reads it: a name without a password is a token.
  if (password === '') return { kind: 'token', token: decoded(username) ?? '' }
  return { kind: 'password', user: decoded(username) ?? '', password: decoded(password) ?? '' }
}

function tlsOf(read: ClusterVariables): NatsTls | undefined {
  const {
    SLUICE_NATS_CA_FILE: authority,
    SLUICE_NATS_CERT_FILE: certificate,
    SLUICE_NATS_KEY_FILE: key,
  } = read
  if (authority === undefined && certificate === undefined && key === undefined) return undefined
  const authorityFile = authority === undefined ? undefined : path.resolve(authority)
  if (certificate === undefined && key === undefined) return { authorityFile, client: undefined }
  if (certificate === undefined || key === undefined) {
    const missing = certificate === undefined ? 'SLUICE_NATS_CERT_FILE' : 'SLUICE_NATS_KEY_FILE'
    throw new SluiceError(
      'ConfigInvalid',
      `${missing} is not set: a client certificate needs its key, and a key its certificate`,
    )
  }
  return {
    authorityFile,
    client: { certificateFile: path.resolve(certificate), keyFile: path.resolve(key) },
  }
}

function monitorUrlOf(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) {
    return text.replace(/\/+$/, '')
  }
  throw unusable('SLUICE_NATS_MONITOR_URL', `${text} is not a URL such as http://nats-0:8222`)
}

function unusable(name: keyof ClusterVariables, problem: string): SluiceError {
  return new SluiceError('ConfigInvalid', `${name} is not usable: ${problem}`)
}
