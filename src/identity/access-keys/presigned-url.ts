import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { clockSkewMaxMs } from '../../sigv4/verify-signature.ts'
import type { RefusalReason, SigningKey, Verification } from '../../sigv4/verify-signature.ts'

/**
 * Verifies the URL by which AWS's device SDKs open MQTT over WebSocket (AWS IoT Developer Guide,
 * "MQTT over the WebSocket protocol"), an AWS Signature Version 4 in the query:
 *
 *   wss://<host>/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256
 *     &X-Amz-Credential=<access key id>/<YYYYMMDD>/<region>/iotdevicegateway/aws4_request
 *     &X-Amz-Date=<YYYYMMDDTHHMMSSZ>[&X-Amz-Expires=<seconds>]&X-Amz-SignedHeaders=<names>
 *     &X-Amz-Signature=<64 hexadecimal digits>[&X-Amz-Security-Token=<token>]
 *
 * Three things differ from the presigned URLs of other services. The session token is put behind
 * the signature and not signed (it must still be the one that belongs to the key); a general signer
 * signs it, which is taken as well. The period may be left out; the URL then holds for five
 * minutes, as a signed request does. The SDKs in C (C++, Java, Python, Node) sign
 * `connection;host`, the others `host`.
 *
 * Invariants:
 * - Every parameter is known and comes once: nothing unsigned has an effect.
 * - The signature holds for the headers that `X-Amz-SignedHeaders` lists, `host` among them. A
 *   `Host` with a port also holds for a signature over the name alone: AWS listens on 443, and many
 *   clients sign what they would send there.
 * - Comparisons with secrets take constant time.
 */
interface UpgradeRequest {
  readonly method: string
  /** Path and query exactly as received. */
  readonly target: string
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

interface PresignedUrlRules {
  /** The regions that the credential scope may name. */
  readonly regions: readonly string[]
  /** Epoch milliseconds. */
  readonly nowMs: number
  /** @returns the key of an access key id; undefined for an unknown one */
  findKey(accessKeyId: string): SigningKey | undefined
}

export const mqttPath = '/mqtt'
const presignedService = 'iotdevicegateway'
/** The second is the name of the data plane over HTTP, which some signers use here as well. */
const presignedServices: readonly string[] = [presignedService, 'iotdata']
const periodDefaultMs = 300_000
/** SigV4: a presigned URL is valid for at most seven days. */
const periodMaxSeconds = 604_800
/** Longer URLs are refused without parsing; a session token has about 1 to 2 KB. */
const targetCharactersMax = 8_192
const algorithm = 'AWS4-HMAC-SHA256'
const emptyBodyHash = createHash('sha256').digest('hex')

const required = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
] as const
const optional = ['X-Amz-Expires', 'X-Amz-Security-Token'] as const
const parameterNames: readonly string[] = [...required, ...optional]
/** All other parameters are signed: first as device SDKs sign, then as general signers do. */
const unsigned: readonly (readonly string[])[] = [
  ['X-Amz-Signature', 'X-Amz-Security-Token'],
  ['X-Amz-Signature'],
]

type Parameters = ReadonlyMap<string, string>

interface Presigned {
  readonly parameters: Parameters
  readonly accessKeyId: string
  readonly date: string
  readonly region: string
  readonly service: string
  /** Sorted. */
  readonly signedHeaders: readonly string[]
  readonly signedMs: number
  readonly periodMs: number
}

/** Whether a request carries a signature in its query, valid or not. */
export function isPresigned(target: string): boolean {
  return /[?&]X-Amz-(?:Algorithm|Credential|Signature)=/i.test(target)
}

/** Verifies one request to open a WebSocket. Never throws. */
export function verifyPresignedUrl(
  request: UpgradeRequest,
  rules: PresignedUrlRules,
): Verification {
  const read = readUrl(request)
  if ('reason' in read) return refused(read.reason, read.message)
  const key = rules.findKey(read.accessKeyId)
  const refusal =
    refuseKey(key, read, rules.nowMs) ?? refuseScope(read, rules) ?? refuseTime(read, rules.nowMs)
  if (refusal) return refusal
  // `refuseKey` has refused an unknown key: this check is for the compiler.
  const isSigned = key && isSignedBy(key.secretAccessKey, read, request)
  if (!isSigned) return refused('mismatch', 'The signature of the URL does not match.')
  return { isValid: true, accessKeyId: read.accessKeyId }
}

interface Unreadable {
  readonly reason: RefusalReason
  readonly message: string
}

function readUrl({ method, target }: UpgradeRequest): Presigned | Unreadable {
  const [path = '', ...queries] = target.split('?')
  if (method !== 'GET' || path !== mqttPath || target.length > targetCharactersMax) {
    return incomplete(`a WebSocket is opened by GET ${mqttPath}`)
  }
  if (!isPresigned(target)) return { reason: 'missing', message: 'The URL is not signed.' }
  const parameters = parametersOf(queries.join('?'))
  if (!parameters)
    return incomplete('The query has a parameter that is unknown, twice or unreadable.')
  const missing = required.filter((name) => !parameters.get(name))
  if (missing.length > 0) return incomplete(`The query lacks ${missing.join(', ')}.`)
  return readParameters(parameters)
}

function readParameters(parameters: Parameters): Presigned | Unreadable {
  const valueOf = (name: (typeof required)[number]) => parameters.get(name) ?? ''
  if (valueOf('X-Amz-Algorithm') !== algorithm)
    return incomplete(`X-Amz-Algorithm is ${algorithm}.`)
  const signedHeaders = valueOf('X-Amz-SignedHeaders').split(';')
  if (!areHeaderNames(signedHeaders)) {
    return incomplete('X-Amz-SignedHeaders lists names in lower case and in order, with host.')
  }
  const [accessKeyId, date, region, service, terminator, ...more] =
    valueOf('X-Amz-Credential').split('/')
  if (!accessKeyId || !date || !region || !service || terminator !== scopeEnd || more.length > 0) {
    return incomplete(
      `X-Amz-Credential is <key id>/<date>/<region>/${presignedService}/${scopeEnd}.`,
    )
  }
  const signedMs = timeOf(valueOf('X-Amz-Date'))
  if (signedMs === undefined) return incomplete('X-Amz-Date is of the form 20260101T000000Z.')
  const periodMs = periodOf(parameters.get('X-Amz-Expires'))
  if (periodMs === undefined) return incomplete(`X-Amz-Expires is from 1 to ${periodMaxSeconds}.`)
  return { parameters, accessKeyId, date, region, service, signedHeaders, signedMs, periodMs }
}

const scopeEnd = 'aws4_request'

function areHeaderNames(names: readonly string[]): boolean {
  const isOrdered = names.every((name, at) => at === 0 || (names[at - 1] ?? '') < name)
  return isOrdered && names.includes('host') && names.every((name) => /^[a-z0-9-]+$/.test(name))
}

/** Undefined when a parameter is unknown, comes twice or cannot be decoded. */
function parametersOf(query: string): Parameters | undefined {
  const parameters = new Map<string, string>()
  try {
    for (const pair of query.split('&')) {
      if (pair === '') continue
      const [name = '', ...value] = pair.split('=')
      const key = decodeURIComponent(name)
      if (!parameterNames.includes(key) || parameters.has(key)) return undefined
      parameters.set(key, decodeURIComponent(value.join('=')))
    }
  } catch {
    return undefined
  }
  return parameters
}

function timeOf(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? []
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? undefined : ms
}

function periodOf(text: string | undefined): number | undefined {
  if (text === undefined) return periodDefaultMs
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0
  return seconds >= 1 && seconds <= periodMaxSeconds ? seconds * 1_000 : undefined
}

function refuseKey(
  key: SigningKey | undefined,
  { parameters }: Presigned,
  nowMs: number,
): Verification | undefined {
  const unknownKey = refused('unknownKey', 'The security token included in the URL is invalid.')
  if (!key) return unknownKey
  const token = parameters.get('X-Amz-Security-Token')
  const hasToken =
    key.sessionToken === undefined
      ? token === undefined
      : token !== undefined && isSame(key.sessionToken, token)
  if (!hasToken) return unknownKey
  if (nowMs < (key.expiresMs ?? Infinity)) return undefined
  return refused('expiredToken', 'The security token included in the URL is expired.')
}

function refuseScope(given: Presigned, { regions }: PresignedUrlRules): Verification | undefined {
  const { parameters, date, region, service } = given
  if (!(parameters.get('X-Amz-Date') ?? '').startsWith(date)) {
    return refused('mismatch', 'The dates of X-Amz-Credential and X-Amz-Date differ.')
  }
  if (!regions.includes(region)) {
    return refused(
      'mismatch',
      `X-Amz-Credential names the region ${region}, which is not this one.`,
    )
  }
  if (presignedServices.includes(service)) return undefined
  return refused(
    'mismatch',
    `X-Amz-Credential names the service ${service}, not ${presignedService}.`,
  )
}

function refuseTime({ signedMs, periodMs }: Presigned, nowMs: number): Verification | undefined {
  if (nowMs > signedMs + periodMs) return refused('skewed', 'The URL has expired.')
  if (nowMs >= signedMs - clockSkewMaxMs) return undefined
  return refused('skewed', 'The URL was signed in the future: check the clock of the client.')
}

function isSignedBy(secret: string, given: Presigned, { headers }: UpgradeRequest): boolean {
  const { parameters, date, region, service } = given
  const name = headerText(headers['host']).toLowerCase()
  const nameAlone = name.replace(/:\d+$/, '')
  const scope = `${date}/${region}/${service}/${scopeEnd}`
  const key = [date, region, service, scopeEnd].reduce<string | Buffer>(hmac, `AWS4${secret}`)
  const signature = parameters.get('X-Amz-Signature') ?? ''
  const isOver = (host: string, unsignedNames: readonly string[]) => {
    const request = canonicalRequestOf(given, { ...headers, host }, unsignedNames)
    const hash = createHash('sha256').update(request).digest('hex')
    const text = [algorithm, parameters.get('X-Amz-Date'), scope, hash].join('\n')
    return isSame(hmac(key, text).toString('hex'), signature)
  }
  const ways = parameters.has('X-Amz-Security-Token') ? unsigned : unsigned.slice(0, 1)
  return [...new Set([name, nameAlone])].some((host) => ways.some((names) => isOver(host, names)))
}

/** IAM User Guide, "Create a signed AWS API request": method, path, query, headers, names, body. */
function canonicalRequestOf(
  { parameters, signedHeaders }: Presigned,
  headers: UpgradeRequest['headers'],
  unsignedNames: readonly string[],
): string {
  const query = [...parameters]
    .filter(([name]) => !unsignedNames.includes(name))
    .map(([name, value]) => `${encodeStrictly(name)}=${encodeStrictly(value)}`)
    .toSorted()
    .join('&')
  const lines = signedHeaders.map((name) => `${name}:${headerText(headers[name])}`)
  return ['GET', mqttPath, query, ...lines, '', signedHeaders.join(';'), emptyBodyHash].join('\n')
}

/** A header that is not there is signed as an empty one would be. */
const headerText = (value: string | string[] | undefined): string =>
  [value ?? ''].flat().join(',').trim().replaceAll(/ +/g, ' ')

/** RFC 3986: `encodeURIComponent` leaves five more characters as they are. */
function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

const hmac = (key: string | Buffer, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest()

/** Compares texts of any length in constant time. */
function isSame(expected: string, given: string): boolean {
  return timingSafeEqual(sha256(expected), sha256(given))
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

const incomplete = (message: string): Unreadable => ({ reason: 'incomplete', message })

const refused = (reason: RefusalReason, message: string): Verification => ({
  isValid: false,
  reason,
  message,
})
