import { setMaxListeners } from 'node:events'
import type { Clock } from '../base/clock.ts'
import type { DestinationState } from '../outbox/managed-outbox.ts'
import type { Outbox, StreamDestination } from '../outbox/outbox.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { createCallSlots } from './call/call-slots.ts'
import { createDestinationLoop } from './destination-loop.ts'
import type { DestinationLoop, DestinationLoopDependencies } from './destination-loop.ts'
import type { OnGivenUp } from './outcome/giving-up.ts'
import type { CallsOfDestinations } from './transport.ts'
import { createReadBudget } from './read-ahead.ts'
import type { MakeStream } from './outcome/stream-maker.ts'
import { createRecordWatch } from './outcome/watch-records.ts'
import type { RecordObservers } from './outcome/watch-records.ts'
import { createMessageWatch } from '../watch/message-watch.ts'
import type { SeenShards } from './shards/shard-watch.ts'

export type { OnGivenUp, GivenUpAnswer, GivenUpRecord } from './outcome/giving-up.ts'

/** Delivers the records of the outbox to their streams, and gives up those that no stream takes. */
export interface Producer {
  /** Delivers the records in the outbox and all that are appended later. */
  start(): void
  /**
   * Starts no further call. Resolves when the calls in flight are answered, or after `drainMs` at
   * the latest. Records that were not delivered stay in the outbox.
   */
  stop(options: { readonly drainMs: number }): Promise<void>
  /** How the delivery to a destination of the outbox goes; undefined before the start. */
  readonly stateOf: (destinationId: number) => DestinationState | undefined
  /** Resolves when the outbox's queue is empty: all records are delivered or given up. */
  readonly idle: () => Promise<void>
  /**
   * The streams that records are sent to. From now on it is counted for a while what each takes.
   *
   * @param asks whether Kinesis may be asked for their shards
   */
  readonly streams: (asks: boolean) => readonly ProducerStream[]
}

/** A stream with the role and the settings of its delivery, and what is known of its shards. */
export interface ProducerStream extends SeenShards {
  readonly destination: StreamDestination
}

export interface ProducerDependencies extends RecordObservers {
  readonly outbox: Outbox
  /** The calls with a destination's region and role, such as those of `createAwsCalls`. */
  readonly callsFor: CallsOfDestinations['callsFor']
  readonly senderFor: CallsOfDestinations['senderFor']
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: DestinationLoopDependencies['metrics']
  /** Creates a stream that Kinesis does not know. Without it a missing stream is waited for. */
  readonly makeStream?: MakeStream | undefined
  /** Decides what becomes of records that are given up. Without it they become dead letters. */
  readonly onGivenUp?: OnGivenUp | undefined
  /** Numbers in [0, 1) for the jitter of delays; `Math.random` by default. */
  readonly random?: (() => number) | undefined
}

export interface ProducerOptions {
  /** Calls in flight for all destinations together. */
  readonly maxInFlightTotal?: number | undefined
  /** Bytes of the records in memory, of all destinations together. */
  readonly readAheadBytesMax?: number | undefined
  /** Records of a destination that its throttled shards hold in memory. */
  readonly heldRecordsMax?: number | undefined
}

const maxInFlightTotalDefault = 256

/** Makes the producer, which runs one loop for each destination of the outbox. */
export function createProducer(
  dependencies: ProducerDependencies,
  options: ProducerOptions = {},
): Producer {
  const { outbox, clock, watch = createMessageWatch({ clock }) } = dependencies
  const slots = createCallSlots(options.maxInFlightTotal ?? maxInFlightTotalDefault)
  const budget = createReadBudget(options.readAheadBytesMax)
  const totalInFlight = { bytes: 0 }
  const loops = new Map<number, DestinationLoop>()
  const idleWaiters = new Set<() => void>()
  const ending = new AbortController()
  // Each call in flight adds a listener, and there may be many calls.
  setMaxListeners(0, ending.signal)
  let unsubscribe: (() => void) | undefined

  function onRemoved(): void {
    if (outbox.size().records > 0) return
    for (const resolve of idleWaiters) resolve()
    idleWaiters.clear()
  }

  function wake(destinationIds: readonly number[]): void {
    if (destinationIds.some((id) => !loops.has(id))) updateLoops()
    for (const id of destinationIds) loops.get(id)?.appended()
  }

  /** Adds loops for new destinations and stops those of destinations that the outbox removed. */
  function updateLoops(): void {
    const known = new Set<number>()
    for (const queued of outbox.destinations()) {
      known.add(queued.id)
      if (loops.has(queued.id)) continue
      const loop = createDestinationLoop({
        ...dependencies,
        random: dependencies.random ?? Math.random,
        recordWatch: createRecordWatch({ ...dependencies, watch }, queued),
        queued,
        slots,
        totalInFlight,
        budget,
        heldRecordsMax: options.heldRecordsMax,
        signal: ending.signal,
        onRemoved,
      })
      loops.set(queued.id, loop)
    }
    for (const [id, loop] of loops) {
      if (known.has(id)) continue
      loops.delete(id)
      void loop.stop()
    }
  }

  return {
    start() {
      unsubscribe ??= outbox.onAppended(wake)
      wake(outbox.destinations().map(({ id }) => id))
    },
    async stop({ drainMs }: { readonly drainMs: number }) {
      unsubscribe?.()
      const stopped = Promise.all([...loops.values()].map((loop) => loop.stop()))
      const drained = new AbortController()
      const late = clock.sleep(drainMs, drained.signal).then(() => ending.abort())
      await stopped
      drained.abort()
      await late
    },
    stateOf: (destinationId) => loops.get(destinationId)?.state(),
    streams: (asks) => streamsOf(outbox, loops, asks),
    idle() {
      if (outbox.size().records === 0) return Promise.resolve()
      return new Promise<void>((resolve) => idleWaiters.add(resolve))
    },
  }
}

function streamsOf(
  outbox: Pick<Outbox, 'destinations'>,
  loops: ReadonlyMap<number, DestinationLoop>,
  asks: boolean,
): readonly ProducerStream[] {
  return outbox.destinations().flatMap(({ id, destination }) => {
    const loop = loops.get(id)
    if (!loop || destination.kind !== 'kinesis') return []
    return [{ destination, ...loop.lookAtShards(asks) }]
  })
}
