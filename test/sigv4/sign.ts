import { createHash, createHmac } from 'node:crypto'
import type { SignedRequest } from '../../src/sigv4/verify-signature.ts'

export interface Signing {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
  /** `YYYYMMDD`; absent: that of `x-amz-date`. */
  readonly scopeDate?: string
  /** Absent: all. */
  readonly signedHeaders?: readonly string[]
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()

/** As AWS's documents have it: every byte but the unreserved characters of RFC 3986. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** Signs a request, written down from the documents and without the library of the verifier. */
export function sign(request: SignedRequest, signing: Signing): SignedRequest {
  const { headers, target } = request
  const names = (signing.signedHeaders ?? Object.keys(headers)).toSorted()
  const [path = '/', ...query] = target.split('?')
  const pairs = query
    .join('?')
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name = '', ...value] = pair.split('=')
      const decoded = [name, value.join('=')].map(decodeURIComponent)
      return decoded.map(encode)
    })
    .toSorted(([a = '', x = ''], [b = '', y = '']) =>
      a === b ? (x < y ? -1 : x > y ? 1 : 0) : a < b ? -1 : 1,
    )
  const canonical = [
    request.method,
    path.split('/').map(encode).join('/'),
    pairs.map((pair) => pair.join('=')).join('&'),
    ...names.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    sha256(request.body),
  ].join('\n')

  const signedAt = String(headers['x-amz-date'])
  const date = signing.scopeDate ?? signedAt.slice(0, 8)
  const scope = `${date}/${signing.region}/${signing.service}/aws4_request`
  const key = [date, signing.region, signing.service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${signing.secretAccessKey}`,
  )
  const toSign = ['AWS4-HMAC-SHA256', signedAt, scope, sha256(canonical)].join('\n')
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${signing.accessKeyId}/${scope}, ` +
    `SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { ...request, headers: { ...headers, authorization } }
}
