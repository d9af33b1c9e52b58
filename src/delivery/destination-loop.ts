import type { Clock } from '../base/clock.ts'
import type { DeliverySettings, Outbox, QueuedDestination, QueuedRecord } from '../outbox/outbox.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { createCallSpacing } from './call/call-spacing.ts'
import { createBytesInFlight } from './call/call-slots.ts'
import type { BytesInFlight, CallSlots, TotalInFlight } from './call/call-slots.ts'
import type { CallSpacing } from './call/call-spacing.ts'
import { payloadBytesOf } from './call/outgoing.ts'
import type { Outgoing } from './call/outgoing.ts'
import { isTooOld } from './call/retry.ts'
import { createApplyVerdict } from './outcome/apply-verdict.ts'
import { createBackoff } from './outcome/backoff.ts'
import type { Backoff } from './outcome/backoff.ts'
import { createFailureReport } from './outcome/failure-report.ts'
import type { FailureReport } from './outcome/failure-report.ts'
import { createGivingUp } from './outcome/giving-up.ts'
import type { GivingUp, OnGivenUp } from './outcome/giving-up.ts'
import { createStreamMaker } from './outcome/stream-maker.ts'
import type { MakeStream } from './outcome/stream-maker.ts'
import { combineLeftOnDisk, createKeysLeftOnDisk, createLeftOnDisk } from './queue/left-on-disk.ts'
import { createOrderedQueue } from './queue/ordered-queue.ts'
import type { NextCall, SendQueue } from './queue/send-queue.ts'
import { createUnorderedQueue } from './queue/unordered-queue.ts'
import { destinationViews } from './destination-views.ts'
import type { DestinationViews } from './destination-views.ts'
import { createTransport } from './transport.ts'
import type { CallsOfDestinations, Transport } from './transport.ts'
import { createReadAhead, heldBytesMax, heldRecordsMaxDefault } from './read-ahead.ts'
import type { ReadAhead, ReadBudget } from './read-ahead.ts'
import type { ShardWatch } from './shards/shard-watch.ts'
import type { RecordWatch } from './outcome/watch-records.ts'

/** Delivers the records of one destination. */
export interface DestinationLoop extends DestinationViews {
  /** Tells the loop that the outbox has new records. */
  appended(): void
  /** Starts no further call. Resolves when the calls in flight have ended. */
  stop(): Promise<void>
}

export interface DestinationLoopDependencies extends CallsOfDestinations {
  readonly queued: QueuedDestination
  readonly outbox: Pick<
    Outbox,
    'read' | 'delivered' | 'removalsPending' | 'destinations' | 'giveUp' | 'sourceOf' | 'ageMs'
  >
  readonly slots: CallSlots
  /** What the calls of all destinations hold. */
  readonly totalInFlight: TotalInFlight
  readonly budget: ReadBudget
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<
    Metrics,
    | 'kinesisCalls'
    | 'kinesisCallsInFlight'
    | 'serviceCalls'
    | 'destinationsFailing'
    | 'recordsRetried'
    | 'ruleStatistics'
  >
  readonly recordWatch: RecordWatch
  /** Numbers in [0, 1) for the jitter of delays. */
  readonly random: () => number
  /** Ends the calls in flight. */
  readonly signal: AbortSignal
  /** Called after records have left the outbox. */
  readonly onRemoved: () => void
  /** Decides what becomes of records that are given up. Without it they become dead letters. */
  readonly onGivenUp?: OnGivenUp | undefined
  /** Creates a stream that Kinesis does not know. Without it a missing stream is waited for. */
  readonly makeStream?: MakeStream | undefined
  /** Records of the destination that its throttled shards hold in memory. */
  readonly heldRecordsMax?: number | undefined
}

/** The parts of a loop. Each decides one thing, and the loop carries it out. */
interface Parts extends DestinationLoopDependencies {
  readonly settings: DeliverySettings
  readonly queue: SendQueue
  readonly bytesInFlight: BytesInFlight
  readonly readAhead: ReadAhead
  readonly spacing: CallSpacing
  readonly backoff: Backoff
  readonly givingUp: GivingUp
  readonly report: FailureReport
  readonly shards: ShardWatch
  /** How many records of the destination are in the outbox's queue. */
  readonly waiting: () => number
  /** Sends records in one call and acts on the verdict. */
  readonly call: (taken: readonly Outgoing[]) => Promise<void>
}

/** Records that are given up together in one transaction. */
const givenUpTogetherMax = 500
/** No call starts while more records than this are being given up: the disk may be full. */
const givingUpMax = 5_000
/** No call starts while more delivered records than this wait for removal: the disk is slower. */
const removalsPendingMax = 40_000
/** The time until the loop looks again whether the removals were written. */
const removalsCheckMs = 5
/** After so many failures in a row, the records in memory are forgotten in favour of others. */
const failuresUntilForgetting = 2

/**
 * The loop of a destination: read ahead, take the next call, send it, act on the verdict. It runs
 * whenever something has changed: there are new records, a call was answered, or a delay is over.
 *
 * While a destination fails, one call at a time tries it. Between two tries nothing is in flight.
 * Then the records in memory are forgotten, to be read again oldest first, and records that are too
 * old are given up.
 */
export function createDestinationLoop(dependencies: DestinationLoopDependencies): DestinationLoop {
  const parts = createParts(dependencies, run)
  const { slots, outbox, queue, backoff, spacing, readAhead, givingUp, report, call } = parts
  const inFlight = new Set<Promise<void>>()
  const backlog = createBacklog(parts)
  const timer = createTimer(parts.clock, run)
  const nextTurn = createNextTurn(run)
  let isClearing = false
  let stopped = false

  function run(): void {
    if (stopped || isClearing) return
    // All parts use one reading of the clock, so that they agree on what is due.
    const nowMs = parts.clock.monotonicMs()
    timer.set(startCall(nowMs))
  }

  /** @returns how long to wait before the next try; undefined when another event leads to it */
  function startCall(nowMs: number): number | undefined {
    const limits = parts.bytesInFlight.limits(spacing.limits())
    // `run` is called after each group of records that was given up, and after each answer.
    if (limits === undefined || givingUp.pending() > givingUpMax) return Infinity
    if (inFlight.size >= backoff.allowed(nowMs)) return wakeDelayMs(parts, inFlight.size, nowMs)
    if (outbox.removalsPending() > removalsPendingMax) return removalsCheckMs
    const next = backlog.fill(nowMs)
    if (next.records === 0 || spacing.delayMs(nowMs, next) > 0) {
      return wakeDelayMs(parts, inFlight.size, nowMs, next)
    }
    // When no slot is free, `run` is called once there is one.
    const isTrial = backoff.failures() > 0
    if (!slots.tryTake(run, isTrial)) return undefined
    const taken = queue.take(nowMs, limits)
    if (taken.length === 0) {
      slots.release(isTrial)
      return wakeDelayMs(parts, inFlight.size, nowMs)
    }
    spacing.started(nowMs)
    send(taken, isTrial)
    nextTurn.set()
    return undefined
  }

  function send(taken: readonly Outgoing[], isTrial: boolean): void {
    const sent = call(taken).finally(() => {
      inFlight.delete(sent)
      slots.release(isTrial)
      backlog.count()
      if (inFlight.size === 0 && isFailing(parts)) void forget()
      else run()
    })
    inFlight.add(sent)
  }

  /** Called while nothing is in flight. */
  async function forget(): Promise<void> {
    backlog.forget()
    isClearing = true
    await giveUpTooOld(parts, () => stopped)
    if (parts.waiting() === 0) report.ended()
    isClearing = false
    run()
  }

  return {
    appended() {
      readAhead.appended()
      run()
    },
    ...destinationViews(parts, inFlight),
    async stop() {
      stopped = true
      nextTurn.clear()
      timer.set(Infinity)
      await Promise.all(inFlight)
      await givingUp.idle()
      backlog.forget()
      report.gone()
    },
  }
}

/** A timer that holds one alarm. An infinite delay cancels it, and no delay leaves it. */
function createTimer(clock: Clock, callback: () => void) {
  let cancel: (() => void) | undefined
  return {
    set: (delayMs: number | undefined): void => {
      if (delayMs === undefined) return
      cancel?.()
      cancel = delayMs === Infinity ? undefined : clock.after(delayMs, callback)
    },
  }
}

/**
 * Calls back in the next turn of the event loop, so that each turn starts at most one call beside
 * those that follow an answer. Writing a full call takes milliseconds: sixteen calls in one turn
 * would keep devices waiting.
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

/** The records of the destination that are in memory. */
function createBacklog({ queue, readAhead, budget, backoff, spacing, settings }: Parts) {
  const { batching } = settings
  const oneCall = { countMax: batching.count, bytesMax: batching.bytes }
  let countedBytes = 0

  function count(): void {
    const { bytes } = queue.size()
    budget.held(bytes - countedBytes)
    countedBytes = bytes
  }

  function read(): readonly QueuedRecord[] {
    const size = queue.size()
    return backoff.failures() > 0 ? readAhead.nextToTry(size, oneCall) : readAhead.next(size)
  }

  return {
    count,
    /** Reads more records unless the next call is full. A failing destination gets one call's. */
    fill(nowMs: number): NextCall {
      const next = queue.next(nowMs)
      if (spacing.isFull(next)) return next
      const records = read()
      if (records.length === 0) return next
      queue.add(records)
      count()
      return queue.next(nowMs)
    },
    /** Frees the memory while nothing is in flight. The records will be read again. */
    forget(): void {
      queue.clear()
      readAhead.restart()
      count()
    },
  }
}

/** True when the destination has a condition, or failed more than once in a row. */
function isFailing({ backoff }: Parts): boolean {
  return backoff.failures() >= failuresUntilForgetting || backoff.condition() !== undefined
}

/**
 * The delay after which the passing of time alone can start a call; Infinity when only another
 * event can.
 *
 * @param next what the queue has for the next call, if that is known
 */
function wakeDelayMs(
  { backoff, queue, spacing, readAhead }: Parts,
  inFlight: number,
  nowMs: number,
  next?: NextCall,
): number {
  const opensAtMs = backoff.opensAtMs()
  if (opensAtMs > nowMs) return Math.max(1, opensAtMs - nowMs)
  // With all calls in flight, the next answer comes first.
  if (inFlight >= backoff.allowed(nowMs)) return Infinity
  if (readAhead.isBehind()) return 1
  const ready = next ?? queue.next(nowMs)
  const spacingMs = ready.records === 0 ? Infinity : spacing.delayMs(nowMs, ready)
  return Math.max(1, Math.min(spacingMs, ready.dueMs - nowMs))
}

async function giveUpTooOld(parts: Parts, isStopped: () => boolean): Promise<void> {
  let mayBeMore = true
  while (mayBeMore && !isStopped()) mayBeMore = await giveUpOldest(parts)
}

/** Gives up the oldest records that are too old. Returns whether there may be more of them. */
async function giveUpOldest(parts: Parts): Promise<boolean> {
  const { readAhead, backoff, givingUp, settings, clock, outbox } = parts
  const current = backoff.condition()
  if (!current) return false
  const { maxAgeMs } = settings.retry
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

function createParts(dependencies: DestinationLoopDependencies, wake: () => void): Parts {
  const { queued, outbox, heldRecordsMax = heldRecordsMaxDefault } = dependencies
  const { destination } = queued
  const transport = createTransport(dependencies)
  const { settings, shards } = transport
  const givingUp = createGivingUp({
    ...dependencies,
    onRemoved() {
      dependencies.onRemoved()
      wake()
    },
  })
  const backoff = createBackoff(dependencies, settings)
  const { ordering } = settings
  const queue: SendQueue =
    ordering === 'none' ? createUnorderedQueue(shards) : createOrderedQueue(ordering, shards)
  const spacing = createCallSpacing(settings)
  const onMade = () => {
    backoff.reset()
    wake()
  }
  const streamMaker = createStreamMaker({ ...dependencies, destination }, { onMade })
  const heldLimits = { recordsMax: heldRecordsMax, bytesMax: heldBytesMax }
  const leftOnDisk = combineLeftOnDisk(
    createLeftOnDisk(shards, (shardId) => queue.heldFor(shardId), heldLimits),
    createKeysLeftOnDisk(() => queue.slowKeys(), heldLimits),
  )
  const readAhead = createReadAhead({
    ...dependencies,
    destinationId: queued.id,
    isGivenUp: (sequence) => givingUp.isGivenUp(sequence),
    leftOnDisk,
  })
  const waiting = () => outbox.destinations().find(({ id }) => id === queued.id)?.records ?? 0
  const report = createFailureReport({ ...dependencies, waiting }, destination)
  const bytesInFlight = createBytesInFlight(dependencies.totalInFlight)
  const sending = { transport, streamMaker, bytesInFlight }
  const acting = { ...sending, queue, shards, backoff, givingUp, spacing, report }
  const call = createCall(dependencies, acting)
  return {
    ...dependencies,
    settings,
    waiting,
    queue,
    bytesInFlight,
    backoff,
    givingUp,
    spacing,
    readAhead,
    report,
    shards,
    call,
  }
}

/** The parts that act on what became of a call. */
type ActingParts = Pick<
  Parts,
  'queue' | 'backoff' | 'givingUp' | 'spacing' | 'report' | 'bytesInFlight'
> & {
  readonly transport: Transport
  readonly shards: ShardWatch
  readonly streamMaker: ReturnType<typeof createStreamMaker>
}

/** Makes the function that sends records in one call and acts on the verdict. */
function createCall(dependencies: DestinationLoopDependencies, acting: ActingParts): Parts['call'] {
  const { queued, outbox, clock, random, onRemoved } = dependencies
  const { backoff, spacing, transport, bytesInFlight } = acting
  const applyVerdict = createApplyVerdict({
    ...acting,
    clock,
    random,
    onDelivered(records) {
      outbox.delivered(queued.id, records)
      onRemoved()
    },
  })
  return async (taken) => {
    const generation = backoff.generation()
    const bytes = payloadBytesOf(taken)
    bytesInFlight.started(bytes)
    const verdict = await transport.send(taken).finally(() => bytesInFlight.ended(bytes))
    if (verdict.batchDenied) spacing.oneRecordPerCall(clock.monotonicMs())
    applyVerdict(verdict, taken, generation)
  }
}
