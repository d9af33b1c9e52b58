import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { createGrowingBuffer } from '../../base/growing-buffer.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import { operationOf } from './api.ts'
import { createBodyPlaces } from './body-places.ts'
import type { BodyPlaces, BodyPlacesOptions } from './body-places.ts'
import type { HttpApp } from './http-app.ts'

interface BodyReaderDependencies {
  readonly clock: Clock
  /** Tells the callers from each other whose bodies share their places. */
  readonly callerOf: (request: FastifyRequest) => string
}

interface BodyReaderOptions extends BodyPlacesOptions {
  /** How long a body may arrive without a byte. */
  readonly bodyStalledTimeoutMs: number
}

/**
 * Reads the bodies of requests as bytes, whatever their content type, and bounds what they take. A
 * body is read before its signature can be verified, and access key ids are no secret: a client
 * without a key must neither fill the memory nor keep other clients' bodies out.
 *
 * A request without a body, and one that is refused by its headers, takes no place. Bytes are
 * counted until the answer is sent, or the client has gone.
 */
export function readBodies(
  app: HttpApp,
  { clock, callerOf }: BodyReaderDependencies,
  options: BodyReaderOptions,
): void {
  const places = createBodyPlaces(options)
  const responses = new WeakMap<FastifyRequest, ServerResponse>()

  app.addHook('preParsing', async (request, reply) => {
    responses.set(request, reply.raw)
    const { headers, routeOptions } = request
    // Clients that may not send a body have been refused by now.
    if (!/^100-continue$/i.test(headers.expect ?? '')) return
    if (Number(headers['content-length'] ?? 0) <= routeOptions.bodyLimit) reply.raw.writeContinue()
  })
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const { bodyLimit } = request.routeOptions
    const announced = Number(request.headers['content-length'] ?? 0)
    const tooLarge = () => tooLargeFor(request)
    if (announced > bodyLimit) throw tooLarge()
    return readBody(payload, {
      tooLarge,
      clock,
      enter: (lose) => enterUntilAnswered(places, callerOf(request), responses.get(request), lose),
      bytesMax: bodyLimit,
      stalledMs: options.bodyStalledTimeoutMs,
    })
  })
}

function enterUntilAnswered(
  places: BodyPlaces,
  caller: string,
  response: ServerResponse | undefined,
  lose: (error: SluiceError) => void,
) {
  const place = places.enter(caller, lose)
  response?.once('close', () => place.leave())
  // The client may have gone before its body was looked at.
  if (response?.destroyed) place.leave()
  return place
}

interface Reading {
  readonly clock: Clock
  readonly enter: (lose: (error: SluiceError) => void) => ReturnType<BodyPlaces['enter']>
  readonly bytesMax: number
  readonly tooLarge: () => SluiceError
  readonly stalledMs: number
}

/** @throws SluiceError InvalidRequestException, ThrottlingException (rejects) */
function readBody(payload: Readable, reading: Reading): Promise<Buffer> {
  const { clock, bytesMax, stalledMs } = reading
  return new Promise((resolve, reject) => {
    const body = createGrowingBuffer(bytesMax)
    const place = reading.enter(fail)
    let lastByteMs = clock.monotonicMs()
    let cancel = clock.after(stalledMs, checkStalled)

    function checkStalled(): void {
      const leftMs = stalledMs - (clock.monotonicMs() - lastByteMs)
      if (leftMs > 0) cancel = clock.after(leftMs, checkStalled)
      else fail(invalidRequest(`no byte of the body arrived for ${stalledMs} ms`))
    }
    function receive(chunk: Buffer): void {
      lastByteMs = clock.monotonicMs()
      if (body.length + chunk.length > bytesMax) fail(reading.tooLarge())
      else place.grow(body.append(chunk))
    }
    function end(): void {
      stop()
      place.arrived()
      resolve(body.bytes())
    }
    function fail(error: Error): void {
      stop()
      place.leave()
      reject(error)
    }
    const gone = () => fail(invalidRequest('the connection ended before the body did'))
    function stop(): void {
      cancel()
      payload.off('data', receive).off('end', end).off('close', gone)
    }
    payload.on('data', receive).on('end', end).on('close', gone)
    // An aborted request emits an error as well; `close` follows it.
    payload.on('error', () => undefined)
    payload.resume()
  })
}

function tooLargeFor(request: FastifyRequest): SluiceError {
  const { bodyLimit } = request.routeOptions
  const message = `the body is larger than the ${bodyLimit} bytes that are taken here`
  const { errors = [] } = operationOf(request) ?? {}
  return errors.includes('RequestTooLargeException')
    ? new SluiceError('RequestTooLargeException', message)
    : invalidRequest(message)
}
