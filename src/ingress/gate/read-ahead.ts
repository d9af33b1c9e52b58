import type { Clock } from '../../base/clock.ts'
import type { Dialect } from './dialect.ts'
import { createFrameQueue } from './frame-queue.ts'
import type { FrameQueue, FrameQueueClient } from './frame-queue.ts'
import { createFrameReader } from './frame-reader.ts'
import type { FrameReader } from './frame-reader.ts'
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
  return new ReadAhead(dependencies, limits)
}

/** A class, because every connection has one: see OpenConnection. */
class ReadAhead implements FrameReadAhead, FrameQueueClient {
  private readonly limits: FrameReadAheadLimits
  private readonly events: FrameReadAheadDependencies
  private readonly reader: FrameReader
  private readonly share: HeldShare
  private readonly rate: PublishRate | undefined
  private readonly queue: FrameQueue
  private last: FrameFault | 'end of stream' | undefined
  private isNewFrame = false
  private hasReadDisconnect = false
  private hasReadFrame = false

  constructor(dependencies: FrameReadAheadDependencies, limits: FrameReadAheadLimits) {
    this.limits = limits
    this.events = dependencies
    this.reader = createFrameReader(limits, dependencies.openDialect)
    this.share = dependencies.heldBytes.join(dependencies)
    this.rate = createPublishRate(dependencies, limits.publishRate)
    this.queue = createFrameQueue(this, limits)
  }

  get hasDisconnect(): boolean {
    return this.hasReadDisconnect && this.queue.fault === undefined
  }

  get ending(): FrameFault | 'end of stream' | undefined {
    this.last = this.queue.fault ?? this.last
    return this.queue.isIdle ? this.last : undefined
  }

  get dialect(): Dialect | undefined {
    return this.reader.dialect
  }

  get unfinished(): number {
    return this.queue.unfinished
  }

  hasBegun(): boolean {
    return this.hasReadFrame
  }

  read(chunk: Buffer): number {
    if (this.last !== undefined) return 0
    const read = this.reader.read(chunk, this.queue.isOpen)
    this.queue.add(read.runs)
    this.last = read.fault
    this.isNewFrame ||= read.runs.length > 0
    this.hasReadDisconnect ||= read.hasDisconnect
    this.hasReadFrame ||= this.isNewFrame
    return read.pings
  }

  endOfStream(): void {
    this.last ??= 'end of stream'
  }

  take(): Buffer | undefined {
    return this.queue.take()
  }

  settle(): boolean {
    const { queue, share } = this
    share.hold(this.reader.partialBytes, queue.bytes, this.isNewFrame)
    this.isNewFrame = false
    const isEnding = (queue.fault ?? this.last) !== undefined
    return !isEnding && share.mayRead && queue.bytes <= this.limits.readAheadBytesMax
  }

  open(): void {
    this.queue.open()
  }

  hold(): void {
    this.queue.hold()
  }

  mayPublish(bytes: number): boolean {
    return this.rate === undefined ? this.share.pass(bytes) : passAt(this.rate, this.share, bytes)
  }

  ignored(fault: FrameFault): void {
    this.events.ignored(fault)
  }

  dispatched(bytes: number): HeldPublish {
    return this.share.dispatched(bytes)
  }

  answering(publish: HeldPublish): void {
    this.share.answering(publish)
  }

  distributing(publish: HeldPublish): void {
    this.share.distributing(publish)
  }

  finish(publish: HeldPublish): void {
    if (this.share.finished(publish)) this.queue.finish()
  }

  drop(): void {
    this.rate?.stop()
    this.queue.clear()
    this.share.connectionGone()
  }
}

/** Only messages that pass count against the rate. */
function passAt(rate: PublishRate, share: HeldShare, bytes: number): boolean {
  if (!rate.isReady() || !share.pass(bytes)) return false
  rate.take()
  return true
}
