import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { systemClock } from '../../base/clock.ts'
import type { STSClient } from '@aws-sdk/client-sts'
import { HttpRequest } from '@smithy/core/transport'
import { SignatureV4 } from '@smithy/signature-v4'
import { NodeSha256 } from '../../sigv4/node-sha256.ts'
import { sdkProviderOf } from './credentials.ts'
import type { RoleCredentials } from './credentials.ts'
import type { AddressGuard } from './address-guard.ts'
import { createProcessClient } from './sts.ts'
import type { StaticCredentials } from './sts.ts'
import type { NodeHttpHandler } from '@smithy/node-http-handler'

interface SignedHttpOptions {
  readonly region: string
  readonly requestHandler: Pick<NodeHttpHandler, 'handle'>
  /** Which addresses may be called. Absent: the operator has named the server. */
  readonly guard?: AddressGuard | undefined
  readonly credentials?: RoleCredentials | undefined
  readonly baseCredentials?: StaticCredentials | undefined
}

interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Scheme, host and port; a path is put before `path`. */
  readonly server: URL
  /** Percent-encoded, from the first `/` on. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** The answer of a server, whatever its status. A redirection is an answer, and not followed. */
export interface HttpAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders
  /** At most `answerBytesMax`; what is longer is cut. */
  readonly text: string
}

/** Requests to servers that no client of the SDK knows. */
interface SignedHttp {
  /** A client of the SDK that has the credentials of the process. */
  readonly client: STSClient
  /** Sends a request. Rejects when there is no answer. */
  send(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer>
}

const answerBytesMax = 256 * 1_024
/** A server that a rule names could otherwise hold a call by sending its answer ever so slowly. */
const answerMsMax = 30_000
const tooLate = new Error(`the answer was not whole after ${answerMsMax / 1_000} s`)

/** @param service the name of the service in signatures: `es`; undefined: they are not signed */
export function createSignedHttp(
  { region, requestHandler, guard, credentials, baseCredentials }: SignedHttpOptions,
  service: string | undefined,
): SignedHttp {
  const client = createProcessClient({ region, baseCredentials })
  const signer =
    service === undefined
      ? undefined
      : new SignatureV4({
          service,
          region,
          credentials:
            credentials === undefined ? client.config.credentials : sdkProviderOf(credentials),
          sha256: NodeSha256,
        })

  return {
    client,
    async send({ method, server, path, headers, body }, signal) {
      guard?.checkHost(server.hostname)
      const request = new HttpRequest({
        method,
        protocol: server.protocol,
        hostname: server.hostname,
        ...(server.port !== '' && { port: Number(server.port) }),
        path: `${server.pathname.replace(/\/$/, '')}${path}`,
        headers: { host: server.host, 'content-length': String(body.length), ...headers },
        body,
      })
      const signed = signer ? new HttpRequest(await signer.sign(request)) : request
      const over = new AbortController()
      const cancel = systemClock.after(answerMsMax, () => over.abort(tooLate))
      const ending = AbortSignal.any([signal, over.signal])
      try {
        const { response } = await requestHandler.handle(signed, { abortSignal: ending })
        const text = await readText(response.body as Readable, ending)
        return { status: response.statusCode, headers: response.headers, text }
      } finally {
        cancel()
      }
    },
  }
}

async function readText(body: Readable, signal: AbortSignal): Promise<string> {
  const end = () => body.destroy(signal.reason instanceof Error ? signal.reason : undefined)
  signal.addEventListener('abort', end)
  try {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      // Leaving the loop ends the connection.
      if (bytes >= answerBytesMax) break
    }
    return Buffer.concat(chunks).toString('utf8', 0, answerBytesMax)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** The error of a server, in the form in which the SDK throws the errors of services. */
export class ServerError extends Error {
  override readonly name: string
  readonly $metadata: { readonly httpStatusCode: number }

  /** @param code the code of the failure */
  constructor(code: string, message: string, { status }: Pick<HttpAnswer, 'status'>) {
    super(message)
    this.name = code
    this.$metadata = { httpStatusCode: status }
  }
}

/** The JSON object of an answer; undefined for anything else, such as the page of a proxy. */
export function jsonOf({ text }: Pick<HttpAnswer, 'text'>): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** `com.amazonaws#Code` in a body, `Code:http://...` in a header. */
function codeIn(type: unknown): string | undefined {
  return typeof type === 'string' ? type.split('#').at(-1)?.split(':')[0] : undefined
}

const refusedTexts = [
  [/security token included in the request is expired/i, 'ExpiredTokenException'],
  [/security token included in the request is invalid/i, 'UnrecognizedClientException'],
] as const

/**
 * What AWS itself says in front of a server: that the caller is not allowed, or calls too often.
 * Not every such answer has a code, but its text is that of AWS's other services.
 *
 * @returns undefined when the answer is not AWS's
 */
export function awsErrorOf(answer: HttpAnswer): ServerError | undefined {
  const { message, Message = message, __type } = jsonOf(answer) ?? {}
  const type = answer.headers['x-amzn-errortype'] ?? __type
  const text = typeof Message === 'string' ? Message : undefined
  const known = text && refusedTexts.find(([pattern]) => pattern.test(text))?.[1]
  const code = known ?? codeIn(type)
  if (code) return new ServerError(code, text ?? code, answer)
  return text === undefined ? undefined : new ServerError(`Http${answer.status}`, text, answer)
}
