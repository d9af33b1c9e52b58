import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SignatureV4CryptoInit } from '@smithy/signature-v4'
import { parseAuthorization } from './authorization.ts'
import type { Authorization } from './authorization.ts'

/**
 * Verifies AWS Signature Version 4 in the `Authorization` header (IAM User Guide, "AWS Signature
 * Version 4 for API requests"): what the caller sent is signed again, by the library that AWS's
 * own clients sign with, and the two signatures are compared.
 *
 * Invariants:
 * - path, query and body are those of the wire: what was decoded once can no longer be verified;
 * - a path has no empty or dot segments, which signatures leave out;
 * - `host` (`:authority` will do in HTTP/2) and every `x-amz-*` header that is present must be
 *   signed, and `x-amz-content-sha256` must be the hash of the body that came, so that nothing of
 *   the request can be exchanged;
 * - a comparison with a secret takes the same time wherever the two differ.
 *
 * Signatures in the query (presigned URLs) and unsigned or streamed payloads are refused.
 */
export interface SignedRequest {
  readonly method: string
  /** Path and query exactly as they came. */
  readonly target: string
  /** Names in lower case; of HTTP/2, `:authority` stands in for `host`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

export interface SignatureRules {
  /** The name that the service signs by: `kinesis`, `sts`, `iot`, `iotdata`. */
  readonly service: string
  /** What the credential scope may name. */
  readonly regions: readonly string[]
  /** Epoch milliseconds. */
  readonly nowMs: number
  /** The secret of an access key id; undefined for one that nobody has. */
  findKey(accessKeyId: string): SigningKey | undefined
}

export interface SigningKey {
  readonly secretAccessKey: string
  /** Of the keys of a session: the request must carry it, and no other may. */
  readonly sessionToken?: string | undefined
  /** Epoch milliseconds; absent: never. */
  readonly expiresMs?: number | undefined
}

/** Services name these reasons differently: each maps them to its own codes. */
export type RefusalReason =
  /** It is not signed at all. */
  | 'missing'
  /** The `Authorization` header cannot be read, or lacks a part. */
  | 'incomplete'
  /** The access key id, or the session token with it, is not known. */
  | 'unknownKey'
  | 'expiredToken'
  /** Signed more than five minutes ago, or ahead. */
  | 'skewed'
  /** Signed with another secret, for another scope, or not as it came. */
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
  // `refuseKey` refuses a key that is not there: this only tells the compiler.
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

/** What could be exchanged on the way although the signature holds. */
function refuseUnsigned(given: Authorization, request: SignedRequest): Verification | undefined {
  const { headers, target } = request
  // Signers leave these out of what they sign, so that they could be added on the way.
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

/** Signs the request again; gives the signature in hexadecimal. */
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
 * The query of a target, decoded once; undefined for one that cannot be. A plus sign is a plus
 * sign here: a blank is `%20` in a signature.
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
  // The signer leaves these out of what it signs: they could be added on the way.
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

/** Compares texts of any length in a time that does not tell where they differ. */
function isSame(expected: string, given: string): boolean {
  return timingSafeEqual(
    createHash('sha256').update(expected).digest(),
    createHash('sha256').update(given).digest(),
  )
}

type Sha256Constructor = SignatureV4CryptoInit['sha256']
type Secret = ConstructorParameters<Sha256Constructor>[0]

/** node:crypto as the signer takes it: a class, because it makes its hashes by `new`. */
class NodeSha256 {
  readonly #hash

  constructor(secret?: Secret) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
  }

  update(chunk: NonNullable<Secret>): void {
    this.#hash.update(bytesOf(chunk))
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {
    throw new Error('a hash of the signer is used once')
  }
}

function bytesOf(data: NonNullable<Secret>): string | Uint8Array {
  if (typeof data === 'string') return data
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}
