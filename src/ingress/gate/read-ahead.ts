import type { Clock } from '../../base/clock.ts'
import {
  countedBytes,
  findFrameFault,
  frameLength,
  measureFrame,
  packetType,
  typeOf,
} from './frames.ts'
import type { FrameFault, FrameLimits } from './frames.ts'
import type { HeldBytes, HeldBytesEvents, HeldPublish, HeldShare } from './held-bytes.ts'
import { createPublishRate } from './publish-rate.ts'
import type { PublishRate } from './publish-rate.ts'

/**
 * What was read from one client and has not passed on: a partial frame, whole frames that wait, and
 * the reason why the connection ends behind them.
 *
 *   chunk -> reader (cuts the bytes into frames) -> queue (decides which frames may pass) -> take()
 */
interface FrameReadAhead extends Pick<HeldShare, 'dispatched' | 'answering' | 'distributing'> {
  /** @returns how many PINGREQs the chunk held; they are counted and left out */
  read(chunk: Buffer): number
  /** Nothing more will come. */
  endOfStream(): void
  /** The next frames that may pass now; undefined when none may. */
  take(): Buffer | undefined
  /** DISCONNECT came, and no frame before it was faulty; it may still wait. */
  readonly hasDisconnect: boolean
  /** Why the connection ends: set once all that came before has passed and is finished. */
  readonly ending: FrameFault | 'end of stream' | undefined
  /** Updates the count of held bytes. @returns whether more may be read */
  settle(): boolean
  open(): void
  /** Nothing more passes. */
  hold(): void
  /** A second call for the same PUBLISH has no effect. */
  finish(publish: HeldPublish): void
  /** A whole frame has come: the CONNECT, as a rule. */
  hasBegun(): boolean
  /** PUBLISHes that passed and are not finished. */
  readonly unfinished: number
  /** The connection is gone: drops what waits. */
  drop(): void
}

/** `changed`: more may be read, or pass. `evict`: the connection has to end at once. */
interface FrameReadAheadDependencies extends HeldBytesEvents {
  readonly clock: Clock
  readonly heldBytes: HeldBytes
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

/** Only messages that pass count against the rate. */
function passAt(rate: PublishRate, pass: () => boolean): boolean {
  if (!rate.isReady() || !pass()) return false
  rate.take()
  return true
}

/**
 * The frames of one client that have not passed the gate yet, and which of them may:
 *
 * - nothing passes after the first frame, a CONNECT, until `open()`;
 * - at most `unfinishedMax` PUBLISHes have passed and are not finished, and `mayPublish` agrees;
 * - DISCONNECT waits until no PUBLISH is unfinished, so that the answers before it go out;
 * - a faulty frame never passes, nor does any frame behind it: `fault` has the reason.
 */
interface FrameQueue {
  /** @param runs buffers of one or more whole frames each */
  add(runs: readonly Buffer[]): void
  /** Takes the next frames that may pass now, all in one buffer; undefined when none may. */
  take(): Buffer | undefined
  open(): void
  /** Nothing more passes. */
  readonly hold: () => void
  /** Drops what waits. */
  readonly clear: () => void
  /** A PUBLISH that passed is finished. */
  finish(): void
  readonly isOpen: boolean
  readonly unfinished: number
  /** Bytes of the frames that wait. */
  readonly bytes: number
  /** Nothing waits, and nothing that passed is unfinished. */
  readonly isIdle: boolean
  /** What was wrong with the frame behind the last that passed. */
  readonly fault: FrameFault | undefined
}

interface FrameQueueOptions extends FrameLimits {
  readonly unfinishedMax: number
  /** Called with the `countedBytes` of the next PUBLISH; if it returns true, the PUBLISH passes. */
  readonly mayPublish: (bytes: number) => boolean
}

interface QueueState {
  phase: 'connect' | 'connack' | 'open' | 'holding'
  unfinished: number
}

function createFrameQueue(options: FrameQueueOptions): FrameQueue {
  const state: QueueState = { phase: 'connect', unfinished: 0 }
  let runs: Buffer[] = []
  let bytes = 0
  let fault: FrameFault | undefined

  function clear(): void {
    runs = []
    bytes = 0
  }

  return {
    clear,
    add(added) {
      if (fault !== undefined) return
      for (const run of added) {
        runs.push(run)
        bytes += run.length
      }
    },
    take() {
      const run = runs[0]
      if (run === undefined) return undefined
      const admitted = admit(state, run, options)
      fault = admitted.fault
      if (fault !== undefined) {
        clear()
      } else if (admitted.end === run.length) {
        runs.shift()
        bytes -= run.length
      } else {
        runs[0] = run.subarray(admitted.end)
        bytes -= admitted.end
      }
      if (admitted.end === 0) return undefined
      return admitted.end === run.length ? run : run.subarray(0, admitted.end)
    },
    open() {
      if (state.phase === 'connack') state.phase = 'open'
    },
    hold() {
      state.phase = 'holding'
    },
    finish() {
      state.unfinished--
    },
    get isOpen() {
      return state.phase === 'open'
    },
    get unfinished() {
      return state.unfinished
    },
    get bytes() {
      return bytes
    },
    get isIdle() {
      return bytes === 0 && state.unfinished === 0
    },
    get fault() {
      return fault
    },
  }
}

/** Lets frames of the run pass up to the first one that must wait or is faulty. */
function admit(
  state: QueueState,
  run: Buffer,
  options: FrameQueueOptions,
): { readonly end: number; readonly fault?: FrameFault | undefined } {
  let offset = 0
  while (offset < run.length) {
    const length = frameLength(run, offset)
    const type = typeOf(run, offset)
    if (state.phase === 'connect') {
      state.phase = 'connack'
    } else if (state.phase === 'open') {
      const fault = findFrameFault(run, offset, length, options)
      if (fault !== undefined) return { end: offset, fault }
      if (type === packetType.publish) {
        if (state.unfinished >= options.unfinishedMax) break
        if (!options.mayPublish(countedBytes(run, offset))) break
        state.unfinished++
      } else if (type === packetType.disconnect) {
        if (state.unfinished > 0) break
      }
    } else {
      break
    }
    offset += length
  }
  return { end: offset }
}

/**
 * Cuts the bytes of a socket into runs of whole frames, of which the first is a CONNECT: as few
 * buffers as possible, and views of the chunks wherever a frame did not arrive in pieces. Between
 * calls it holds at most one partial frame, and only while the size of that frame is within the
 * limits.
 */
interface FrameReader {
  /** @param takePings whether PINGREQs are counted and left out of the runs */
  read(chunk: Buffer, takePings: boolean): FramesRead
  /** Bytes of the partial frame. */
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

const nothing: FramesRead = { runs: [], pings: 0, hasDisconnect: false, fault: undefined }

/** [MQTT-3.1.0-1]. The first byte decides: another protocol may never complete a frame. */
const notConnect: FramesRead = {
  ...nothing,
  fault: { reason: 'not_connect', detail: 'the first packet is not CONNECT' },
}

/** Bounds the list of pieces where a client sends single bytes. */
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
