import type { Clock } from '../../base/clock.ts'
import type { Dialect } from './dialect.ts'
import { createFrameQueue } from './frame-queue.ts'
import { createFrameReader } from './frame-reader.ts'
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
  readonly hold: () => void
  /** A second call for the same PUBLISH has no effect. */
  finish(publish: HeldPublish): void
  /** A whole frame has come: the CONNECT, as a rule. */
  readonly hasBegun: () => boolean
  /** PUBLISHes that passed and are not finished. */
  readonly unfinished: number
  /** The connection is gone: drops what waits. */
  drop(): void
  /** Undefined for a client of MQTT 3.1.1. */
  readonly dialect: Dialect | undefined
}

/**
 * `changed`: more may be read, or pass. `evict`: the connection has to end at once. `ignored`: a
 * frame is left out.
 */
interface FrameReadAheadDependencies extends HeldBytesEvents {
  readonly clock: Clock
  readonly heldBytes: HeldBytes
  readonly openDialect?: (() => Dialect) | undefined
  readonly ignored: (fault: FrameFault) => void
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
  const reader = createFrameReader(limits, dependencies.openDialect)
  const share = dependencies.heldBytes.join(dependencies)
  const rate = createPublishRate(dependencies, limits.publishRate)
  const pass = (bytes: number) => share.pass(bytes)
  const queue = createFrameQueue({
    ...limits,
    mayPublish: rate ? (bytes) => passAt(rate, () => pass(bytes)) : pass,
    dialect: () => reader.dialect,
    ignored: dependencies.ignored,
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
    get dialect() {
      return reader.dialect
    },
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
