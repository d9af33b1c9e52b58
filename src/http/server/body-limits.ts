import { throttled } from './http-answers.ts'
import type { HttpApp } from './http-app.ts'

/**
 * Bounds the memory of bodies that arrive at the same time. A body is held before its signature can
 * be verified, and access key ids are no secret, so clients without a key could fill the memory.
 *
 * @param bytesMax bytes of all bodies that are arriving or being handled; a body of unknown length
 *   counts as the longest that its route takes
 */
export function limitBodies(app: HttpApp, bytesMax: number): void {
  let heldBytes = 0
  app.addHook('onRequest', async (request, reply) => {
    const bytes = announcedBytes(request.headers, request.routeOptions.bodyLimit)
    if (bytes === 0) return
    if (heldBytes + bytes > bytesMax) {
      reply.header('connection', 'close')
      throw throttled(retryMs, 'Too many requests with a body are under way.')
    }
    heldBytes += bytes
    reply.raw.once('close', () => {
      heldBytes -= bytes
    })
  })
}

const retryMs = 1_000

function announcedBytes(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  limit: number,
): number {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  if (encoding !== undefined) return limit
  // A longer body is refused before it is read.
  return Math.min(Number(length ?? 0), limit)
}
