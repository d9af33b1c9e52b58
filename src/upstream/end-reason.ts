import { messageOf } from '../base/errors.ts'

/** What a connection waits for. */
export type Phase = 'connect' | 'subscribe' | 'messages'

/** How an attempt to connect, or a connection, came to its end. */
export type EndCause =
  /** The broker's CONNACK; `server` is the one that it names instead of itself. */
  | { readonly kind: 'refused'; readonly code: number; readonly server?: string | undefined }
  /** The broker's DISCONNECT, MQTT 5 only. */
  | { readonly kind: 'disconnected'; readonly code: number; readonly server?: string | undefined }
  /** Of the network, of TLS, or of bytes that are no MQTT. */
  | { readonly kind: 'error'; readonly thrown: unknown; readonly phase: Phase }
  | { readonly kind: 'timeout' }
  /** Without a word. */
  | { readonly kind: 'closed'; readonly phase: Phase }
  /** This engine ended it, for this reason. */
  | { readonly kind: 'own'; readonly reason: string }

/** What the reason depends on. */
interface ClientOptions {
  readonly version: '5' | '3.1.1'
  readonly clientId: string
  readonly hasTls: boolean
  readonly hasCertificate: boolean
  readonly host: string
}

const login =
  'user name or password is not right (SLUICE_UPSTREAM_USER, SLUICE_UPSTREAM_PASSWORD_FILE)'

const notAuthorized = ({ clientId }: ClientOptions): string =>
  `it does not let the client ${clientId} in: user and password (SLUICE_UPSTREAM_USER, ` +
  'SLUICE_UPSTREAM_PASSWORD_FILE), certificate or a policy (AWS IoT Core: iot:Connect) are not right'

const badVersion = ({ version }: ClientOptions): string =>
  version === '5'
    ? 'it does not speak MQTT 5: set SLUICE_UPSTREAM_MQTT_VERSION=3.1.1'
    : 'it does not speak MQTT 3.1.1: set SLUICE_UPSTREAM_MQTT_VERSION=5'

const badClientId = ({ clientId }: ClientOptions): string =>
  `it does not take the client id ${clientId}: set SLUICE_UPSTREAM_CLIENT_ID`

/** CONNACK: MQTT 3.1.1 section 3.2.2.3 below 128, MQTT 5 section 3.2.2.2 above. */
const refusals: Readonly<Record<number, string | ((options: ClientOptions) => string)>> = {
  1: badVersion,
  2: badClientId,
  3: 'it is not available at the moment',
  4: login,
  5: notAuthorized,
  0x81: 'it could not read the CONNECT',
  0x82: 'it says that the CONNECT breaks the protocol',
  0x84: badVersion,
  0x85: badClientId,
  0x86: login,
  0x87: notAuthorized,
  0x88: 'it is not available at the moment',
  0x89: 'it is busy',
  0x8a: ({ clientId }) => `it has banned the client ${clientId}`,
  0x8c: 'it wants another way of authentication',
  0x95: 'the CONNECT is too large for it',
  0x97: 'a quota of it is exceeded',
  0x9f: 'there were too many connections in a short time',
}

/** DISCONNECT, MQTT 5 section 3.14.2.1. */
const disconnections: Readonly<Record<number, string | ((options: ClientOptions) => string)>> = {
  0x81: 'it could not read a packet',
  0x82: 'it says that a packet breaks the protocol',
  0x87: 'a policy of the broker does not allow what the client did',
  0x89: 'it is busy',
  0x8b: 'it is shutting down',
  0x8d: 'it has not heard of the client for too long',
  0x8e: ({ clientId }) =>
    `another client has connected with the client id ${clientId}: give each engine a ` +
    'SLUICE_UPSTREAM_CLIENT_ID of its own',
  0x93: 'too many messages were unacknowledged',
  0x95: 'a packet is too large for it',
  0x96: 'the rate of messages is too high',
  0x97: 'a quota of it is exceeded',
  0x98: 'its operator ended the connection',
  0xa0: 'a connection may not last longer there',
}

/** @returns words that continue "the upstream broker is not connected: " */
export function endReasonOf(cause: EndCause, options: ClientOptions): string {
  switch (cause.kind) {
    case 'refused':
      return `it refused the connection: ${codeReason(refusals, cause, options)}`
    case 'disconnected':
      return `it ended the connection: ${codeReason(disconnections, cause, options)}`
    case 'error':
      return errorReason(cause, options)
    case 'timeout':
      return `it did not answer in time: is it an MQTT broker${tlsHint(options)}?`
    case 'closed':
      return closedReason(cause.phase, options)
    case 'own':
      return cause.reason
    default:
      return cause satisfies never
  }
}

function codeReason(
  reasons: typeof refusals,
  { code, server }: { readonly code: number; readonly server?: string | undefined },
  options: ClientOptions,
): string {
  if (code === 0x9c || code === 0x9d) {
    return `another server is to be used${server === undefined ? '' : `: ${server}`}`
  }
  const reason = reasons[code] ?? `reason code 0x${code.toString(16).padStart(2, '0')}`
  return typeof reason === 'string' ? reason : reason(options)
}

function tlsHint({ hasTls }: ClientOptions): string {
  return hasTls ? '' : ', and one without TLS on this port (else mqtts: or wss:)'
}

function closedReason(phase: Phase, options: ClientOptions): string {
  if (phase === 'messages') return 'it closed the connection without a reason'
  if (phase === 'subscribe') {
    return (
      'it closed the connection instead of answering a subscription: its policies may not allow ' +
      'it (on AWS IoT Core: iot:Subscribe and iot:Receive)'
    )
  }
  const tls = options.hasTls
    ? 'it may want a client certificate, or not know this one, or not speak TLS on this port'
    : 'it may speak TLS on this port (mqtts:)'
  return `it closed the connection without an answer: ${tls}, or a policy does not let the client in`
}

const networkReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'no network leads there',
  ENETUNREACH: 'no network leads there',
  ETIMEDOUT: 'it does not answer: a firewall may be between',
}

/** OpenSSL and Node name what is wrong; this adds what to do about it. */
function errorReason(
  { thrown, phase }: { readonly thrown: unknown; readonly phase: Phase },
  options: ClientOptions,
): string {
  const code = codeOf(thrown)
  const detail = messageOf(thrown).split('\n', 1)[0] ?? ''
  const network = networkReasons[code]
  if (network !== undefined) return network
  if (code === 'ECONNRESET' || code === 'EPIPE') return closedReason(phase, options)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `the name ${options.host} is not known: SLUICE_UPSTREAM_URL may be mistyped`
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/i.test(code + detail)) {
    return 'it does not speak TLS on this port: use mqtt: or ws:, or its port of TLS'
  }
  if (/SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED/.test(code)) {
    return `its certificate is of no known CA: name the CA with SLUICE_UPSTREAM_CA_FILE (${detail})`
  }
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is of another host than ${options.host}: ${detail}`
  }
  if (/ALERT|SSL/.test(code)) {
    const certificate = options.hasCertificate
      ? 'it may not accept the client certificate (SLUICE_UPSTREAM_CERT_FILE)'
      : 'it may want a client certificate (SLUICE_UPSTREAM_CERT_FILE, SLUICE_UPSTREAM_KEY_FILE)'
    return `TLS failed: ${certificate} (${detail})`
  }
  if (/Unexpected server response/.test(detail)) {
    return `it serves no MQTT over WebSocket at this path: ${detail}`
  }
  return detail === '' ? 'the connection failed' : detail
}

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
  return typeof code === 'string' ? code : ''
}

/** SUBACK: MQTT 3.1.1 section 3.9.3, MQTT 5 section 3.9.3. */
const subscriptionRefusals: Readonly<Record<number, string>> = {
  0x80: 'the broker does not allow it, or does not take such a filter',
  0x87: 'a policy of the broker does not allow it (on AWS IoT Core: iot:Subscribe)',
  0x8f: 'the broker does not take such a filter',
  0x97: 'a quota of the broker is exceeded',
  0x9e: 'the broker has no shared subscriptions: take SLUICE_UPSTREAM_SHARE_GROUP out',
  0xa2: 'the broker takes no wildcards: name whole topics in SLUICE_UPSTREAM_FILTERS',
}

/** @param code of a SUBACK, 128 or more */
export const subscriptionRefusal = (code: number): string =>
  subscriptionRefusals[code] ?? `reason code 0x${code.toString(16)}`
