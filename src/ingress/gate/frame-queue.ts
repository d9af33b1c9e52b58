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
export interface FrameQueue {
  /** @param runs buffers of one or more whole frames each */
  add(runs: readonly Buffer[]): void
  /** Takes the next frames that may pass now, all in one buffer; undefined when none may. */
  take(): Buffer | undefined
  open(): void
  /** Nothing more passes. */
  hold(): void
  /** Drops what waits. */
  clear(): void
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

interface FrameQueueLimits extends FrameLimits {
  readonly unfinishedMax: number
}

/** Whose frames they are. */
export interface FrameQueueClient {
  /** Undefined for a client of MQTT 3.1.1. */
  readonly dialect: Dialect | undefined
  /** Called with the `countedBytes` of the next PUBLISH; if it returns true, the PUBLISH passes. */
  mayPublish(bytes: number): boolean
  /** A frame is left out. */
  ignored(fault: FrameFault): void
}

interface QueueState {
  phase: 'connect' | 'connack' | 'open' | 'holding'
  unfinished: number
  readonly client: FrameQueueClient
  readonly limits: FrameQueueLimits
}

export function createFrameQueue(client: FrameQueueClient, limits: FrameQueueLimits): FrameQueue {
  return new WaitingFrames(client, limits)
}

/** A class, because every connection has one: see OpenConnection. */
class WaitingFrames implements FrameQueue, QueueState {
  phase: QueueState['phase'] = 'connect'
  unfinished = 0
  bytes = 0
  fault: FrameFault | undefined
  readonly client: FrameQueueClient
  readonly limits: FrameQueueLimits
  private runs: Buffer[] = []

  constructor(client: FrameQueueClient, limits: FrameQueueLimits) {
    this.client = client
    this.limits = limits
  }

  get isOpen(): boolean {
    return this.phase === 'open'
  }

  get isIdle(): boolean {
    return this.bytes === 0 && this.unfinished === 0
  }

  add(added: readonly Buffer[]): void {
    if (this.fault !== undefined) return
    this.runs.push(...added)
    for (const run of added) this.bytes += run.length
  }

  take(): Buffer | undefined {
    let taken = this.takeFrames()
    // Of some frames Aedes gets nothing, so those behind them are next.
    while (taken?.length === 0) taken = this.takeFrames()
    return taken
  }

  open(): void {
    if (this.phase === 'connack') this.phase = 'open'
  }

  hold(): void {
    this.phase = 'holding'
  }

  finish(): void {
    this.unfinished--
  }

  clear(): void {
    this.runs = []
    this.bytes = 0
  }

  private takeFrames(): Buffer | undefined {
    const { runs } = this
    const run = runs[0]
    if (run === undefined) return undefined
    const { dialect } = this.client
    const admitted = dialect === undefined ? admit(this, run) : admitTranslated(this, run, dialect)
    this.fault = admitted.fault
    if (admitted.fault !== undefined) {
      this.clear()
    } else if (admitted.end === run.length) {
      runs.shift()
      this.bytes -= run.length
    } else {
      runs[0] = run.subarray(admitted.end)
      this.bytes -= admitted.end
    }
    if (admitted.end === 0) return undefined
    if (admitted.frames !== undefined) return admitted.frames
    return admitted.end === run.length ? run : run.subarray(0, admitted.end)
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
function admit(state: QueueState, run: Buffer): Admitted {
  const { client, limits } = state
  let offset = 0
  while (offset < run.length) {
    const length = frameLength(run, offset)
    const type = typeOf(run, offset)
    if (state.phase === 'connect') {
      state.phase = 'connack'
    } else if (state.phase === 'open') {
      const fault = findFrameFault(run, offset, length, limits)
      if (fault?.isIgnored === true) {
        // What comes before it passes first.
        if (offset > 0) break
        client.ignored(fault)
        return { end: length, frames: noFrames }
      }
      if (fault !== undefined) return { end: offset, fault }
      if (type === packetType.publish) {
        if (state.unfinished >= limits.unfinishedMax) break
        if (!client.mayPublish(countedBytes(run, offset))) break
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
function admitTranslated(state: QueueState, run: Buffer, dialect: Dialect): Admitted {
  let offset = 0
  while (offset < run.length) {
    const length = frameLength(run, offset)
    const type = typeOf(run, offset)
    if (state.phase === 'open' && type === packetType.publish) {
      if (dialect.isPlain(run, offset, length)) {
        if (!mayPass(state, countedBytes(run, offset))) break
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
    else if (type === packetType.publish && !mayPass(state, countedBytes(frames, 0))) break
    return { end: length, frames }
  }
  return { end: offset }
}

function mayPass(state: QueueState, bytes: number): boolean {
  const { client, limits } = state
  if (state.unfinished >= limits.unfinishedMax || !client.mayPublish(bytes)) return false
  state.unfinished++
  return true
}
