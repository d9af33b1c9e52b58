import type { Clock } from '../base/clock.ts'
import type { Ordering, Outbox } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import { createOrderedQueue } from './queue/ordered-queue.ts'
import { createUnorderedQueue } from './queue/unordered-queue.ts'
import type { SendQueue } from './queue/send-queue.ts'
import type { CallSlots } from './call/call-slots.ts'
import { createBackoff } from './outcome/backoff.ts'
import { createFailureReport } from './outcome/failure-report.ts'
import { createGivingUp } from './outcome/giving-up.ts'
import type { OnGivenUp } from './outcome/giving-up.ts'
import type { KinesisCalls } from '../aws/kinesis-calls.ts'
import { createStreamMaker } from './outcome/stream-maker.ts'
import type { Outgoing } from './call/outgoing.ts'
import { createCallSpacing } from './call/call-spacing.ts'
import type { CallSpacing } from './call/call-spacing.ts'
import { createLeftOnDisk } from './queue/left-on-disk.ts'
import { createReadAhead, heldBytesMax, heldRecordsMaxDefault } from './read-ahead.ts'
import type { ReadAhead, ReadBudget } from './read-ahead.ts'
import { isTooOld } from './call/retry.ts'
import { createSender } from './sender.ts'
import { createShardWatch } from './shards/shard-watch.ts'
import type { ShardWatch } from './shards/shard-watch.ts'
import { createApplyVerdict } from './outcome/apply-verdict.ts'
import type { ApplyVerdictDependencies } from './outcome/apply-verdict.ts'

/** Delivers the records of one destination. */
export interface DestinationLoop {
  /** There are new records in the outbox. */
  appended(): void
  /** Begins no further call; resolves when those in flight have ended. */
  stop(): Promise<void>
}

export interface DestinationLoopDependencies extends Pick<
  ApplyVerdictDependencies,
  'queued' | 'clock' | 'logger' | 'random' | 'onRemoved'
> {
  readonly outbox: Pick<
    Outbox,
    'read' | 'delivered' | 'removalsPending' | 'destinations' | 'giveUp' | 'sourceOf' | 'ageMs'
  >
  readonly metrics: ApplyVerdictDependencies['metrics'] &
    Pick<Metrics, 'kinesisCalls' | 'kinesisCallsInFlight' | 'destinationsFailing'>
  readonly calls: KinesisCalls
  readonly slots: CallSlots
  readonly budget: ReadBudget
  /** Records that the throttled shards of the destination hold in memory. */
  readonly heldRecordsMax?: number
  /** Ends the calls in flight. */
  readonly signal: AbortSignal
  /** Asked what becomes of records that are given up; absent: they become dead letters. */
  readonly onGivenUp?: OnGivenUp
  /** Makes a stream that Kinesis does not know, where that is wanted. */
  readonly makeStream?: (streamName: string) => Promise<void>
}

/** What a loop is made of: each part decides one thing, the loop only carries it out. */
interface Parts extends DestinationLoopDependencies, ApplyVerdictDependencies {
  readonly outbox: DestinationLoopDependencies['outbox']
  readonly metrics: DestinationLoopDependencies['metrics']
  readonly readAhead: ReadAhead
  readonly spacing: CallSpacing
  readonly shards: ShardWatch
}

/** Records that are given up together, in one transaction. */
const givenUpTogetherMax = 500
/** No further calls while so many records are on their way out: the disk may be full. */
const givingUpMax = 5_000
/** No further calls while so many delivered records are not yet removed: the disk is slower. */
const settlingMax = 40_000
/** When to look again whether they are. */
const settlingCheckMs = 5
/** After so many failures in a row, what was read ahead gives its memory to other destinations. */
const failuresUntilForgetting = 2

/**
 * The loop of a destination: read ahead, take the next call, send it, act on the verdict. It runs
 * whenever something has changed: new records, an answer, a delay that is over.
 *
 * While a destination fails, one call at a time tries it. Between two of these nothing is in
 * flight: then what was read is forgotten, to be read again, oldest first, and records that are too
 * old are given up.
 */
export function createDestinationLoop(dependencies: DestinationLoopDependencies): DestinationLoop {
  const { queued, clock, slots } = dependencies
  const { bytes: bytesMax } = queued.destination.settings.batching
  const parts = createParts(dependencies, run)
  const { outbox, queue, backoff, spacing, readAhead, givingUp } = parts
  const call = createCall(parts)
  const inFlight = new Set<Promise<void>>()
  const backlog = createBacklog(parts)
  const timer = createTimer(clock, run)
  const nextTurn = createNextTurn(run)
  let isClearing = false
  let stopped = false

  function run(): void {
    if (stopped || isClearing) return
    // One reading of the clock for all: what is not due for one part must not be past for another.
    const nowMs = clock.monotonicMs()
    const outcome = startCall(nowMs)
    if (outcome === 'started') nextTurn.set()
    else if (outcome === 'behind') timer.set(settlingCheckMs)
    else if (outcome === 'none') timer.set(wakeDelayMs(parts, inFlight.size, nowMs))
  }

  /** `starved`: it could start, had other destinations left a slot; `behind`: the disk is slower. */
  function startCall(nowMs: number): 'started' | 'none' | 'starved' | 'behind' {
    if (inFlight.size >= backoff.allowed(nowMs) || givingUp.pending() > givingUpMax) return 'none'
    if (outbox.removalsPending() > settlingMax) return 'behind'
    backlog.fill(nowMs)
    if (spacing.delayMs(nowMs, queue.ready(nowMs)) > 0) return 'none'
    if (!slots.tryTake(run)) return 'starved'
    const taken = queue.take(nowMs, { recordsMax: spacing.recordsMax(), bytesMax })
    if (taken.length === 0) {
      slots.release()
      return 'none'
    }
    spacing.started(nowMs)
    send(taken)
    return 'started'
  }

  function send(taken: readonly Outgoing[]): void {
    const sent = call(taken).finally(() => {
      inFlight.delete(sent)
      slots.release()
      backlog.count()
      if (inFlight.size === 0 && isFailing(parts)) void forget()
      else run()
    })
    inFlight.add(sent)
  }

  /** Nothing is in flight. */
  async function forget(): Promise<void> {
    backlog.forget()
    isClearing = true
    await giveUpTooOld(parts, () => stopped)
    isClearing = false
    run()
  }

  return {
    appended() {
      readAhead.appended()
      run()
    },
    async stop() {
      stopped = true
      nextTurn.clear()
      timer.set(Infinity)
      await Promise.all(inFlight)
      await givingUp.idle()
      backlog.forget()
    },
  }
}

/** Sends records and acts on what became of them. */
function createCall(parts: Parts): (taken: readonly Outgoing[]) => Promise<void> {
  const { backoff, spacing } = parts
  const send = createSender(parts)
  const applyVerdict = createApplyVerdict(parts)
  return async (taken) => {
    const generation = backoff.generation()
    const verdict = await send(taken)
    if (verdict.putRecordsDenied) spacing.oneRecordPerCall()
    applyVerdict(verdict, taken, generation)
  }
}

/** One alarm at a time; none for an infinite delay. */
function createTimer(clock: Clock, callback: () => void) {
  let cancel: (() => void) | undefined
  return {
    set: (delayMs: number): void => {
      cancel?.()
      cancel = delayMs === Infinity ? undefined : clock.after(delayMs, callback)
    },
  }
}

/**
 * Calls back in the next turn of the event loop. Each answer lets one call follow, and each turn one
 * more: to write a full call takes milliseconds, and sixteen in one turn would keep devices waiting.
 */
function createNextTurn(callback: () => void) {
  let immediate: NodeJS.Immediate | undefined
  return {
    set(): void {
      immediate ??= setImmediate(() => {
        immediate = undefined
        callback()
      })
    },
    clear: () => clearImmediate(immediate),
  }
}

/** What of the outbox is in memory. */
function createBacklog({ queue, readAhead, budget, backoff, spacing, queued }: Parts) {
  const { batching } = queued.destination.settings
  const oneCall = { countMax: batching.count, bytesMax: batching.bytes }
  let countedBytes = 0

  function count(): void {
    const { bytes } = queue.size()
    budget.held(bytes - countedBytes)
    countedBytes = bytes
  }

  return {
    count,
    /** Reads on when the next call would not be full; for a destination that fails, what one takes. */
    fill: (nowMs: number): void => {
      if (spacing.isFull(queue.ready(nowMs))) return
      const held = queue.size()
      queue.add(backoff.failures() > 0 ? readAhead.nextToTry(held, oneCall) : readAhead.next(held))
      count()
    },
    /** Gives the memory back, while nothing is in flight: the records will be read again. */
    forget: (): void => {
      queue.clear()
      readAhead.restart()
      count()
    },
  }
}

/** A condition, or a fault that is more than a moment's. */
function isFailing({ backoff }: Parts): boolean {
  return backoff.failures() >= failuresUntilForgetting || backoff.condition() !== undefined
}

/** How long nothing but time can start a further call. */
function wakeDelayMs(
  { backoff, queue, spacing, readAhead }: Parts,
  inFlight: number,
  nowMs: number,
): number {
  const opensAtMs = backoff.opensAtMs()
  if (opensAtMs > nowMs) return Math.max(1, opensAtMs - nowMs)
  // With all calls in flight the next answer comes first.
  if (inFlight >= backoff.allowed(nowMs)) return Infinity
  if (readAhead.isBehind()) return 1
  const ready = queue.ready(nowMs)
  const spacingMs = ready.records === 0 ? Infinity : spacing.delayMs(nowMs, ready)
  const dueMs = queue.nextDueMs(nowMs) - nowMs
  return Math.max(1, Math.min(spacingMs, dueMs))
}

async function giveUpTooOld(parts: Parts, isStopped: () => boolean): Promise<void> {
  while (!isStopped() && (await giveUpOldest(parts))) {
    // On to the next oldest.
  }
}

/** Gives up the oldest records, as far as they are too old; true when there may be more of them. */
async function giveUpOldest(parts: Parts) {
  const { readAhead, backoff, givingUp, queued, clock, outbox } = parts
  const current = backoff.condition()
  if (!current) return false
  const { maxAgeMs } = queued.destination.settings.retry
  const standingMs = clock.monotonicMs() - current.sinceMs
  const lastMs = clock.wallMs()
  const oldest = readAhead.oldest(givenUpTogetherMax)
  const tooOld = oldest.filter((record) => isTooOld(outbox.ageMs(record), standingMs, maxAgeMs))
  if (tooOld.length === 0) return false
  const { failure, failures: attempts, firstMs } = current
  const { code, message } = failure
  const facts = { reason: { code, message }, attempts, firstMs, lastMs }
  await givingUp.giveUp(tooOld.map((record) => ({ record, ...facts })))
  return tooOld.length === oldest.length
}

/** The queue that keeps what the order of the destination promises. */
function createQueue(ordering: Ordering, shards: ShardWatch): SendQueue {
  return ordering === 'none' ? createUnorderedQueue(shards) : createOrderedQueue(ordering, shards)
}

function createParts(dependencies: DestinationLoopDependencies, onMade: () => void): Parts {
  const { queued } = dependencies
  const { settings } = queued.destination
  const givingUp = createGivingUp(dependencies)
  const backoff = createBackoff(dependencies, settings)
  const shards = createShardWatch(dependencies)
  const queue = createQueue(settings.ordering, shards)
  const recordsMax = dependencies.heldRecordsMax ?? heldRecordsMaxDefault
  return {
    ...dependencies,
    shards,
    queue,
    backoff,
    givingUp,
    readAhead: createReadAhead({
      ...dependencies,
      destinationId: queued.id,
      isGivenUp: (sequence) => givingUp.isGivenUp(sequence),
      leftOnDisk: createLeftOnDisk(shards, (shardId) => queue.heldFor(shardId), {
        recordsMax,
        bytesMax: heldBytesMax,
      }),
    }),
    spacing: createCallSpacing(settings),
    report: createFailureReport(dependencies, queued.destination),
    streamMaker: createStreamMaker(dependencies, {
      onMade() {
        backoff.reset()
        onMade()
      },
    }),
  }
}
