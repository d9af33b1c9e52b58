import { createServer as createHttp1Server } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, createServer as createHttp2Server } from 'node:http2'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { listenOn } from '../../base/listen-on.ts'
import type { LabAnswer, LabHandler } from '../wire/lab-http.ts'

/**
 * One TCP port for HTTP/1.1 and for HTTP/2 without TLS. An HTTP/2 client with prior knowledge opens
 * with the preface `PRI * HTTP/2.0` (RFC 9113, 3.4), which cannot begin a request of HTTP/1.1. The
 * first three bytes decide, and are put back into the socket.
 */
interface HttpTransport {
  readonly port: number
  /** Stops listening and closes every connection at once. */
  close(): Promise<void>
}

interface HttpTransportOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly handle: LabHandler
}

/** PutRecords may carry 10 MiB, a third more in base64, and its partition keys. */
const bodyBytesMax = 16 * 1024 * 1024
const bodyBytesDiscardedMax = 4 * bodyBytesMax
const connectionsMax = 10_000
/** How long a new connection may take to send its first bytes. */
const prefaceTimeoutMs = 10_000
/** Longer than clients keep idle connections, so that none is closed while it is used again. */
const keepAliveTimeoutMs = 75_000
/** With HTTP/2's default of 64 KiB, each large PutRecords would wait for a round trip. */
const http2WindowBytes = 1024 * 1024

/** @throws SluiceError PortUnavailable (rejects) */
export async function openHttpTransport(options: HttpTransportOptions): Promise<HttpTransport> {
  const http1 = createHttp1Server({ keepAliveTimeout: keepAliveTimeoutMs }, (request, response) => {
    void serveHttp1(options.handle, request, response)
  })
  const http2 = createHttp2Server({ settings: { initialWindowSize: http2WindowBytes } })
  http2.on('stream', (stream, headers) => void serveHttp2(options.handle, stream, headers))
  http2.on('session', (session) => session.setLocalWindowSize(http2WindowBytes * 16))
  // Errors of single connections concern only their clients.
  http1.on('clientError', (_error, socket) => socket.destroy())
  http2.on('sessionError', () => undefined)

  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    whenProtocolKnown(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket))
  })
  server.maxConnections = connectionsMax

  const port = await listenOn(server, options, {
    title: 'the local Kinesis and STS',
    variables: 'SLUICE_LAB_HOST or SLUICE_LAB_PORT',
  })
  return {
    port,
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}

const http2Preface = 'PRI'

function whenProtocolKnown(socket: Socket, decide: (isHttp2: boolean) => void): void {
  const giveUp = () => socket.destroy()
  // Shorter than the preface until the last chunk, because one differing byte decides.
  let seen = Buffer.alloc(0)
  const look = () => {
    const bytes = socket.read() as Buffer | null
    if (!bytes) return
    seen = Buffer.concat([seen, bytes])
    const start = seen.toString('latin1', 0, http2Preface.length)
    if (start.length < http2Preface.length && http2Preface.startsWith(start)) return
    socket.off('readable', look)
    socket.off('timeout', giveUp)
    socket.setTimeout(0)
    socket.unshift(seen)
    decide(start === http2Preface)
  }
  socket.setTimeout(prefaceTimeoutMs, giveUp)
  socket.on('readable', look)
}

async function serveHttp1(
  handle: LabHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request)
  if (body === 'broken') return
  const given: LabAnswer =
    body === 'tooLarge'
      ? tooLarge
      : await handle({
          protocol: 'HTTP/1.1',
          method: request.method ?? 'GET',
          target: request.url ?? '/',
          headers: request.headers,
          body,
        })
  if (given.kind === 'cut') {
    request.socket.destroy()
    return
  }
  if (given.kind === 'stream') {
    response.writeHead(given.status, { ...given.headers })
    given.open(response)
    return
  }
  const length = { 'content-length': String(Buffer.byteLength(given.body)) }
  response.writeHead(given.status, { ...given.headers, ...length })
  response.end(given.body)
}

async function serveHttp2(
  handle: LabHandler,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  // A reset by the client: `readBody` notices the end of the stream.
  stream.on('error', () => undefined)
  const body = await readBody(stream)
  if (body === 'broken') return
  const given: LabAnswer =
    body === 'tooLarge'
      ? tooLarge
      : await handle({
          protocol: 'HTTP/2',
          method: headers[':method'] ?? 'GET',
          target: headers[':path'] ?? '/',
          headers,
          body,
        })
  if (given.kind === 'cut') {
    stream.session?.destroy()
    return
  }
  if (stream.destroyed) return
  if (given.kind === 'stream') {
    stream.respond({ ...given.headers, ':status': given.status })
    given.open(stream)
    return
  }
  stream.respond({
    ...given.headers,
    ':status': given.status,
    'content-length': Buffer.byteLength(given.body),
  })
  stream.end(given.body)
  // This tells the client to stop sending the body (RFC 9113, 8.1).
  if (body === 'tooLarge') stream.close(constants.NGHTTP2_NO_ERROR)
}

const tooLarge: LabAnswer = Object.freeze({
  kind: 'answer',
  status: 413,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({
    __type: 'RequestEntityTooLargeException',
    message: `The request is over the limit of ${bodyBytesMax} bytes.`,
  }),
})

/**
 * Reads the whole body; `broken` when the client disconnected, `tooLarge` as soon as it exceeds the
 * limit. The rest of a large body is read and discarded, because clients only read the response
 * after they have sent the request; the connection of a client that does not stop is closed.
 */
function readBody(stream: Readable): Promise<Buffer | 'tooLarge' | 'broken'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    stream.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes <= bodyBytesMax) {
        chunks.push(chunk)
        return
      }
      chunks.length = 0
      resolve('tooLarge')
      if (sizeBytes > bodyBytesDiscardedMax) stream.destroy()
    })
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('close', () => resolve('broken'))
    stream.once('error', () => resolve('broken'))
  })
}
