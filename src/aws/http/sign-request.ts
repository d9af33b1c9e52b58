import { SignatureV4 } from '@smithy/signature-v4'
import { NodeSha256 } from '../../sigv4/node-sha256.ts'
import type { HttpPostRequest } from './http-poster.ts'

/** `auth.sigv4` of the HTTP action [AWS IoT API Reference, SigV4Authorization]. */
interface SigningScope {
  readonly signingRegion: string
  readonly serviceName: string
}

interface SigningCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/**
 * Signs a request, by default a POST, with Signature Version 4, by its headers.
 *
 * @returns all headers of the request, those of the signature among them
 */
export async function signRequest(
  {
    method = 'POST',
    url: text,
    headers,
    body,
  }: Omit<HttpPostRequest, 'signal'> & { readonly method?: string },
  { signingRegion: region, serviceName: service }: SigningScope,
  { accessKeyId, secretAccessKey, sessionToken }: SigningCredentials,
): Promise<HttpPostRequest['headers']> {
  const url = new URL(text)
  const signer = new SignatureV4({
    credentials: {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
    },
    region,
    service,
    sha256: NodeSha256,
    // S3 alone takes the path as it is sent.
    uriEscapePath: service !== 's3',
  })
  const given = new Map<string, string>([['host', url.host]])
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    const before = given.get(key)
    given.set(key, before === undefined ? value : `${before},${value}`)
  }
  const signed = await signer.sign({
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: queryOf(url),
    headers: Object.fromEntries(given),
    body,
  })
  const added = Object.entries(signed.headers).filter(([name]) => !given.has(name.toLowerCase()))
  return [...headers, ...added]
}

function queryOf({ searchParams }: URL): Record<string, string | string[]> {
  const names = [...new Set(searchParams.keys())]
  return Object.fromEntries(
    names.map((name) => {
      const values = searchParams.getAll(name)
      const [only = ''] = values
      return [name, values.length === 1 ? only : values]
    }),
  )
}
