import { createHash, timingSafeEqual } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import { parseAuthorization } from './authorization.ts'
import type { Authorization } from './authorization.ts'
import { NodeSha256 } from './node-sha256.ts'

/**
 * Verifies AWS Signature Version 4 in the `Authorization` header (IAM User Guide, "AWS Signature
 * Version 4 for API requests"): the request is signed again, by the library that AWS's own clients
 * use, and the two signatures are compared.
 *
 * Invariants:
 * - path, query and body are verified as received: once decoded they could not be verified;
 * - a path has no empty or dot segments, which signatures do not cover;
 * - `host` (`:authority` will do in HTTP/2) and every `x-amz-*` header that is present must be
 *   signed, and `x-amz-content-sha256` must be the hash of the body, so that no part of the request
 *   can be replaced;
 * - comparisons with secrets take constant time.
 *
 * Signatures in the query (presigned URLs) and unsigned or streamed payloads are refused.
 */
export interface SignedRequest {
  readonly method: string
  /** Path and query exactly as received. */
  readonly target: string
  /** Names in lower case; in HTTP/2, `:authority` replaces `host`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

export interface SignatureRules {
  /** The signing name of the service: `kinesis`, `sts`, `iot`, `iotdata`. */
  readonly service: string
  /** Further names that clients sign with. */
  readonly otherServices?: readonly string[] | undefined
  /** The regions that the credential scope may name. */
  readonly regions: readonly string[]
  /** Epoch milliseconds. */
  readonly nowMs: number
  /** @returns the key of an access key id; undefined for an unknown one */
  findKey(accessKeyId: string): SigningKey | undefined
}

export interface SigningKey {
  readonly secretAccessKey: string
  /** The token of temporary credentials: the request must carry exactly this one. */
  readonly sessionToken?: string | undefined
  /** Epoch milliseconds; absent: the key does not expire. */
  readonly expiresMs?: number | undefined
}

/** Services name these reasons differently, so each maps them to its own error codes. */
export type RefusalReason =
  /** The request is not signed. */
  | 'missing'
  /** The `Authorization` header cannot be read, or lacks a part. */
  | 'incomplete'
  /** The access key id is unknown, or the session token does not belong to it. */
  | 'unknownKey'
  | 'expiredToken'
  /** The time of signing is more than five minutes off. */
  | 'skewed'
  /** Signed with another secret or for another scope, or changed on the way. */
  | 'mismatch'

export type Verification =
  | { readonly isValid: true; readonly accessKeyId: string }
  | { readonly isValid: false; readonly reason: RefusalReason; readonly message: string }

export const clockSkewMaxMs = 300_000

/** Verifies one request. Never rejects. */
export async function verifySignature(
  request: SignedRequest,
  rules: SignatureRules,
): Promise<Verification> {
  const parsed = parseAuthorization(request.headers)
  if ('reason' in parsed) return refused(parsed.reason, parsed.message)
  const key = rules.findKey(parsed.accessKeyId)
  const refusal =
    refuseKey(key, request, rules.nowMs) ??
    refuseScope(parsed, rules) ??
    refuseSkew(parsed, rules.nowMs) ??
    refuseUnsigned(parsed, request)
  if (refusal) return refusal
  // `refuseKey` has refused an unknown key: this check is for the compiler.
  const expected = key && (await signatureOf(request, parsed, key.secretAccessKey))
  if (expected === undefined || !isSame(expected, parsed.signature)) {
    return refused('mismatch', mismatchMessage)
  }
  return { isValid: true, accessKeyId: parsed.accessKeyId }
}

const mismatchMessage =
  'The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method.'
const unknownKeyMessage = 'The security token included in the request is invalid.'

function refuseKey(
  key: SigningKey | undefined,
  { headers }: SignedRequest,
  nowMs: number,
): Verification | undefined {
  if (!key) return refused('unknownKey', unknownKeyMessage)
  const token = headers['x-amz-security-token']
  const hasToken =
    key.sessionToken === undefined
      ? token === undefined
      : typeof token === 'string' && isSame(key.sessionToken, token)
  if (!hasToken) return refused('unknownKey', unknownKeyMessage)
  if (nowMs < (key.expiresMs ?? Infinity)) return undefined
  return refused('expiredToken', 'The security token included in the request is expired')
}

function refuseScope(given: Authorization, rules: SignatureRules): Verification | undefined {
  const { scope, signedAt } = given
  if (scope.date !== signedAt.slice(0, 8)) {
    return refused(
      'mismatch',
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ' +
        `'${scope.date}' != '${signedAt.slice(0, 8)}', from '${signedAt}'.`,
    )
  }
  if (!rules.regions.includes(scope.region)) {
    return refused(
      'mismatch',
      `Credential should be scoped to a valid region, not '${scope.region}'.`,
    )
  }
  if (scope.service === rules.service) return undefined
  if (rules.otherServices?.includes(scope.service) === true) return undefined
  return refused('mismatch', `Credential should be scoped to correct service: '${rules.service}'.`)
}

function refuseSkew({ signedAt, signedMs }: Authorization, nowMs: number) {
  if (signedMs < nowMs - clockSkewMaxMs) {
    return refused(
      'skewed',
      `Signature expired: ${signedAt} is now earlier than ` +
        `${compactTime(nowMs - clockSkewMaxMs)} (${compactTime(nowMs)} - 5 min.)`,
    )
  }
  if (signedMs <= nowMs + clockSkewMaxMs) return undefined
  return refused(
    'skewed',
    `Signature not yet current: ${signedAt} is still later than ` +
      `${compactTime(nowMs + clockSkewMaxMs)} (${compactTime(nowMs)} + 5 min.)`,
  )
}

const vanishingSegment = /\/\.{0,2}(?=\/)|\/\.{1,2}$/

/** Refuses parts that could be changed on the way without invalidating the signature. */
function refuseUnsigned(given: Authorization, request: SignedRequest): Verification | undefined {
  const { headers, target } = request
  // Signers do not sign these segments, so they could be added on the way.
  if (vanishingSegment.test(target.split('?', 1)[0] ?? '')) {
    return refused('mismatch', 'The path has empty or dot segments, which no signature covers.')
  }
  if (!given.signedHeaders.has('host') && !given.signedHeaders.has(':authority')) {
    return refused(
      'mismatch',
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    )
  }
  const unsigned = Object.keys(headers).find(
    (name) => name.startsWith('x-amz-') && !given.signedHeaders.has(name),
  )
  if (unsigned !== undefined) {
    return refused('mismatch', `The header ${unsigned} is not one of the SignedHeaders.`)
  }
  const claimedHash = headers['x-amz-content-sha256']
  if (claimedHash === undefined || claimedHash === hashOf(request.body)) return undefined
  return refused('mismatch', 'x-amz-content-sha256 is not the SHA-256 of the body, in hexadecimal.')
}

/** Signs the request again. @returns the signature in hexadecimal */
async function signatureOf(
  request: SignedRequest,
  given: Authorization,
  secretAccessKey: string,
): Promise<string | undefined> {
  const query = queryOf(request.target)
  if (!query) return undefined
  const signer = new SignatureV4({
    service: given.scope.service,
    region: given.scope.region,
    credentials: { accessKeyId: given.accessKeyId, secretAccessKey },
    sha256: NodeSha256,
    applyChecksum: false,
  })
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: '',
      path: request.target.split('?', 1)[0] ?? '/',
      query,
      headers: signedHeadersOf(request, given.signedHeaders),
      body: request.body,
    },
    { signingDate: new Date(given.signedMs), signableHeaders: new Set(given.signedHeaders) },
  )
  return /Signature=([0-9a-f]{64})$/.exec(signed.headers['authorization'] ?? '')?.[1]
}

function signedHeadersOf(
  { headers }: SignedRequest,
  names: ReadonlySet<string>,
): Record<string, string> {
  const all: SignedRequest['headers'] = {
    ...headers,
    host: headers['host'] ?? headers[':authority'],
  }
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const value = Object.hasOwn(all, name) ? all[name] : undefined
      return value === undefined
        ? []
        : [[name, typeof value === 'string' ? value : value.join(',')]]
    }),
  )
}

/**
 * The query of a target, decoded once; undefined if it cannot be decoded. A plus sign is literal:
 * signatures encode a space as `%20`.
 */
function queryOf(target: string): Record<string, string[]> | undefined {
  const start = target.indexOf('?')
  const query = new Map<string, string[]>()
  try {
    for (const pair of start < 0 ? [] : target.slice(start + 1).split('&')) {
      if (pair === '') continue
      const [name = '', ...rest] = pair.split('=')
      const key = decodeURIComponent(name)
      query.set(key, [...(query.get(key) ?? []), decodeURIComponent(rest.join('='))])
    }
  } catch {
    return undefined
  }
  // The signer does not sign these, so they could be added on the way.
  if ([...query.keys()].some((key) => /^(?:x-amz-signature|__proto__)$/i.test(key)))
    return undefined
  return Object.fromEntries(query)
}

const refused = (reason: RefusalReason, message: string): Verification => ({
  isValid: false,
  reason,
  message,
})

/** `20260101T000000Z`, the form of `x-amz-date`. */
const compactTime = (ms: number) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Compares texts of any length in constant time. */
function isSame(expected: string, given: string): boolean {
  return timingSafeEqual(
    createHash('sha256').update(expected).digest(),
    createHash('sha256').update(given).digest(),
  )
}
