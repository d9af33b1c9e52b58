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
  endWith(code: number, detail?: string): void
  /** Another connection of the client is about to be accepted. */
  expectTakeover(): void
  /** The client has sent DISCONNECT: it gets none. */
  clientHasLeft(): void
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

export const createFarewell = (): Farewell => new FarewellOfConnection()

/** A class, because every connection has one: its functions are not made for each. */
class FarewellOfConnection implements Farewell {
  phase: Farewell['phase'] = 'connecting'
  code: number | undefined
  fallback: number = reasonCode.unspecified
  detail: string | undefined
  private begun = nothing

  endWith(why: number, text?: string): void {
    if (this.code !== undefined) return
    this.code = why
    this.detail = text
  }

  expectTakeover(): void {
    this.fallback = reasonCode.takenOver
  }

  clientHasLeft(): void {
    this.phase = 'left'
  }

  written(bytes: Buffer, connackOf: (returnCode: number) => Buffer): Buffer {
    if (this.phase !== 'connecting') return bytes
    const begun = Buffer.concat([this.begun, bytes])
    this.begun = begun
    if (begun.length < connackBytes) return nothing
    this.begun = nothing
    const returnCode = begun[connackBytes - 1] ?? 0
    this.phase = returnCode === 0 ? 'open' : 'refused'
    return Buffer.concat([connackOf(returnCode), begun.subarray(connackBytes)])
  }
}
