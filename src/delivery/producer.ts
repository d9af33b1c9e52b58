import { setMaxListeners } from 'node:events'
import type { Clock } from '../base/clock.ts'
import type { Destination, Outbox } from '../outbox/outbox.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { createCallSlots } from './call/call-slots.ts'
import { createDestinationLoop } from './destination-loop.ts'
import type { DestinationLoop, DestinationLoopDependencies } from './destination-loop.ts'
import type { OnGivenUp } from './outcome/giving-up.ts'
import type { KinesisCalls } from '../aws/kinesis-calls.ts'
import { createReadBudget } from './read-ahead.ts'

export type { OnGivenUp, GivenUpAnswer, GivenUpRecord } from './outcome/giving-up.ts'

/** Takes records from the outbox to their streams; those that no stream takes, out of it. */
export interface Producer {
  /** Begins with what is in the outbox, and goes on with what comes. */
  start(): void
  /**
   * Begins no further call and resolves when those in flight are answered, at the latest after
   * `drainMs`. What is not delivered stays in the outbox.
   */
  stop(options: { readonly drainMs: number }): Promise<void>
  /** Resolves when nothing is queued in the outbox: all is delivered or given up. */
  idle(): Promise<void>
}

export interface ProducerDependencies {
  readonly outbox: Outbox
  /** The calls of a destination's region and role, e.g. of `createAwsCalls`. */
  readonly callsFor: (destination: Destination) => KinesisCalls
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: DestinationLoopDependencies['metrics']
  /** The lab makes a stream that is first seen here; without it a missing stream is waited for. */
  readonly makeStream?: (streamName: string) => Promise<void>
  /** Asked what becomes of records that are given up; absent: they become dead letters. */
  readonly onGivenUp?: OnGivenUp
  /** Numbers in [0, 1); `Math.random` unless a test wants them known. */
  readonly random?: () => number
}

export interface ProducerOptions {
  /** Calls in flight for all destinations together. */
  readonly maxInFlightTotal?: number
  /** Bytes of records that all destinations read ahead of their calls. */
  readonly readAheadBytesMax?: number
  /** Records of a destination that its throttled shards hold in memory. */
  readonly heldRecordsMax?: number
}

const maxInFlightTotalDefault = 256

/** The producer: one loop for each destination of the outbox. */
export function createProducer(
  dependencies: ProducerDependencies,
  options: ProducerOptions = {},
): Producer {
  const { outbox, callsFor, clock } = dependencies
  const slots = createCallSlots(options.maxInFlightTotal ?? maxInFlightTotalDefault)
  const budget = createReadBudget(options.readAheadBytesMax)
  const loops = new Map<number, DestinationLoop>()
  const idleWaiters = new Set<() => void>()
  const ending = new AbortController()
  // Each call in flight listens, and there may be many.
  setMaxListeners(0, ending.signal)
  let unsubscribe: (() => void) | undefined

  function onRemoved(): void {
    if (outbox.size().records > 0) return
    for (const resolve of idleWaiters) resolve()
    idleWaiters.clear()
  }

  function wake(destinationIds: readonly number[]): void {
    if (destinationIds.some((id) => !loops.has(id))) addLoops()
    for (const id of destinationIds) loops.get(id)?.appended()
  }

  /** Destinations come, and those that are unused make room for them. */
  function addLoops(): void {
    const known = new Set<number>()
    for (const queued of outbox.destinations()) {
      known.add(queued.id)
      if (loops.has(queued.id)) continue
      const loop = createDestinationLoop({
        ...dependencies,
        random: dependencies.random ?? Math.random,
        queued,
        calls: callsFor(queued.destination),
        slots,
        budget,
        ...(options.heldRecordsMax && { heldRecordsMax: options.heldRecordsMax }),
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
    idle() {
      if (outbox.size().records === 0) return Promise.resolve()
      return new Promise<void>((resolve) => idleWaiters.add(resolve))
    },
  }
}
