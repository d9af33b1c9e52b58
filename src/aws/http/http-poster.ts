import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Clock } from '../../base/clock.ts'
import type { AddressGuard } from '../call/address-guard.ts'

/** A request to an endpoint. */
export interface HttpPostRequest {
  readonly url: string
  /** In their order; a name may occur more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  readonly signal: AbortSignal
}

/** What an endpoint answered. */
export interface HttpAnswer {
  readonly status: number
  /** The reason phrase, which may be empty. */
  readonly reason: string
  /** The value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined
  /** The beginning of the body, at most 16,384 bytes. */
  readonly body: Buffer
}

/** Posts to endpoints that people have chosen, not AWS. */
export interface HttpPoster {
  /**
   * Makes one request. A redirect is an answer like any other: it is not followed.
   *
   * @throws an error of the network, one with the code `EndpointRefused`, or one named
   *   `TimeoutError` (rejects)
   */
  post(request: HttpPostRequest): Promise<HttpAnswer>
  /** Closes all connections. */
  close(): void
}

/** AWS IoT reads no more of an answer. */
const answerBytesMax = 16_384
/**
 * The whole exchange, from the look-up of the name to the end of the answer. It is as long as for
 * calls of AWS: a request that timed out may have been carried out, and is then made twice.
 */
const exchangeMsMax = 15_000
const socketsPerHostMax = 256

/**
 * Node's own client makes the requests. It follows no redirect, reads no proxy from the
 * environment, and takes the function that resolves names, which the checks of addresses need.
 */
export function createHttpPoster(
  { clock }: { readonly clock: Clock },
  guard: AddressGuard,
): HttpPoster {
  const { lookup } = guard
  const options = { keepAlive: true, maxSockets: socketsPerHostMax, lookup }
  const plain = new HttpAgent(options)
  // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: NODE_EXTRA_CA_CERTS adds authorities.
  const secure = new HttpsAgent({ ...options, rejectUnauthorized: true })

  return {
    async post({ url: text, headers, body, signal }) {
      const url = new URL(text)
      // Node resolves no address, so that its look-up does not see it.
      guard.checkHost(url.hostname)
      const request =
        url.protocol === 'https:'
          ? httpsRequest(url, { method: 'POST', signal, agent: secure })
          : httpRequest(url, { method: 'POST', signal, agent: plain })
      for (const [name, values] of gathered(headers)) request.setHeader(name, values)
      request.setHeader('content-length', body.length)
      const cancel = clock.after(exchangeMsMax, () =>
        request.destroy(timedOut(`no whole answer within ${exchangeMsMax} ms`)),
      )
      try {
        return await exchange(request, body)
      } finally {
        cancel()
      }
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

/** A name that occurs more than once makes several lines. Names are the same in any case. */
function gathered(headers: HttpPostRequest['headers']): Iterable<readonly [string, string[]]> {
  const byName = new Map<string, readonly [name: string, values: string[]]>()
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    const line = byName.get(key)
    if (line === undefined) byName.set(key, [name, [value]])
    else line[1].push(value)
  }
  return byName.values()
}

function exchange(request: ClientRequest, body: Buffer): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      readBeginning(response).then((bytes) => resolve(answerOf(response, bytes)), reject)
    })
    request.end(body)
  })
}

/** Reads no more than is kept: the rest of a longer answer is cut off with its connection. */
async function readBeginning(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes >= answerBytesMax) break
  }
  return Buffer.concat(chunks).subarray(0, answerBytesMax)
}

function answerOf(response: IncomingMessage, body: Buffer): HttpAnswer {
  const { statusCode: status = 0, statusMessage: reason = '', headers } = response
  return {
    status,
    reason,
    body,
    header(name) {
      const value = headers[name]
      return Array.isArray(value) ? value[0] : value
    },
  }
}

function timedOut(message: string): Error {
  return Object.assign(new Error(message), { name: 'TimeoutError' })
}
