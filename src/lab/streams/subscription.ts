import type { Writable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import type { Subscription } from './fan-out-consumer.ts'
import { encodeEvent } from '../wire/event-stream.ts'
import type { EventMessage } from '../wire/event-stream.ts'
import { childShardsOf, millisBehindLatest, readShard } from './read-shard.ts'
import type { ServiceError } from '../wire/service-error.ts'
import type { FanOutLimit } from './shard-limits.ts'
import { isAtShardEnd } from './stream.ts'
import type { Shard } from './stream.ts'
import type { WireFormat } from '../wire/wire-format.ts'

/**
 * One subscription of SubscribeToShard, from its first event to its end (API Reference).
 *
 * Invariants: every record from the first ordinal on is sent once and in order; the next records
 * are read when the connection has accepted the last event, so that a slow subscriber costs the
 * memory of one event; an empty event is sent after `heartbeatMs` without records; the end of a
 * closed shard is one event with its children and without a ContinuationSequenceNumber, by which
 * clients recognize it.
 */
interface SubscriptionDependencies {
  readonly clock: Clock
  readonly shard: Shard
  /** The ordinal of the first record to send. */
  readonly ordinal: number
  readonly limit: FanOutLimit
  readonly wire: WireFormat
  /** Removes expired records. */
  readonly trim: () => void
}

interface OpenableSubscription extends Subscription {
  /** Begins to write events to `body`, and ends it at the end. Call it once. */
  readonly open: (body: Writable) => void
}

/** A subscription ends after five minutes; the subscriber makes a new one. */
const subscriptionLifetimeMs = 300_000
const heartbeatMs = 5_000
const eventLimits = Object.freeze({ recordsMax: 10_000, bytesMax: 1024 * 1024 })

export function createSubscription(dependencies: SubscriptionDependencies): OpenableSubscription {
  let feed: Feed | undefined
  return {
    startedMs: dependencies.clock.monotonicMs(),
    open: (body) => {
      feed = startFeed(dependencies, body)
    },
    end: (reason) => feed?.fail(reason),
  }
}

interface Feed {
  fail(reason: ServiceError): void
}

function startFeed(dependencies: SubscriptionDependencies, body: Writable): Feed {
  const { clock, shard, limit, wire } = dependencies
  const writer = createWriter(dependencies, body)
  const pause = createPause(dependencies, body)
  let nextOrdinal = dependencies.ordinal
  let isOver = false

  function stop(): void {
    isOver = true
    pause.cancel()
    cancelExpiry()
  }

  function finish(): void {
    if (isOver) return
    stop()
    body.end()
  }

  function pump(): void {
    for (;;) {
      if (isOver) return
      if (body.writableNeedDrain) return pause.forDrain(pump)
      const waitMs = limit.waitMs(clock.monotonicMs())
      if (waitMs > 0) return pause.forMs(waitMs, pump)
      dependencies.trim()
      const read = readShard(shard, nextOrdinal, eventLimits, wire)
      nextOrdinal = read.nextOrdinal
      if (read.records.length === 0) break
      limit.spend(read.sizeBytes, clock.monotonicMs())
      writer.event(read.records, nextOrdinal)
    }
    if (isAtShardEnd(shard, nextOrdinal)) {
      writer.event([], nextOrdinal)
      finish()
      return
    }
    pause.forRecords(pump, () => {
      writer.event([], nextOrdinal)
      pump()
    })
  }

  const cancelExpiry = clock.after(subscriptionLifetimeMs, finish)
  body.once('close', stop)
  writer.begin()
  pump()
  return {
    fail(reason) {
      if (isOver) return
      writer.exception(reason)
      finish()
    },
  }
}

/** Writes the messages of the event stream. */
function createWriter({ clock, shard, wire }: SubscriptionDependencies, body: Writable) {
  const write = (kind: EventMessage['kind'], name: string, content: object) => {
    const payload = wire.encode({ ...content })
    body.write(encodeEvent({ kind, name, contentType: wire.contentType, payload }))
  }
  return {
    begin: () => write('event', 'initial-response', {}),
    exception: (reason: ServiceError) =>
      write('exception', reason.code, { message: reason.message }),
    event(records: readonly object[], nextOrdinal: number) {
      const children = records.length === 0 ? childShardsOf(shard, nextOrdinal) : undefined
      write('event', 'SubscribeToShardEvent', {
        Records: records,
        ...(children
          ? { ChildShards: children }
          : { ContinuationSequenceNumber: continuationNumber(shard, nextOrdinal, clock.wallMs()) }),
        MillisBehindLatest: millisBehindLatest(shard, nextOrdinal, clock.monotonicMs()),
      })
    },
  }
}

/** Waits for one event at a time. */
function createPause({ clock, shard }: SubscriptionDependencies, body: Writable) {
  let cancel: () => void = nothing
  return {
    cancel: () => cancel(),
    forDrain(resume: () => void) {
      body.once('drain', resume)
      cancel = () => body.off('drain', resume)
    },
    forMs(waitMs: number, resume: () => void) {
      cancel = clock.after(waitMs, resume)
    },
    /** Waits for records, or for the time of a heartbeat. */
    forRecords(resume: () => void, beat: () => void) {
      let isWaiting = true
      const once = (then: () => void) => () => {
        if (!isWaiting) return
        cancel()
        then()
      }
      // Each record of one put wakes it; the microtask sends them together as one event.
      const wake = () => queueMicrotask(once(resume))
      const cancelBeat = clock.after(heartbeatMs, once(beat))
      shard.watchers.add(wake)
      cancel = () => {
        isWaiting = false
        shard.watchers.delete(wake)
        cancelBeat()
      }
    },
  }
}

const nothing = () => {}

/**
 * A sequence number between the record before `ordinal` and the one at `ordinal`: reading AT and
 * AFTER it both continue with the record at `ordinal`.
 */
function continuationNumber(shard: Shard, ordinal: number, nowMs: number): string {
  const last = shard.log.at(ordinal - 1)
  return shard.sequenceNumber(ordinal - 1, last ? last.arrivalMs + 1 : nowMs)
}
