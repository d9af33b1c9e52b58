import type { Clock } from '../../base/clock.ts'

/**
 * Looks once a second, while there is something to look at, for what would stay as it is for ever:
 *
 * - A partial frame has `packetTimeoutMs` to become whole, and a second more for each
 *   `progressBytes` of it that have come, so that slow clients are served. Time in which its
 *   connection is not read from does not count.
 * - Publishers are stalled when some of them are held back and none of those has gone on for
 *   `stalledAfterMs`. Before that, from `relievedAfterMs` on, `relieve` is called each time.
 */
interface Inspection<Frame extends PartialFrame> {
  /** The frames in the order in which they began. */
  readonly partials: Iterable<Frame>
  /** The partial frame of a connection began, in place of an earlier one. */
  began(frame: Frame): void
  /** The frame is whole, or its connection is ending. */
  ended(frame: Frame): void
  /** A publisher that was held back goes on. */
  moved(): void
  /** To be called when a publisher may have been held back. */
  plan(): void
  readonly isStalled: boolean
}

/** The partial frame of one connection. */
export interface PartialFrame {
  /** Bytes of it that have come. */
  readonly partial: number
  /** How long the connection was read from and the frame stayed partial. */
  waitedMs: number
  readonly events: {
    /** Whether bytes that the client sends now would be read. */
    readonly isReading: () => boolean
    /** The connection has to end: the time of its frame is over. */
    readonly evict: (reason: 'packet_timeout') => void
  }
}

export interface InspectionDependencies {
  readonly clock: Clock
  /** Frees memory that would not be freed otherwise. */
  readonly relieve: () => void
  /** Whether any publisher is held back. */
  readonly areHeldBack: () => boolean
  /** Publishers are stalled from now on, or are not any more. */
  readonly stallChanged: (isStalled: boolean) => void
}

export interface InspectionLimits {
  /** 0 is no limit. */
  readonly packetTimeoutMs: number
}

const intervalMs = 1_000
/** A client that sends fewer bytes of a frame in a second uses up the time of the frame. */
const progressBytes = 512
/** Longer than a subscriber that does not read can hold its publishers back (`drainTimeoutMs`). */
const stalledAfterMs = 6_000

/** Long enough for a commit of the outbox. */
const relievedAfterMs = 2_000

export function createInspection<Frame extends PartialFrame>(
  { clock, areHeldBack, relieve, stallChanged }: InspectionDependencies,
  { packetTimeoutMs }: InspectionLimits,
): Inspection<Frame> {
  const partials = new Set<Frame>()
  let isPlanned = false
  let isStalled = false
  let hasMoved = false
  let heldBackMs = 0

  function plan(): void {
    if (isPlanned || (partials.size === 0 && !areHeldBack() && !isStalled)) return
    isPlanned = true
    clock.after(intervalMs, inspect)
  }

  function inspect(): void {
    isPlanned = false
    for (const frame of partials) {
      if (packetTimeoutMs === 0 || !frame.events.isReading()) continue
      frame.waitedMs += intervalMs
      if (frame.waitedMs < packetTimeoutMs + (frame.partial / progressBytes) * 1_000) continue
      partials.delete(frame)
      frame.events.evict('packet_timeout')
    }
    lookForStall()
    plan()
  }

  function lookForStall(): void {
    heldBackMs = areHeldBack() && !hasMoved ? heldBackMs + intervalMs : 0
    hasMoved = false
    if (heldBackMs >= relievedAfterMs) relieve()
    const isStalledNow = heldBackMs >= stalledAfterMs
    if (isStalledNow === isStalled) return
    isStalled = isStalledNow
    stallChanged(isStalled)
  }

  return {
    partials,
    began(frame) {
      partials.delete(frame)
      partials.add(frame)
      // The next inspection may come at once.
      frame.waitedMs = -intervalMs
      plan()
    },
    ended: (frame) => void partials.delete(frame),
    moved() {
      hasMoved = true
    },
    plan,
    get isStalled() {
      return isStalled
    },
  }
}
