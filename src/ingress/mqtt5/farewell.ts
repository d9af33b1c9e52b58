import { reasonCode } from './reason-codes.ts'

/**
 * How far a connection is, and with what it ends. It begins with CONNACK, which is made of that of
 * Aedes; after it, the broker may end the connection with DISCONNECT, and before it, with a CONNACK
 * that refuses.
 */
export interface Farewell {
  readonly phase: 'connecting' | 'refused' | 'open' | 'left'
  /** Why the connection is about to end; undefined where nothing but `fallback` is known. */
  readonly code: number | undefined
  readonly fallback: number
  readonly detail: string | undefined
  /** The first reason counts. */
  readonly endWith: (code: number, detail?: string) => void
  /** Another connection of the client is about to be accepted. */
  readonly expectTakeover: () => void
  /** The client has sent DISCONNECT: it gets none. */
  readonly clientHasLeft: () => void
  /**
   * @param bytes what Aedes writes
   * @param connackOf makes the CONNACK of the return code that Aedes gave
   * @returns what the client gets
   */
  written(bytes: Buffer, connackOf: (returnCode: number) => Buffer): Buffer
}

/** The bytes of a CONNACK of MQTT 3.1.1. */
const connackBytes = 4
const nothing = Buffer.alloc(0)

export function createFarewell(): Farewell {
  let phase: Farewell['phase'] = 'connecting'
  let code: number | undefined
  let detail: string | undefined
  let fallback: number = reasonCode.unspecified
  let begun = nothing
  return {
    get phase() {
      return phase
    },
    get code() {
      return code
    },
    get fallback() {
      return fallback
    },
    get detail() {
      return detail
    },
    endWith(why, text) {
      if (code !== undefined) return
      code = why
      detail = text
    },
    expectTakeover() {
      fallback = reasonCode.takenOver
    },
    clientHasLeft() {
      phase = 'left'
    },
    written(bytes, connackOf) {
      if (phase !== 'connecting') return bytes
      begun = Buffer.concat([begun, bytes])
      if (begun.length < connackBytes) return nothing
      const returnCode = begun[connackBytes - 1] ?? 0
      phase = returnCode === 0 ? 'open' : 'refused'
      return Buffer.concat([connackOf(returnCode), begun.subarray(connackBytes)])
    },
  }
}
