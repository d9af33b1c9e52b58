import type { CallLimits } from './outgoing.ts'

/**
 * Bytes of data in the calls of one destination and of all: a call is encoded several times over,
 * and records that share their data in memory do not share it in a call.
 */
const destinationBytesMax = 16 * 1024 * 1024
const totalBytesMax = 96 * 1024 * 1024
/** A destination without calls in flight may always send this much, whatever the others hold. */
const bytesAlways = 64 * 1024

/** The bytes in flight of all destinations. */
export interface TotalInFlight {
  bytes: number
}

/** The bytes in flight of one destination. */
export interface BytesInFlight {
  /** The limits of the next call; undefined: it has to wait for an answer of this destination. */
  limits(limits: CallLimits): CallLimits | undefined
  started(bytes: number): void
  ended(bytes: number): void
}

export function createBytesInFlight(total: TotalInFlight): BytesInFlight {
  let own = 0
  return {
    limits(given) {
      if (own >= destinationBytesMax) return undefined
      if (total.bytes < totalBytesMax) return given
      return own > 0 ? undefined : { ...given, bytesMax: Math.min(given.bytesMax, bytesAlways) }
    },
    started(bytes) {
      own += bytes
      total.bytes += bytes
    },
    ended(bytes) {
      own -= bytes
      total.bytes -= bytes
    },
  }
}
