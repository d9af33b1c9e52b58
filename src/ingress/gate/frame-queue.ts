import type { Dialect } from './dialect.ts'
import { countedBytes, findFrameFault, frameLength, packetType, typeOf } from './frames.ts'
import type { FrameFault, FrameLimits } from './frames.ts'

/**
 * The frames of one client that have not passed the gate yet, and which of them may:
 *
 * - nothing passes after the first frame, a CONNECT, until `open()`;
 * - at most `unfinishedMax` PUBLISHes have passed and are not finished, and `mayPublish` agrees;
 * - DISCONNECT waits until no PUBLISH is unfinished, so that the answers before it go out;
 * - a frame that is to be ignored is left out;
 * - any other faulty frame never passes, nor does any frame behind it: `fault` has the reason.
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
  /** Undefined for a client of MQTT 3.1.1. */
  readonly dialect: () => Dialect | undefined
  /** A frame is left out. */
  readonly ignored: (fault: FrameFault) => void
}

interface QueueState {
  phase: 'connect' | 'connack' | 'open' | 'holding'
  unfinished: number
}

export function createFrameQueue(options: FrameQueueOptions): FrameQueue {
  const state: QueueState = { phase: 'connect', unfinished: 0 }
  let runs: Buffer[] = []
  let bytes = 0
  let fault: FrameFault | undefined

  function clear(): void {
    runs = []
    bytes = 0
  }

  function takeFrames(dialect: Dialect | undefined): Buffer | undefined {
    const run = runs[0]
    if (run === undefined) return undefined
    const admitted =
      dialect === undefined
        ? admit(state, run, options)
        : admitTranslated(state, run, dialect, options)
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
    if (admitted.frames !== undefined) return admitted.frames
    return admitted.end === run.length ? run : run.subarray(0, admitted.end)
  }

  return {
    clear,
    add(added) {
      if (fault !== undefined) return
      runs.push(...added)
      for (const run of added) bytes += run.length
    },
    take() {
      const dialect = options.dialect()
      let taken = takeFrames(dialect)
      // Of some frames Aedes gets nothing, so those behind them are next.
      while (taken?.length === 0) taken = takeFrames(dialect)
      return taken
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

const noFrames = Buffer.alloc(0)

interface Admitted {
  /** Where the frames begin that have not passed. */
  readonly end: number
  /** What passes in place of the frames before `end`; absent: they themselves. */
  readonly frames?: Buffer | undefined
  readonly fault?: FrameFault | undefined
}

/** Lets frames of the run pass up to the first one that must wait or is faulty. */
function admit(state: QueueState, run: Buffer, options: FrameQueueOptions): Admitted {
  let offset = 0
  while (offset < run.length) {
    const length = frameLength(run, offset)
    const type = typeOf(run, offset)
    if (state.phase === 'connect') {
      state.phase = 'connack'
    } else if (state.phase === 'open') {
      const fault = findFrameFault(run, offset, length, options)
      if (fault?.isIgnored === true) {
        // What comes before it passes first.
        if (offset > 0) break
        options.ignored(fault)
        return { end: length, frames: noFrames }
      }
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

/** The same, up to the first frame for which Aedes gets another one; that one passes alone. */
function admitTranslated(
  state: QueueState,
  run: Buffer,
  dialect: Dialect,
  options: FrameQueueOptions,
): Admitted {
  let offset = 0
  while (offset < run.length) {
    const length = frameLength(run, offset)
    const type = typeOf(run, offset)
    if (state.phase === 'open' && type === packetType.publish) {
      if (dialect.isPlain(run, offset, length)) {
        if (!mayPass(state, countedBytes(run, offset), options)) break
        offset += length
        continue
      }
    } else if (state.phase !== 'connect') {
      if (state.phase !== 'open') break
      if (type === packetType.disconnect && state.unfinished > 0) break
    }
    // What passes as it is goes first.
    if (offset > 0) break
    const frames = dialect.translate(run.subarray(0, length))
    if (!Buffer.isBuffer(frames)) return { end: 0, fault: frames }
    if (state.phase === 'connect') state.phase = 'connack'
    else if (type === packetType.publish && !mayPass(state, countedBytes(frames, 0), options)) break
    return { end: length, frames }
  }
  return { end: offset }
}

function mayPass(state: QueueState, bytes: number, options: FrameQueueOptions): boolean {
  if (state.unfinished >= options.unfinishedMax || !options.mayPublish(bytes)) return false
  state.unfinished++
  return true
}
