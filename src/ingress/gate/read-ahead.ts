import type { Clock } from '../../base/clock.ts'
import { createFrameQueue } from './frame-queue.ts'
import { measureFrame, packetType, typeOf } from './frames.ts'
import type { FrameFault, FrameLimits } from './frames.ts'
import type { HeldBytes, HeldPublish, HeldShare } from './held-bytes.ts'
import { createPublishRate } from './publish-rate.ts'
import type { PublishRate } from './publish-rate.ts'

/**
 * What was read from one client and has not passed on: a frame that is not whole, whole frames that
 * wait, and why the connection is to end behind them.
 */
interface FrameReadAhead extends Pick<HeldShare, 'dispatched' | 'answering' | 'distributing'> {
  /** @returns how many PINGREQs the chunk held, which are left out */
  read(chunk: Buffer): number
  /** Nothing more will come. */
  endOfStream(): void
  /** The next frames that may pass now; undefined when none may. */
  take(): Buffer | undefined
  /** DISCONNECT came, and nothing before it was wrong; it may still wait. */
  readonly hasDisconnect: boolean
  /** Why the connection ends: set once all that came before has passed and is finished. */
  readonly ending: FrameFault | 'end of stream' | undefined
  /** Notes what is held now. @returns whether more is to be read */
  settle(): boolean
  open(): void
  /** Nothing more passes. */
  hold(): void
  /** The second time it is without effect. */
  finish(publish: HeldPublish): void
  /** A whole frame has come: the CONNECT, as a rule. */
  hasBegun(): boolean
  /** PUBLISHes that passed and are not finished. */
  readonly unfinished: number
  /** The connection is gone: forgets what waits. */
  drop(): void
}

interface FrameReadAheadDependencies {
  readonly clock: Clock
  readonly heldBytes: HeldBytes
  /** More may be read, or pass. */
  readonly changed: () => void
  /** The connection is to end at once, to make room for others. */
  readonly evict: () => void
}

interface FrameReadAheadLimits extends FrameLimits {
  readonly unfinishedMax: number
  readonly readAheadBytesMax: number
  /** PUBLISHes in a second; 0 is no limit. */
  readonly publishRate: number
}

export function createFrameReadAhead(
  dependencies: FrameReadAheadDependencies,
  limits: FrameReadAheadLimits,
): FrameReadAhead {
  const reader = createFrameReader(limits)
  const share = dependencies.heldBytes.join(dependencies)
  const rate = createPublishRate(dependencies, limits.publishRate)
  const pass = (bytes: number) => share.pass(bytes)
  const queue = createFrameQueue({
    ...limits,
    mayPublish: rate ? (bytes) => passAt(rate, () => pass(bytes)) : pass,
  })
  let ending: FrameFault | 'end of stream' | undefined
  let isNewFrame = false
  let hasDisconnect = false
  let hasBegun = false

  return {
    read(chunk) {
      if (ending !== undefined) return 0
      const read = reader.read(chunk, queue.isOpen)
      queue.add(read.runs)
      ending = read.fault
      isNewFrame ||= read.runs.length > 0
      hasDisconnect ||= read.hasDisconnect
      hasBegun ||= isNewFrame
      return read.pings
    },
    endOfStream() {
      ending ??= 'end of stream'
    },
    take: () => queue.take(),
    get hasDisconnect() {
      return hasDisconnect && queue.fault === undefined
    },
    get ending() {
      ending = queue.fault ?? ending
      return queue.isIdle ? ending : undefined
    },
    settle() {
      share.hold(reader.partialBytes, queue.bytes, isNewFrame)
      isNewFrame = false
      const isEnding = (queue.fault ?? ending) !== undefined
      return !isEnding && share.mayRead && queue.bytes <= limits.readAheadBytesMax
    },
    open: () => queue.open(),
    hold: () => queue.hold(),
    dispatched: (bytes) => share.dispatched(bytes),
    answering: (publish) => share.answering(publish),
    distributing: (publish) => share.distributing(publish),
    finish(publish) {
      if (share.finished(publish)) queue.finish()
    },
    hasBegun: () => hasBegun,
    get unfinished() {
      return queue.unfinished
    },
    drop() {
      rate?.stop()
      queue.clear()
      share.connectionGone()
    },
  }
}

/** Only what passes counts. */
function passAt(rate: PublishRate, pass: () => boolean): boolean {
  if (!rate.isReady() || !pass()) return false
  rate.take()
  return true
}

/**
 * Cuts the bytes of a socket into runs of whole frames, of which the first is a CONNECT: as few
 * buffers as possible, views of the chunks wherever a frame did not arrive in pieces. Between calls
 * it keeps one frame at most that is not whole, and that only while its size is within the limits.
 */
interface FrameReader {
  /** @param takePings whether PINGREQs are counted and left out of the runs */
  read(chunk: Buffer, takePings: boolean): FramesRead
  /** Of the frame that is not whole. */
  readonly partialBytes: number
}

interface FramesRead {
  readonly runs: readonly Buffer[]
  readonly pings: number
  /** A DISCONNECT is among the runs. */
  readonly hasDisconnect: boolean
  /** What is wrong with the frame behind the runs: nothing after it can be read. */
  readonly fault: FrameFault | undefined
}

const nothing: FramesRead = Object.freeze({
  runs: [],
  pings: 0,
  hasDisconnect: false,
  fault: undefined,
})

/** [MQTT-3.1.0-1]. The first byte tells: another protocol may never make a frame whole. */
const notConnect: FramesRead = Object.freeze({
  ...nothing,
  fault: { reason: 'not_connect', detail: 'the first packet is not CONNECT' },
} satisfies FramesRead)

/** A sender of single bytes must not make a list of a hundred thousand buffers. */
const piecesMax = 64

export function createFrameReader(limits: FrameLimits): FrameReader {
  let pieces: Buffer[] = []
  let pieceBytes = 0
  let neededBytes = 0
  let begun = false

  function gather(chunk: Buffer): Buffer | undefined {
    if (pieces.length === 0) return chunk
    pieces.push(chunk)
    pieceBytes += chunk.length
    const enough = pieceBytes >= neededBytes
    if (!enough && pieces.length < piecesMax) return undefined
    const bytes = Buffer.concat(pieces, pieceBytes)
    pieces = [bytes]
    return enough ? bytes : undefined
  }

  return {
    get partialBytes() {
      return pieces.length === 0 ? 0 : pieceBytes
    },
    read(chunk, takePings) {
      if (!begun && typeOf(chunk, 0) !== packetType.connect) return notConnect
      begun = true
      const bytes = gather(chunk)
      if (bytes === undefined) return nothing
      const runs: Buffer[] = []
      let fault: FrameFault | undefined
      let pings = 0
      let hasDisconnect = false
      let runStart = 0
      let offset = 0
      pieces = []
      while (offset < bytes.length) {
        const measured = measureFrame(bytes, offset, limits)
        if (typeof measured !== 'number') {
          fault = measured
          break
        }
        if (measured < 0) {
          neededBytes = -measured
          pieceBytes = bytes.length - offset
          pieces = [bytes.subarray(offset)]
          break
        }
        const type = typeOf(bytes, offset)
        hasDisconnect ||= type === packetType.disconnect
        if (takePings && type === packetType.pingreq) {
          if (offset > runStart) runs.push(bytes.subarray(runStart, offset))
          runStart = offset + measured
          pings++
        }
        offset += measured
      }
      if (offset > runStart) runs.push(bytes.subarray(runStart, offset))
      return { runs, pings, hasDisconnect, fault }
    },
  }
}
