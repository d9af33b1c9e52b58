import type { Credentials } from './credentials.ts'

/**
 * Signs a request with AWS Signature Version 4 [AWS General Reference, "Signing AWS API requests"],
 * for the service of its path. The hashes are the browser's, which secure pages alone have.
 *
 * @returns the headers to add
 */
export async function signRequest(
  { method, url, body }: { readonly method: string; readonly url: URL; readonly body: string },
  { accessKeyId, secretAccessKey, region }: Credentials,
  now = new Date(),
): Promise<Record<string, string>> {
  const time = timeOf(now)
  const day = time.slice(0, 8)
  const payloadHash = hex(await sha256(body))
  const headers = [
    ['host', url.host],
    ['x-amz-content-sha256', payloadHash],
    ['x-amz-date', time],
  ] as const
  const signedHeaders = headers.map(([name]) => name).join(';')
  const canonical = [
    method,
    url.pathname.split('/').map(encoded).join('/'),
    canonicalQuery(url),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    signedHeaders,
    payloadHash,
  ].join('\n')
  const scope = `${day}/${region}/${serviceOf(url)}/aws4_request`
  const signature = await signatureOf(canonical, { time, scope, secretAccessKey })
  return {
    'x-amz-date': time,
    'x-amz-content-sha256': payloadHash,
    authorization: `${signatureKind} Credential=${accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
  }
}

/** The service whose API a path is of: AWS Lambda, the data plane or the rest of AWS IoT. */
function serviceOf({ pathname }: URL): 'lambda' | 'iotdata' | 'iot' {
  if (pathname.startsWith('/2015-03-31/')) return 'lambda'
  return /^\/(topics|connections|retainedMessage|things\/[^/]+\/shadow|api\/things)(\/|$)/.test(
    pathname,
  )
    ? 'iotdata'
    : 'iot'
}

/**
 * Signs the URL of MQTT over WebSocket [AWS IoT Developer Guide, "MQTT over the WebSocket
 * protocol"]: a browser cannot set headers there.
 *
 * @param url without a query
 * @returns the URL with the signature, which holds for five minutes
 */
export async function presignMqttUrl(
  url: URL,
  { accessKeyId, secretAccessKey, region }: Credentials,
  now = new Date(),
): Promise<string> {
  const time = timeOf(now)
  const scope = `${time.slice(0, 8)}/${region}/iotdevicegateway/aws4_request`
  const signed = new URL(url)
  signed.searchParams.set('X-Amz-Algorithm', signatureKind)
  signed.searchParams.set('X-Amz-Credential', `${accessKeyId}/${scope}`)
  signed.searchParams.set('X-Amz-Date', time)
  signed.searchParams.set('X-Amz-Expires', '300')
  signed.searchParams.set('X-Amz-SignedHeaders', 'host')
  const query = canonicalQuery(signed)
  const canonical = ['GET', url.pathname, query, `host:${url.host}`, '', 'host', await emptyHash()]
  const about = { time, scope, secretAccessKey }
  const signature = await signatureOf(canonical.join('\n'), about)
  return `${url.origin}${url.pathname}?${query}&X-Amz-Signature=${signature}`
}

const signatureKind = 'AWS4-HMAC-SHA256'
const emptyHash = async () => hex(await sha256(''))
const timeOf = (now: Date): string => now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')

async function signatureOf(
  canonical: string,
  {
    time,
    scope,
    secretAccessKey,
  }: { readonly time: string; readonly scope: string; readonly secretAccessKey: string },
): Promise<string> {
  const toSign = [signatureKind, time, scope, hex(await sha256(canonical))].join('\n')
  let key: BufferSource = bytesOf(`AWS4${secretAccessKey}`)
  for (const part of scope.split('/')) key = await hmac(key, part)
  return hex(await hmac(key, toSign))
}

function canonicalQuery({ searchParams }: URL): string {
  return [...searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .toSorted((left, right) => (left < right ? -1 : 1))
    .join('&')
}

/** RFC 3986, as AWS asks for it. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)
const sha256 = (text: string): Promise<ArrayBuffer> =>
  crypto.subtle.digest('SHA-256', bytesOf(text))

async function hmac(key: BufferSource, text: string): Promise<ArrayBuffer> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const imported = await crypto.subtle.importKey('raw', key, algorithm, false, ['sign'])
  return crypto.subtle.sign('HMAC', imported, bytesOf(text))
}

const hex = (bytes: ArrayBuffer): string =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
