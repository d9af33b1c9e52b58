import type { Credentials } from './credentials.ts'

/**
 * Signs a request with AWS Signature Version 4 [AWS General Reference, "Signing AWS API requests"],
 * for the service `iot`, with the hashes of the browser. They are there on secure pages alone.
 *
 * @returns the headers to add
 */
export async function signRequest(
  { method, url, body }: { readonly method: string; readonly url: URL; readonly body: string },
  { accessKeyId, secretAccessKey, region }: Credentials,
  now = new Date(),
): Promise<Record<string, string>> {
  const time = now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
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
  const scope = `${day}/${region}/iot/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, hex(await sha256(canonical))].join('\n')
  let key: BufferSource = bytesOf(`AWS4${secretAccessKey}`)
  for (const part of [day, region, 'iot', 'aws4_request']) key = await hmac(key, part)
  const signature = hex(await hmac(key, toSign))
  return {
    'x-amz-date': time,
    'x-amz-content-sha256': payloadHash,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
  }
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
