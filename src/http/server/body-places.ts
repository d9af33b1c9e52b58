import type { SluiceError } from '../../base/errors.ts'
import { throttled } from './http-answers.ts'

/**
 * Room for the bodies of requests: who may send one now, and how many bytes all of them hold.
 *
 *   arriving --arrived()--> held --leave()--> gone
 *      |
 *      '--lose(error)-----> gone              a place that is needed for another body
 *
 * Invariants:
 * - A body counts by the memory that it takes, never by the length that it announces.
 * - A caller has `bodiesPerCallerMax` places for arriving bodies. One more takes the place of the
 *   body of that caller for which no byte has arrived for the longest time.
 * - Beyond `bodyBytesMax` in all, the caller whose arriving bodies hold the most bytes loses the
 *   body of these that has waited longest. A body that has arrived is never taken away.
 */
export interface BodyPlaces {
  /**
   * Takes a place.
   *
   * @param caller who announces the body: an address, with the access key id where there is one
   * @param lose called at most once: the body is no longer counted, and is not to be read
   */
  enter(caller: string, lose: (error: SluiceError) => void): BodyPlace
}

/** The place of one body. */
export interface BodyPlace {
  /** A piece has arrived, for which the body takes so many more bytes of memory. */
  grow(bytes: number): void
  /** The whole body is there. */
  arrived(): void
  /** Its bytes are free again; more often than once is of no effect. */
  leave(): void
}

export interface BodyPlacesOptions {
  readonly bodyBytesMax: number
  readonly bodiesPerCallerMax: number
}

interface ArrivingBody {
  bytes: number
  readonly lose: (error: SluiceError) => void
}

/** The bodies of one caller that are arriving: first the one that has waited longest. */
interface Arriving {
  readonly bodies: Set<ArrivingBody>
  bytes: number
}

const retryMs = 1_000

export function createBodyPlaces({
  bodyBytesMax,
  bodiesPerCallerMax,
}: BodyPlacesOptions): BodyPlaces {
  const callers = new Map<string, Arriving>()
  let heldBytes = 0

  function remove(caller: string, body: ArrivingBody): boolean {
    const arriving = callers.get(caller)
    if (!arriving?.bodies.delete(body)) return false
    arriving.bytes -= body.bytes
    if (arriving.bodies.size === 0) callers.delete(caller)
    return true
  }

  function take(caller: string, body: ArrivingBody): void {
    remove(caller, body)
    heldBytes -= body.bytes
    body.bytes = 0
    body.lose(throttled(retryMs, 'Too many requests with a body are under way.'))
  }

  function makeRoom(): void {
    while (heldBytes > bodyBytesMax) {
      const [caller, body] = longestWaiting(callers) ?? []
      if (caller === undefined || body === undefined) return
      take(caller, body)
    }
  }

  return {
    enter(caller, lose) {
      const arriving = callers.get(caller) ?? { bodies: new Set(), bytes: 0 }
      const [oldest] = arriving.bodies
      if (arriving.bodies.size >= bodiesPerCallerMax && oldest) take(caller, oldest)
      const body: ArrivingBody = { bytes: 0, lose }
      callers.set(caller, arriving)
      arriving.bodies.add(body)
      return {
        grow(bytes) {
          if (!arriving.bodies.delete(body)) return
          arriving.bodies.add(body)
          body.bytes += bytes
          arriving.bytes += bytes
          heldBytes += bytes
          makeRoom()
        },
        arrived: () => void remove(caller, body),
        leave() {
          remove(caller, body)
          heldBytes -= body.bytes
          body.bytes = 0
        },
      }
    },
  }
}

/** Of the caller that holds the most bytes, the body with bytes that has waited longest. */
function longestWaiting(
  callers: ReadonlyMap<string, Arriving>,
): readonly [caller: string, body: ArrivingBody] | undefined {
  let most: { readonly caller: string; readonly arriving: Arriving } | undefined
  for (const [caller, arriving] of callers) {
    if (arriving.bytes > (most?.arriving.bytes ?? 0)) most = { caller, arriving }
  }
  if (most === undefined) return undefined
  for (const body of most.arriving.bodies) {
    if (body.bytes > 0) return [most.caller, body]
  }
  return undefined
}
