import type { Dialect } from './dialect.ts'
import { isMqtt5Connect, measureAnyFrame, measureFrame, packetType, typeOf } from './frames.ts'
import type { FrameFault, FrameLimits } from './frames.ts'

/**
 * Cuts the bytes of a socket into runs of whole frames, of which the first is a CONNECT: as few
 * buffers as possible, and views of the chunks wherever a frame did not arrive in pieces. Between
 * calls it holds at most one partial frame, and only while the size of that frame is within the
 * limits.
 */
export interface FrameReader {
  /** @param takePings whether PINGREQs are counted and left out of the runs */
  read(chunk: Buffer, takePings: boolean): FramesRead
  /** Bytes of the partial frame. */
  readonly partialBytes: number
  /** Undefined for MQTT 3.1.1, and until the CONNECT has come. */
  readonly dialect: Dialect | undefined
}

interface FramesRead {
  readonly runs: readonly Buffer[]
  readonly pings: number
  /** A DISCONNECT is among the runs. */
  readonly hasDisconnect: boolean
  /** What is wrong with the frame behind the runs: nothing after it can be read. */
  readonly fault: FrameFault | undefined
}

const nothing: FramesRead = { runs: [], pings: 0, hasDisconnect: false, fault: undefined }

/** [MQTT-3.1.0-1]. The first byte decides: another protocol may never complete a frame. */
const notConnect: FramesRead = {
  ...nothing,
  fault: { reason: 'not_connect', detail: 'the first packet is not CONNECT' },
}

/** Bounds the list of pieces where a client sends single bytes. */
const piecesMax = 64

/** @param openDialect called for a CONNECT of MQTT 5. Absent: every client speaks 3.1.1 */
export function createFrameReader(limits: FrameLimits, openDialect?: () => Dialect): FrameReader {
  return new Reader(limits, openDialect)
}

/** A class, because every connection has one: see OpenConnection. */
class Reader implements FrameReader {
  dialect: Dialect | undefined
  private readonly limits: FrameLimits
  private readonly openDialect: (() => Dialect) | undefined
  private isFirst = true
  private begun = false
  /** DISCONNECT has come: nothing behind it is read, [MQTT-3.14.4-2]. */
  private hasLeft = false
  private pieces: Buffer[] = noPieces
  private pieceBytes = 0
  private neededBytes = 0

  constructor(limits: FrameLimits, openDialect: (() => Dialect) | undefined) {
    this.limits = limits
    this.openDialect = openDialect
  }

  get partialBytes(): number {
    return this.pieces.length === 0 ? 0 : this.pieceBytes
  }

  read(chunk: Buffer, takePings: boolean): FramesRead {
    if (!this.begun && typeOf(chunk, 0) !== packetType.connect) return notConnect
    this.begun = true
    if (this.hasLeft) return nothing
    const bytes = this.gather(chunk)
    if (bytes === undefined) return nothing
    const runs: Buffer[] = []
    let fault: FrameFault | undefined
    let pings = 0
    let runStart = 0
    let offset = 0
    this.pieces = noPieces
    while (offset < bytes.length) {
      const measured = measure(this.dialect, bytes, offset, this.limits)
      if (typeof measured !== 'number') {
        fault = measured
        break
      }
      if (measured < 0) {
        this.neededBytes = -measured
        this.pieceBytes = bytes.length - offset
        this.pieces = [bytes.subarray(offset)]
        break
      }
      fault = this.look(bytes, offset, measured)
      if (fault !== undefined) break
      const type = typeOf(bytes, offset)
      if (takePings && type === packetType.pingreq) {
        if (offset > runStart) runs.push(bytes.subarray(runStart, offset))
        runStart = offset + measured
        pings++
      }
      offset += measured
      if (type === packetType.disconnect) {
        this.hasLeft = true
        break
      }
    }
    if (offset > runStart) runs.push(bytes.subarray(runStart, offset))
    return { runs, pings, hasDisconnect: this.hasLeft, fault }
  }

  /** Finds the version in the first frame, and lets that version look at the others. */
  private look(bytes: Buffer, offset: number, length: number): FrameFault | undefined {
    if (!this.isFirst) return this.dialect?.read(bytes, offset, length)
    this.isFirst = false
    if (isMqtt5Connect(bytes, offset, length)) this.dialect = this.openDialect?.()
    return undefined
  }

  private gather(chunk: Buffer): Buffer | undefined {
    const { pieces } = this
    if (pieces.length === 0) return chunk
    pieces.push(chunk)
    this.pieceBytes += chunk.length
    const enough = this.pieceBytes >= this.neededBytes
    if (!enough && pieces.length < piecesMax) return undefined
    const bytes = Buffer.concat(pieces, this.pieceBytes)
    this.pieces = [bytes]
    return enough ? bytes : undefined
  }
}

/** Shared by all: nothing is added to an empty list of pieces. */
const noPieces: Buffer[] = []

const measure = (
  dialect: Dialect | undefined,
  bytes: Buffer,
  offset: number,
  limits: FrameLimits,
): number | FrameFault =>
  dialect === undefined
    ? measureFrame(bytes, offset, limits)
    : measureAnyFrame(bytes, offset, dialect.frameBytesMax)
