import type { Outbox } from '../outbox/outbox.ts'
import type { Metrics } from '../telemetry.ts'
import { callBytesMax, createSendQueue } from './batch.ts'
import type { Outgoing } from './batch.ts'
import type { CallSlots } from './call-slots.ts'
import { createFailureReport } from './failure-report.ts'
import { createGate } from './gate.ts'
import type { CallOutcome, KinesisCalls, PutOperation } from './kinesis-calls.ts'
import { createMissingStream } from './missing-stream.ts'
import { createReadAhead } from './read-ahead.ts'
import { createRefusedRecords } from './refused-records.ts'
import { judge } from './verdict.ts'
import { createVerdictActor } from './verdict-actor.ts'
import type { VerdictActorParts } from './verdict-actor.ts'

/** Delivers the records of one destination. */
export interface DestinationLoop {
  /** There are new records in the outbox. */
  appended(): void
  /** Begins no further call; resolves when those in flight have ended. */
  stop(): Promise<void>
}

export interface DestinationLoopDependencies extends Pick<
  VerdictActorParts,
  'queued' | 'clock' | 'logger' | 'random' | 'onDelivered'
> {
  readonly outbox: Pick<Outbox, 'read' | 'settle' | 'destinations'>
  readonly metrics: VerdictActorParts['metrics'] &
    Pick<Metrics, 'kinesisCalls' | 'kinesisCallsInFlight' | 'destinationsFailing'>
  readonly calls: KinesisCalls
  readonly slots: CallSlots
  /** Ends the calls in flight. */
  readonly signal: AbortSignal
  /** Makes a stream that Kinesis does not know, where that is wanted. */
  readonly createMissingStream?: (streamName: string) => Promise<void>
}

export interface DestinationLoopOptions {
  readonly maxInFlight: number
  /** Records in one PutRecords, at most 500. */
  readonly recordsPerCallMax: number
}

/** What a loop is made of: each part decides one thing, the loop only carries it out. */
type Parts = DestinationLoopDependencies & VerdictActorParts

/**
 * The loop of a destination: read ahead, take the next call, send it, act on the verdict. It runs
 * whenever something has changed: new records, an answer, a delay that is over.
 *
 * A call starts as soon as a slot is free, with all that may go then: under load, batches fill by
 * themselves while the calls before them are in flight.
 */
export function createDestinationLoop(
  dependencies: DestinationLoopDependencies,
  options: DestinationLoopOptions,
): DestinationLoop {
  const { queued, outbox, clock, slots } = dependencies
  const parts = createParts(dependencies, options, retryAfterMaking)
  const { queue, gate } = parts
  const readAhead = createReadAhead(outbox, queued.id)
  const actOn = createVerdictActor(parts)
  const inFlight = new Set<Promise<void>>()
  let recordsPerCall = options.recordsPerCallMax
  let cancelTimer: (() => void) | undefined
  let stopped = false

  function retryAfterMaking(): void {
    gate.reset()
    run()
  }

  function run(): void {
    if (stopped) return
    // One reading of the clock for all: what is not due for one part must not be past for another.
    const nowMs = clock.nowMs()
    retryRefused(parts, nowMs)
    const starved = startCalls(nowMs)
    if (!starved) wakeLater(nowMs)
  }

  /** True when calls could start, had other destinations left a slot. */
  function startCalls(nowMs: number): boolean {
    for (;;) {
      queue.add(readAhead.next(queue.size()))
      if (inFlight.size >= gate.allowed(nowMs)) return false
      if (!slots.tryTake(run)) return true
      const taken = queue.take(nowMs, { recordsMax: recordsPerCall, bytesMax: callBytesMax })
      if (taken.length === 0) {
        slots.release()
        return false
      }
      const sent = send(taken).finally(() => {
        inFlight.delete(sent)
        slots.release()
        run()
      })
      inFlight.add(sent)
    }
  }

  async function send(taken: readonly Outgoing[]): Promise<void> {
    const round = gate.round()
    const outcome = await callKinesis(parts, taken)
    const verdict = judge(taken, outcome)
    if (verdict.putRecordsDenied) recordsPerCall = 1
    actOn(verdict, taken, round)
  }

  function wakeLater(nowMs: number): void {
    cancelTimer?.()
    const delayMs = wakeDelayMs(parts, inFlight.size, nowMs)
    if (delayMs < Infinity) cancelTimer = clock.after(delayMs, run)
  }

  return Object.freeze({
    appended() {
      readAhead.appended()
      run()
    },
    async stop() {
      stopped = true
      cancelTimer?.()
      await Promise.all(inFlight)
    },
  })
}

/** How long nothing but time can start a further call. */
function wakeDelayMs({ gate, queue, refused }: Parts, inFlight: number, nowMs: number): number {
  const opensAtMs = gate.opensAtMs()
  if (opensAtMs > nowMs) return opensAtMs - nowMs
  // With all calls in flight the next answer comes first.
  if (inFlight >= gate.allowed(nowMs)) return Infinity
  const dueMs = Math.min(queue.nextDueMs() ?? Infinity, refused.nextDueMs() ?? Infinity)
  return Math.max(1, dueMs - nowMs)
}

async function callKinesis(
  { calls, queued, signal, metrics }: Parts,
  taken: readonly Outgoing[],
): Promise<CallOutcome> {
  const operation: PutOperation = taken.length === 1 ? 'PutRecord' : 'PutRecords'
  const { streamName } = queued.destination
  metrics.kinesisCallsInFlight.inc()
  const records = taken.map(({ record }) => record)
  const outcome = await calls.put({ operation, streamName, records, signal })
  metrics.kinesisCallsInFlight.dec()
  metrics.kinesisCalls.inc({ operation, outcome: outcomeLabel(outcome) })
  return outcome
}

function outcomeLabel(outcome: CallOutcome): string {
  if (!outcome.answered) return outcome.failure.code
  return outcome.records.every(({ ok }) => ok) ? 'ok' : 'partial'
}

function createParts(
  dependencies: DestinationLoopDependencies,
  options: DestinationLoopOptions,
  onMade: () => void,
): Parts {
  return {
    ...dependencies,
    queue: createSendQueue(),
    gate: createGate(dependencies, options),
    refused: createRefusedRecords(),
    report: createFailureReport(dependencies, dependencies.queued.destination),
    missingStream: createMissingStream(dependencies, { onMade }),
  }
}

/** Puts refused records whose time has come back into the queue. */
function retryRefused({ refused, queue, outbox, queued }: Parts, nowMs: number): void {
  for (const { sequence, attempts } of refused.takeDue(nowMs)) {
    const [record] = outbox.read(queued.id, sequence - 1, { countMax: 1, bytesMax: 0 })
    if (record?.sequence === sequence) queue.addAlone(record, attempts)
  }
}
