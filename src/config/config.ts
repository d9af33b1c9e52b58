import { isIPv6 } from 'node:net'
import path from 'node:path'
import { clusterConfigOf } from './cluster-config.ts'
import type { ClusterConfig } from './cluster-config.ts'
import { labAccountId, labConfigOf, labRegion, openListenerError } from './lab-config.ts'
import type { LabConfig } from './lab-config.ts'
import { hostsOf, labActionsOf } from './lab-actions.ts'
import type { LabActionsConfig } from './lab-actions.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { SluiceError } from '../base/errors.ts'
import { isLoopback, reachableHost } from '../base/loopback.ts'
import { trustedProxiesFault } from '../base/trusted-proxies.ts'
import { requiredRegion } from './region.ts'
import { isHttpOverTls, issuingAuthorityOf, tlsFilesOf } from './tls-config.ts'
import type { IssuingAuthority, TlsFiles } from './tls-config.ts'
import { traceConfigOf } from './trace-config.ts'
import type { TraceConfig } from './trace-config.ts'
import { upstreamConfigOf } from './upstream-config.ts'
import type { UpstreamConfig } from './upstream-config.ts'
import { readVariables } from './variable.ts'
import type { Environment } from './variable.ts'
import { variables } from './variables.ts'
import type { VariableName, Variables } from './variables.ts'

export { labAccountId, labRegion } from './lab-config.ts'
export { deliveryLimits, variables } from './variables.ts'

/** The configuration of `sluice lab` and `sluice start`, made of environment variables. */
export interface Config {
  /** `lab` runs its own Kinesis; `start` uses AWS, or the services at `AWS_ENDPOINT_URL_*`. */
  readonly mode: 'lab' | 'start'
  readonly mqtt: MqttConfig
  /** Undefined: no other broker is read. */
  readonly upstream: UpstreamConfig | undefined
  readonly drainMs: number
  readonly http: Listen & {
    readonly tls: boolean
    /** Calls a second that one caller may make; 0 is no limit. */
    readonly callRate: number
  }
  /** The files serve MQTT, and HTTP when `http.tls` is set. */
  readonly tls: TlsFiles | undefined
  /** The CA that signs certificates which clients of the API ask for. */
  readonly issuingAuthority: IssuingAuthority
  /** IP addresses and CIDR blocks of the proxies that may name the address of their client. */
  readonly trustedProxies: readonly string[]
  readonly auth: HttpAuthentication
  readonly lab: LabConfig
  /** Hosts nearby that actions may call whose rule names a URL. */
  readonly ruleHosts: readonly string[]
  /** The URL of the HTTP API for endpoints that confirm a destination, without a slash behind. */
  readonly confirmUrl: string | undefined
  /** Undefined in `start`. */
  readonly labActions: LabActionsConfig | undefined
  readonly rulesDir: string
  readonly functionsDir: string
  /** These files answer external functions in the lab. */
  readonly stubsDir: string
  /** Whether a new data folder starts with a sample event source mapping. */
  readonly samplesMapping: boolean
  readonly dataDir: string
  /** This folder replaces S3 in the lab. */
  readonly protoDir: string | undefined
  /** Undefined in `start`, where STS is asked, unless the operator sets an account. */
  readonly accountId: string | undefined
  readonly region: string
  readonly logLevel: Variables['SLUICE_LOG_LEVEL']
  /** Undefined: no traces are made. */
  readonly traces: TraceConfig | undefined
  readonly awsIotLog: Variables['SLUICE_AWS_IOT_LOG']
  /** Undefined: the engine is no part of a cluster. */
  readonly cluster: ClusterConfig | undefined
  /** Names of members whose values nobody is shown. */
  readonly redact: readonly string[]
  readonly insecure: boolean
  readonly rulesMax: number
  readonly outboxBytesMax: number
  readonly regex: Variables['SLUICE_REGEX']
  readonly firstVersion: Variables['SLUICE_SQL_2015']
  /** These settings hold for rules without delivery settings of their own. */
  readonly delivery: {
    readonly ordering: Variables['SLUICE_DELIVERY_ORDERING']
    readonly batching: { readonly count: number; readonly bytes: number; readonly periodMs: number }
    readonly maxInFlight: number
    readonly retry: { readonly maxAgeMs: number }
  }
  readonly errorActionScope: Variables['SLUICE_ERROR_ACTION_SCOPE']
  readonly roleProbe: boolean
}

/** How callers of the HTTP API are authenticated. */
interface HttpAuthentication {
  readonly kind: 'off' | 'sigv4'
  readonly credentialsFile: string
  /** A secret. */
  readonly metricsToken: string | undefined
}

interface MqttConfig extends Listen {
  /** MQTT over TLS, which needs a certificate. */
  readonly tls: Listen
  /** Whether anonymous clients are admitted, per transport. */
  readonly anonymous: Readonly<Record<'tcp' | 'tls' | 'websocket', boolean>>
  readonly passwordFile: string | undefined
  /** The key under which known logins are kept; undefined: they end with the process. */
  readonly loginKeyFile: string | undefined
  /** While the folder does not exist, nothing is denied. */
  readonly policiesDir: string
  /** Whose behaviour clients see where AWS IoT Core narrows MQTT. */
  readonly profile: 'aws' | 'open'
  /** How long a session waits for its client. */
  readonly sessionExpiryMs: number
  readonly retainedMax: number
  readonly unansweredMax: number
  readonly connectionsMax: number
  /** Connections of one address; 0 is no limit. */
  readonly connectionsPerAddressMax: number
  /** New connections a second from one address; 0 is no limit. */
  readonly connectRate: number
  /** Messages a second of one client; 0 is no limit. */
  readonly publishRate: number
  /** For a packet that has begun, and more as its bytes arrive; 0 is no limit. */
  readonly packetTimeoutMs: number
  readonly topicBytesMax: number
  readonly topicSlashesMax: number
  readonly payloadBytesMax: number
  readonly filtersPerSubscribeMax: number
  readonly clientIdBytesMax: number
}

interface Listen {
  readonly host: string
  readonly port: number
}

/**
 * Reads, checks and freezes the configuration.
 *
 * @param environment variables as in `process.env`; an empty value counts as not set
 * @throws SluiceError ConfigInvalid, which names the variable, its value and the accepted values
 */
export function loadConfig(environment: Environment, mode: Config['mode']): Config {
  // Only `start` reads this one, and only without AWS_REGION.
  const read = readVariables(variables, { ...environment, AWS_DEFAULT_REGION: undefined })
  const region = mode === 'lab' ? (read.AWS_REGION ?? labRegion) : requiredRegion(environment)
  const tls = tlsFilesOf(read)
  const dataDir = path.resolve(read.SLUICE_DATA_DIR ?? dataDirDefaults[mode])
  const config: Config = {
    mode,
    mqtt: mqttConfigOf(read, mode),
    upstream: upstreamConfigOf(read),
    drainMs: read.SLUICE_DRAIN_MS,
    http: {
      host: read.SLUICE_HTTP_HOST,
      port: read.SLUICE_HTTP_PORT,
      tls: isHttpOverTls(read, tls),
      callRate: read.SLUICE_HTTP_CALL_RATE,
    },
    tls,
    issuingAuthority: issuingAuthorityOf(read, { mode, tls, dataDir }),
    trustedProxies: trustedProxiesOf(read.SLUICE_TRUSTED_PROXIES),
    auth: {
      kind: read.SLUICE_AUTH ?? (mode === 'start' ? 'sigv4' : 'off'),
      credentialsFile: path.resolve(
        read.SLUICE_CREDENTIALS_FILE ?? path.join(dataDir, credentialsFileName),
      ),
      metricsToken: read.SLUICE_METRICS_TOKEN,
    },
    lab: labConfigOf(read),
    ruleHosts: hostsOf(read.SLUICE_HTTP_ACTION_HOSTS),
    confirmUrl: confirmUrlOf(read.SLUICE_HTTP_ACTION_CONFIRM_URL),
    labActions: mode === 'lab' ? labActionsOf(read) : undefined,
    rulesDir: path.resolve(read.SLUICE_RULES_DIR),
    functionsDir: path.resolve(read.SLUICE_FUNCTIONS_DIR),
    stubsDir: path.resolve(read.SLUICE_STUBS_DIR),
    samplesMapping: mode === 'lab' && read.SLUICE_SAMPLE_MAPPING !== 'off',
    dataDir,
    protoDir: read.SLUICE_PROTO_DIR && path.resolve(read.SLUICE_PROTO_DIR),
    accountId: read.SLUICE_ACCOUNT_ID ?? (mode === 'lab' ? labAccountId : undefined),
    region,
    logLevel: read.SLUICE_LOG_LEVEL,
    traces: traceConfigOf(read),
    awsIotLog: read.SLUICE_AWS_IOT_LOG,
    cluster: clusterConfigOf(read),
    redact: namesIn(read.SLUICE_REDACT),
    insecure: read.SLUICE_INSECURE === '1',
    rulesMax: read.SLUICE_RULES_MAX,
    outboxBytesMax: read.SLUICE_OUTBOX_MAX_BYTES,
    regex: read.SLUICE_REGEX,
    firstVersion: read.SLUICE_SQL_2015,
    delivery: {
      ordering: read.SLUICE_DELIVERY_ORDERING,
      batching: {
        count: read.SLUICE_DELIVERY_BATCH_COUNT,
        bytes: read.SLUICE_DELIVERY_BATCH_BYTES,
        periodMs: read.SLUICE_DELIVERY_BATCH_PERIOD_MS,
      },
      maxInFlight: read.SLUICE_DELIVERY_MAX_IN_FLIGHT,
      retry: { maxAgeMs: read.SLUICE_DELIVERY_RETRY_MAX_AGE_MS },
    },
    errorActionScope: read.SLUICE_ERROR_ACTION_SCOPE,
    roleProbe: (read.SLUICE_ROLE_PROBE ?? (mode === 'start' ? 'on' : 'off')) === 'on',
  }
  refuseSharedFolder(config)
  refuseKeyBesideLogins(config)
  refuseOpenListeners(config)
  refuseClosedMqtt(config, read)
  return deepFreeze(config)
}

function namesIn(list = ''): readonly string[] {
  const names = list.split(',').map((name) => name.trim())
  return names.filter((name) => name !== '')
}

function mqttConfigOf(read: Variables, mode: Config['mode']): MqttConfig {
  const isAnonymousAt = (host: string) =>
    read.SLUICE_MQTT_ANONYMOUS === undefined
      ? read.SLUICE_INSECURE === '1' || isLoopback(host)
      : read.SLUICE_MQTT_ANONYMOUS === 'on'
  const tlsHost = read.SLUICE_MQTTS_HOST ?? read.SLUICE_MQTT_HOST
  return {
    host: read.SLUICE_MQTT_HOST,
    port: read.SLUICE_MQTT_PORT,
    tls: { host: tlsHost, port: read.SLUICE_MQTTS_PORT },
    anonymous: {
      tcp: isAnonymousAt(read.SLUICE_MQTT_HOST),
      tls: isAnonymousAt(tlsHost),
      websocket: isAnonymousAt(read.SLUICE_HTTP_HOST),
    },
    passwordFile: read.SLUICE_PASSWORD_FILE && path.resolve(read.SLUICE_PASSWORD_FILE),
    loginKeyFile: read.SLUICE_LOGIN_KEY_FILE && path.resolve(read.SLUICE_LOGIN_KEY_FILE),
    policiesDir: path.resolve(read.SLUICE_POLICIES_DIR),
    profile: read.SLUICE_MQTT_PROFILE ?? (mode === 'lab' ? 'aws' : 'open'),
    sessionExpiryMs: read.SLUICE_MQTT_SESSION_EXPIRY_S * 1_000,
    retainedMax: read.SLUICE_MQTT_RETAINED_MAX,
    unansweredMax: read.SLUICE_MQTT_UNANSWERED_MAX,
    connectionsMax: read.SLUICE_MQTT_CONNECTIONS_MAX,
    connectionsPerAddressMax: read.SLUICE_MQTT_CONNECTIONS_PER_ADDRESS_MAX,
    connectRate: read.SLUICE_MQTT_CONNECT_RATE,
    publishRate: read.SLUICE_MQTT_PUBLISH_RATE,
    packetTimeoutMs: read.SLUICE_MQTT_PACKET_TIMEOUT_MS,
    topicBytesMax: read.SLUICE_MQTT_TOPIC_BYTES_MAX,
    topicSlashesMax: read.SLUICE_MQTT_TOPIC_SLASHES_MAX,
    payloadBytesMax: read.SLUICE_MQTT_PAYLOAD_BYTES_MAX,
    filtersPerSubscribeMax: read.SLUICE_MQTT_FILTERS_PER_SUBSCRIBE_MAX,
    clientIdBytesMax: read.SLUICE_MQTT_CLIENT_ID_BYTES_MAX,
  }
}

function trustedProxiesOf(text = ''): readonly string[] {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  const fault = trustedProxiesFault(entries)
  if (fault === undefined) return entries
  throw new SluiceError('ConfigInvalid', `SLUICE_TRUSTED_PROXIES: ${fault}`)
}

function confirmUrlOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) {
    return text.replace(/\/+$/, '')
  }
  throw new SluiceError(
    'ConfigInvalid',
    `SLUICE_HTTP_ACTION_CONFIRM_URL=${text} is not usable: it must be a URL such as ` +
      'https://sluice.example:8080',
  )
}

export const credentialsFileName = 'credentials.json'

/** The defaults differ, so that a lab and an engine started in one folder do not share data. */
export const dataDirDefaults: Readonly<Record<Config['mode'], string>> = Object.freeze({
  lab: './lab-data',
  start: './data',
})

/** The lab's streams and its outbox are two data folders, each with a lock of its own. */
function refuseSharedFolder({ lab, dataDir }: Config): void {
  if (lab.dataDir !== dataDir) return
  throw new SluiceError(
    'ConfigInvalid',
    `SLUICE_LAB_DATA and SLUICE_DATA_DIR are both ${dataDir}: ` +
      'the streams of the lab need a folder of their own',
  )
}

/** A stolen folder that holds the key as well would give the passwords to a fast search. */
function refuseKeyBesideLogins({ mqtt: { loginKeyFile, passwordFile }, dataDir }: Config): void {
  if (loginKeyFile === undefined) return
  if (passwordFile === undefined) {
    throw new SluiceError('ConfigInvalid', 'SLUICE_LOGIN_KEY_FILE needs SLUICE_PASSWORD_FILE')
  }
  if (!isBelow(loginKeyFile, dataDir)) return
  throw new SluiceError(
    'ConfigInvalid',
    `SLUICE_LOGIN_KEY_FILE is in the data folder ${dataDir}, with the logins that its key protects: ` +
      'keep it elsewhere',
  )
}

function isBelow(file: string, folder: string): boolean {
  const relative = path.relative(folder, file)
  return !relative.startsWith('..') && !path.isAbsolute(relative)
}

/**
 * The URL at which clients on this machine reach the HTTP API. It reads only the variables that it
 * needs, for commands that need no other configuration.
 *
 * @returns `http://127.0.0.1:8080`, without a path
 * @throws SluiceError ConfigInvalid
 */
export function httpUrlOf(environment: Environment): string {
  const read = readVariables(variables, environment, [
    'SLUICE_HTTP_HOST',
    'SLUICE_HTTP_PORT',
    'SLUICE_HTTP_TLS',
    'SLUICE_TLS_CERT_FILE',
    'SLUICE_TLS_KEY_FILE',
    'SLUICE_TLS_CA_FILE',
  ])
  const { SLUICE_HTTP_HOST: host, SLUICE_HTTP_PORT: port } = read
  const scheme = isHttpOverTls(read, tlsFilesOf(read)) ? 'https' : 'http'
  const name = reachableHost(host)
  // Only the running server knows which port it got for 0.
  return `${scheme}://${isIPv6(name) ? `[${name}]` : name}:${port === 0 ? '<port>' : port}`
}

function refuseOpenListeners(config: Config): void {
  const [open] = openListeners(config).filter(({ isAllowed }) => !isAllowed)
  if (open !== undefined) throw openListenerError(open.name, open.host)
}

/** An MQTT port that no client could log in to is certainly a mistake. */
function refuseClosedMqtt({ mqtt, tls, auth }: Config, read: Variables): void {
  if (mqtt.passwordFile !== undefined || tls?.authorityFile !== undefined) return
  // Clients with signed URLs come in over HTTP, so closing the MQTT ports may be intended.
  const isClosedByName = read.SLUICE_MQTT_ANONYMOUS === 'off'
  if (isClosedByName && auth.kind === 'sigv4') return
  const closed = mqtt.anonymous.tcp
    ? tls && !mqtt.anonymous.tls && `SLUICE_MQTTS_HOST=${mqtt.tls.host}`
    : `SLUICE_MQTT_HOST=${mqtt.host}`
  if (!closed) return
  const setting = isClosedByName
    ? 'SLUICE_MQTT_ANONYMOUS=off'
    : `${closed} is not a loopback address, so MQTT admits no anonymous clients there,`
  throw new SluiceError(
    'ConfigInvalid',
    `${setting} and nobody could log in: set SLUICE_PASSWORD_FILE (sluice passwd), or ` +
      'SLUICE_TLS_CA_FILE with SLUICE_TLS_CERT_FILE (sluice certs); or admit everyone ' +
      'with SLUICE_MQTT_ANONYMOUS=on or SLUICE_INSECURE=1',
  )
}

interface OpenListener {
  /** The variable that sets its bind address. */
  readonly name: VariableName
  readonly host: string
  /** The operator has asked for it. */
  readonly isAllowed: boolean
}

/** The listeners on non-loopback addresses that admit clients without authentication. */
export function openListeners(config: Config): readonly OpenListener[] {
  const { mqtt, http, lab, tls, auth, insecure, mode } = config
  const { anonymous } = mqtt
  const isHttpOpen = auth.kind === 'off'
  const hasTls = tls !== undefined && mqtt.tls.host !== mqtt.host
  // Anonymous MQTT on a non-loopback address is only there when the operator asked for it.
  const listeners: readonly (readonly [VariableName, Listen, boolean, boolean])[] = [
    ['SLUICE_MQTT_HOST', mqtt, anonymous.tcp, true],
    ['SLUICE_MQTTS_HOST', mqtt.tls, hasTls && anonymous.tls, true],
    ['SLUICE_HTTP_HOST', http, isHttpOpen || anonymous.websocket, insecure || !isHttpOpen],
    ['SLUICE_LAB_HOST', lab, mode === 'lab', insecure],
  ]
  return listeners.flatMap(([name, { host }, isOpen, isAllowed]) =>
    isOpen && !isLoopback(host) ? [{ name, host, isAllowed }] : [],
  )
}
