import type { Readable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { createGrowingBuffer } from '../../base/growing-buffer.ts'

/**
 * Reads the bodies of requests, and bounds what they cost. What is refused is read and discarded,
 * because clients only read the answer after they have sent the request.
 *
 * Invariants:
 * - A body counts by the memory that it takes, never by the length that it announces.
 * - Beyond `heldBytesMax` in all, the arriving body loses its place that has waited longest for a
 *   byte. A body that has arrived keeps its place until it is released.
 * - A body that stands still, or takes too long, is not waited for: its stream is destroyed.
 */
export interface RequestBodies {
  /** @returns the whole body, or why there is none; never rejects */
  read(stream: Readable): Promise<HeldBody | BodyRefusal>
  /** Reads a body that nobody needs. */
  discard(stream: Readable): void
}

interface HeldBody {
  readonly bytes: Buffer
  /** Call it when the request is answered. */
  release(): void
}

/** `broken`: the client has gone, or its body did not arrive in time. */
type BodyRefusal = 'broken' | 'tooLarge' | 'noRoom'

export interface BodyLimits {
  readonly bodyBytesMax: number
  /** The bodies of all requests that are not answered yet. */
  readonly heldBytesMax: number
  /** How long a body may arrive without a byte. */
  readonly bodyStalledMs: number
  /** How long a body may take in all. */
  readonly bodyTimeoutMs: number
}

/** How often as much as the longest body is discarded before the connection is closed. */
const discardedTimes = 4

export function createRequestBodies(clock: Clock, limits: BodyLimits): RequestBodies {
  const held = createHeldBytes(limits.heldBytesMax)
  return {
    read: (stream) =>
      new Promise((resolve) => {
        const body = createGrowingBuffer(limits.bodyBytesMax)
        const place = held.enter(() => refuse('noRoom'))
        let isRefused = false

        function refuse(refusal: BodyRefusal): void {
          isRefused = true
          place.release()
          resolve(refusal)
        }
        receive(
          stream,
          { clock, limits },
          {
            onChunk(chunk) {
              if (isRefused) return
              if (body.length + chunk.length > limits.bodyBytesMax) refuse('tooLarge')
              else place.grow(body.append(chunk))
            },
            onEnd() {
              if (isRefused) return
              place.arrived()
              resolve({ bytes: body.bytes(), release: place.release })
            },
            onGone() {
              place.gone()
              resolve('broken')
            },
          },
        )
      }),
    discard: (stream) => receive(stream, { clock, limits }, {}),
  }
}

interface Receiver {
  onChunk?(chunk: Buffer): void
  /** The body is whole. */
  onEnd?(): void
  /** The stream is closed, whether or not the body was whole. */
  onGone?(): void
}

/** Reads a stream to its end. One that stands still, or is too long or too slow, is destroyed. */
function receive(
  stream: Readable,
  { clock, limits }: { readonly clock: Clock; readonly limits: BodyLimits },
  receiver: Receiver,
): void {
  const { bodyBytesMax, bodyStalledMs, bodyTimeoutMs } = limits
  let leftBytes = bodyBytesMax * discardedTimes
  const beganMs = clock.monotonicMs()
  let lastByteMs = beganMs
  const leftMs = () =>
    Math.min(beganMs + bodyTimeoutMs, lastByteMs + bodyStalledMs) - clock.monotonicMs()
  let cancel = clock.after(leftMs(), look)
  function look(): void {
    const left = leftMs()
    if (left > 0) cancel = clock.after(left, look)
    else stream.destroy()
  }
  function end(): void {
    cancel()
    receiver.onGone?.()
  }
  stream.on('data', (chunk: Buffer) => {
    lastByteMs = clock.monotonicMs()
    leftBytes -= chunk.length
    receiver.onChunk?.(chunk)
    if (leftBytes < 0) stream.destroy()
  })
  stream.once('end', () => {
    cancel()
    receiver.onEnd?.()
  })
  stream.once('close', end)
  stream.once('error', end)
}

/** The place of one body among those whose bytes are held. */
interface HeldPlace {
  grow(bytes: number): void
  /** The whole body is there: it does not lose its place any more. */
  arrived(): void
  /** The client has gone: a body that was still arriving is released. */
  gone(): void
  /** More often than once is of no effect. */
  readonly release: () => void
}

function createHeldBytes(bytesMax: number) {
  /** First the one that has waited longest for a byte. */
  const arriving = new Map<object, { bytes: number; readonly lose: () => void }>()
  let heldBytes = 0

  function makeRoom(): void {
    for (const [key, { bytes, lose }] of arriving) {
      if (heldBytes <= bytesMax) return
      if (bytes === 0) continue
      arriving.delete(key)
      lose()
    }
  }
  return {
    /** @param lose called at most once, when the place is needed; it releases the body */
    enter(lose: () => void): HeldPlace {
      const body = { bytes: 0, lose }
      arriving.set(body, body)
      const release = () => {
        arriving.delete(body)
        heldBytes -= body.bytes
        body.bytes = 0
      }
      return {
        grow(bytes) {
          body.bytes += bytes
          heldBytes += bytes
          arriving.delete(body)
          arriving.set(body, body)
          if (heldBytes > bytesMax) makeRoom()
        },
        arrived: () => void arriving.delete(body),
        gone: () => {
          if (arriving.has(body)) release()
        },
        release,
      }
    },
  }
}
