import { createServer as createHttp1Server } from 'node:http'
import type { Server as Http1Server, IncomingMessage, ServerResponse } from 'node:http'
import { constants, createServer as createHttp2Server } from 'node:http2'
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { listenOn } from '../../base/listen-on.ts'
import type { LabAnswer, LabHandler, LabRequestHead } from '../wire/lab-http.ts'
import { createRequestBodies } from './request-bodies.ts'
import type { BodyLimits, RequestBodies } from './request-bodies.ts'

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

interface HttpTransportDependencies {
  readonly clock: Clock
  /** Refuses a request by its headers, before its body is read. */
  readonly refuse: (head: LabRequestHead) => LabAnswer | undefined
  readonly handle: LabHandler
}

interface HttpTransportOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly transportLimits?: Partial<TransportLimits> | undefined
}

interface TransportLimits extends BodyLimits {
  readonly connectionsMax: number
  /** How long a new connection may take to send its first bytes. */
  readonly prefaceTimeoutMs: number
  /** Time for all headers, from the connect or from the first byte of a later request. */
  readonly headersTimeoutMs: number
  /** How often the time for headers is checked; a request may overrun it by as much. */
  readonly checkIntervalMs: number
  /** How long a connection without a request is kept open. */
  readonly idleTimeoutMs: number
}

const defaultLimits: TransportLimits = Object.freeze({
  // PutRecords may carry 10 MiB, a third more in base64, and its partition keys.
  bodyBytesMax: 16 * 1024 * 1024,
  heldBytesMax: 256 * 1024 * 1024,
  bodyStalledMs: 10_000,
  bodyTimeoutMs: 60_000,
  connectionsMax: 10_000,
  prefaceTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  checkIntervalMs: 1_000,
  // Longer than clients keep idle connections, so that none is closed while it is used again.
  idleTimeoutMs: 75_000,
})

/** With HTTP/2's default of 64 KiB, each large PutRecords would wait for a round trip. */
const http2WindowBytes = 1024 * 1024
const http2StreamsMax = 1_000

/** @throws SluiceError PortUnavailable (rejects) */
export async function openHttpTransport(
  { clock, refuse, handle }: HttpTransportDependencies,
  options: HttpTransportOptions,
): Promise<HttpTransport> {
  const limits = { ...defaultLimits, ...options.transportLimits }
  const bodies = createRequestBodies(clock, limits)
  const serve = (call: HttpCall) => serveCall({ refuse, handle, bodies, limits }, call)
  const http1 = createHttp1(limits, serve)
  const http2 = createHttp2({ clock, limits }, serve)

  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    whenProtocolKnown(socket, limits, (isHttp2) =>
      (isHttp2 ? http2 : http1).emit('connection', socket),
    )
  })
  server.maxConnections = limits.connectionsMax

  const port = await listenOn(server, options, {
    title: 'the local Kinesis and STS',
    variables: 'SLUICE_LAB_HOST or SLUICE_LAB_PORT',
  })
  return {
    port,
    close() {
      return new Promise((resolve) => {
        http1.close()
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}

const http2Preface = 'PRI'

function whenProtocolKnown(
  socket: Socket,
  { prefaceTimeoutMs }: TransportLimits,
  decide: (isHttp2: boolean) => void,
): void {
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

type Serve = (call: HttpCall) => Promise<void>

function createHttp1(limits: TransportLimits, serve: Serve): Http1Server {
  const server = createHttp1Server(
    {
      keepAliveTimeout: limits.idleTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      // Bodies have limits of their own: see request-bodies.ts.
      requestTimeout: 0,
      connectionsCheckingInterval: limits.checkIntervalMs,
      // The guard of the lab answers what has no `Host`.
      requireHostHeader: false,
    },
    (request, response) => {
      void serve(http1Call(request, response))
    },
  )
  // Errors of single connections concern only their clients.
  server.on('clientError', (_error, socket) => socket.destroy())
  // A server checks the time for headers once it listens; this one is given its connections.
  server.emit('listening')
  return server
}

function createHttp2(
  { clock, limits }: { readonly clock: Clock; readonly limits: TransportLimits },
  serve: Serve,
): Http2Server {
  const server = createHttp2Server({
    settings: { initialWindowSize: http2WindowBytes, maxConcurrentStreams: http2StreamsMax },
  })
  server.on('session', (session) => {
    session.setLocalWindowSize(http2WindowBytes * 16)
    closeWhenIdle(session, clock, limits.idleTimeoutMs)
  })
  server.on('stream', (stream, headers) => void serve(http2Call(stream, headers)))
  server.on('sessionError', () => undefined)
  return server
}

/** Closes a session that had no request for some time, whatever bytes it sends. */
function closeWhenIdle(session: ServerHttp2Session, clock: Clock, idleTimeoutMs: number): void {
  let requests = 0
  const wait = () => clock.after(idleTimeoutMs, () => session.destroy())
  let cancel = wait()
  session.on('stream', (stream) => {
    requests++
    cancel()
    stream.once('close', () => {
      requests--
      if (requests === 0 && !session.destroyed) cancel = wait()
    })
  })
  session.once('close', () => cancel())
}

/** A request whose headers are there, over either version of HTTP. */
interface HttpCall {
  readonly head: LabRequestHead
  readonly body: Readable
  /** @param isBodyLeft whether the client may still be sending */
  answer(given: LabAnswer, isBodyLeft: boolean): void
}

interface CallParts extends Pick<HttpTransportDependencies, 'refuse' | 'handle'> {
  readonly bodies: RequestBodies
  readonly limits: BodyLimits
}

async function serveCall({ refuse, handle, bodies, limits }: CallParts, call: HttpCall) {
  const refused = refuse(call.head)
  if (refused) {
    bodies.discard(call.body)
    call.answer(refused, true)
    return
  }
  const body = await bodies.read(call.body)
  if (body === 'broken') return
  if (body === 'tooLarge') return call.answer(tooLarge(limits), true)
  if (body === 'noRoom') return call.answer(noRoom, true)
  call.answer(await handle({ ...call.head, body: body.bytes }), false)
  body.release()
}

function http1Call(request: IncomingMessage, response: ServerResponse): HttpCall {
  return {
    head: {
      protocol: 'HTTP/1.1',
      method: request.method ?? 'GET',
      target: request.url ?? '/',
      headers: request.headers,
    },
    body: request,
    answer(given) {
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
    },
  }
}

function http2Call(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): HttpCall {
  // A reset by the client: the reading of the body notices the end of the stream.
  stream.on('error', () => undefined)
  return {
    head: {
      protocol: 'HTTP/2',
      method: headers[':method'] ?? 'GET',
      target: headers[':path'] ?? '/',
      headers,
    },
    body: stream,
    answer(given, isBodyLeft) {
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
      if (isBodyLeft) stream.close(constants.NGHTTP2_NO_ERROR)
    },
  }
}

const errorAnswer = (status: number, code: string, message: string): LabAnswer => ({
  kind: 'answer',
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: code, message }),
})

const tooLarge = ({ bodyBytesMax }: BodyLimits) =>
  errorAnswer(
    413,
    'RequestEntityTooLargeException',
    `The request is over the limit of ${bodyBytesMax} bytes.`,
  )

const noRoom = errorAnswer(
  503,
  'ServiceUnavailable',
  'Too many bytes of requests are under way: try again later.',
)
