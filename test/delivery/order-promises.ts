/**
 * What each order promises, whatever fails, as a property: random messages, random faults of the
 * lab, one run after the other against one producer.
 */
import * as fc from 'fast-check'
import { expect } from 'vitest'
import type { KinesisCalls, PutRequest } from '../../src/aws/kinesis-calls.ts'
import type { CallOutcome } from '../../src/aws/call/call-outcome.ts'
import type { FaultEffect, FaultRule } from '../../src/lab/faults/faults.ts'
import type { Ordering, StreamDestination } from '../../src/outbox/outbox.ts'
import { destination, newRecordFor } from '../outbox/outbox-parts.ts'
import { idOfShard } from './shards/shard-parts.ts'
import { openDelivery, textsByKey, withoutDuplicates } from './producer-parts.ts'

const keys = ['a', 'b', 'c', 'd']
/**
 * Long enough for a call that is answered, short enough for a run that waits for some that are not.
 */
const requestTimeoutMs = 50
/** Few enough that a run ends soon, and enough that records fail again and again. */
const timesOfFault = 10
/** The first throttles are over before the shards are known. */
const timesOfShard = 20
const timesOfTimeout = 1
const runsOfRole = 10

/** A call as the watch saw it. */
interface SeenCall {
  readonly texts: ReadonlySet<string>
  /** Undefined while it is under way. */
  outcome?: CallOutcome
}

interface Watched {
  readonly calls: SeenCall[]
  /** What was broken of a promise at the very moment of a call. */
  readonly broken: string[]
}

/**
 * Looks at every call when it starts. `expected` holds, for each key of a stream, the texts that
 * were accepted, in order.
 */
function watchCalls(
  ordering: Ordering,
  accepted: ReadonlyMap<string, readonly string[]>,
): {
  readonly seen: Watched
  readonly watch: (put: KinesisCalls['put']) => KinesisCalls['put']
} {
  const seen: Watched = { calls: [], broken: [] }
  const delivered = new Set<string>()
  const underWay = new Map<string, number>()

  function check({ streamName, records }: PutRequest): void {
    const inCall = new Set(records.map(({ data }) => data.toString()))
    for (const key of new Set(records.map(({ partitionKey }) => partitionKey))) {
      const place = `${streamName} ${key}`
      if ((underWay.get(place) ?? 0) > 0) seen.broken.push(`two calls of ${place}`)
      const ofKey = records.filter(({ partitionKey }) => partitionKey === key)
      if (ordering === 'strict' && ofKey.length > 1) seen.broken.push(`two records of ${place}`)
      const texts = accepted.get(place) ?? []
      const last = Math.max(...ofKey.map(({ data }) => texts.indexOf(data.toString())))
      const passed = texts
        .slice(0, last)
        .filter((text) => !delivered.has(text) && !inCall.has(text))
      if (passed.length > 0) seen.broken.push(`${place}: ${texts[last]} passed ${passed.join(' ')}`)
    }
  }

  function move({ streamName, records }: PutRequest, by: 1 | -1): void {
    for (const key of new Set(records.map(({ partitionKey }) => partitionKey))) {
      const place = `${streamName} ${key}`
      underWay.set(place, (underWay.get(place) ?? 0) + by)
    }
  }

  return {
    seen,
    watch: (put) => async (request) => {
      if (ordering !== 'none') check(request)
      move(request, 1)
      const texts = request.records.map(({ data }) => data.toString())
      const call: SeenCall = { texts: new Set(texts) }
      seen.calls.push(call)
      const outcome = await put(request)
      call.outcome = outcome
      move(request, -1)
      if (outcome.answered) {
        for (const [index, { ok }] of outcome.records.entries()) {
          if (ok) delivered.add(texts[index] ?? '')
        }
      }
      return outcome
    },
  }
}

const quickEffect = fc.constantFrom<FaultEffect[]>(
  { kind: 'failEntries', code: 'InternalFailure' },
  { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' },
  { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' },
  { kind: 'error', code: 'LimitExceededException' },
  { kind: 'error', code: 'ProvisionedThroughputExceededException' },
  { kind: 'error', code: 'InternalFailureException' },
  { kind: 'error', code: 'ExpiredTokenException' },
  { kind: 'error', code: 'AccessDeniedException' },
  { kind: 'error', code: 'KMSThrottlingException' },
  { kind: 'html', status: 503 },
  { kind: 'dropCall' },
  { kind: 'dropAnswer' },
  { kind: 'delay', delayMs: 3 },
)
/** The engine gives the call up, and the lab takes it all the same, later. */
const timeout = fc.constant<FaultEffect>({ kind: 'delay', delayMs: 2 * requestTimeoutMs })
const effect = fc.oneof({ weight: 40, arbitrary: quickEffect }, { weight: 1, arbitrary: timeout })

const scenario = fc.record({
  faults: fc.array(
    fc.record({
      effect,
      probability: fc.constantFrom(0.1, 0.3, 0.6),
      operation: fc.constantFrom('PutRecord', 'PutRecords', 'AssumeRole', 'ListShards', undefined),
      /** Of entries that fail: of one shard of the four, or of all. */
      shard: fc.option(fc.nat(3), { nil: undefined }),
    }),
    { maxLength: 5 },
  ),
  /** The key and stream of each record, message by message. */
  messages: fc.array(fc.array(fc.tuple(fc.nat(1), fc.nat(3)), { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 60,
  }),
  maxInFlight: fc.constantFrom(1, 3, 16),
  count: fc.constantFrom(1, 2, 5, 500),
  periodMs: fc.constantFrom(0, 0, 50),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never

function ruleOf(fault: Scenario['faults'][number]): FaultRule {
  const { effect: what, operation, probability, shard } = fault
  const isTimeout = what.kind === 'delay' && what.delayMs > requestTimeoutMs
  const timesOfOthers = shard === undefined ? timesOfFault : timesOfShard
  const times = isTimeout ? timesOfTimeout : timesOfOthers
  const isOfEntries = what.kind === 'failEntries'
  const isPut = operation === 'PutRecord' || operation === 'PutRecords'
  return {
    effect: what,
    probability,
    times,
    ...(operation === undefined || (isOfEntries && !isPut) ? {} : { operation }),
    ...(isOfEntries && shard !== undefined ? { shardId: idOfShard(shard) } : {}),
  }
}

/** Holds an order to its promise over so many runs; gives the counterexample, if there is one. */
export async function brokenPromise(
  ordering: Ordering,
  numRuns: number,
): Promise<string | undefined> {
  const run = await openOrderRuns(ordering)
  // Runs share a producer: a smaller case would not be the same case.
  const options = { numRuns, endOnFailure: true }
  const details = await fc.check(fc.asyncProperty(scenario, run), options)
  return details.failed
    ? `${fc.defaultReportMessage(details)}\n${String(details.errorInstance)}`
    : undefined
}

/** Runs scenarios one after the other, and holds what arrived to the promise. */
async function openOrderRuns(ordering: Ordering) {
  let current: ReturnType<typeof watchCalls> | undefined
  const delivery = await openDelivery({
    streams: [],
    haste: 1_000,
    requestTimeoutMs,
    // So few that throttled shards have most of theirs left on disk.
    heldRecordsMax: 4,
    watch: (put) => (request) => (current ? current.watch(put)(request) : put(request)),
  })
  const { lab, outbox, producer } = delivery
  producer.start()
  let run = 0
  let text = 0

  return async ({ faults, messages, maxInFlight, count, periodMs }: Scenario): Promise<void> => {
    run += 1
    const batching = { count, bytes: 5_000_000, periodMs }
    const targets = ['x', 'y'].map((name): StreamDestination => {
      const { credentials, ...rest } = destination(`${name}${run}`, {
        ordering,
        maxInFlight,
        batching,
        // The clock of a run hurries: nothing is to grow too old for that.
        retry: { maxAgeMs: 1e13 },
      })
      // Not one role for all runs, so that AssumeRole is called again.
      const roleArn = `arn:aws:iam::000000000000:role/run-${Math.floor(run / runsOfRole)}`
      return { ...rest, credentials: { ...credentials, kind: 'role', roleArn } }
    })
    for (const { streamName } of targets) lab.ensureStream(streamName)
    for (const fault of faults) lab.faults.add(ruleOf(fault))
    const accepted = new Map<string, string[]>()
    const records = messages.map((message) =>
      message.map(([stream, key]) => {
        const to = targets[stream] ?? destination('none')
        const record = newRecordFor(to, keys[key] ?? '', String(text++))
        const place = `${to.streamName} ${record.partitionKey}`
        accepted.set(place, [...(accepted.get(place) ?? []), record.data.toString()])
        return record
      }),
    )
    current = watchCalls(ordering, accepted)
    await Promise.all(records.map((message) => outbox.append(message)))
    await producer.idle()
    lab.faults.clear()

    expect(current.seen.broken).toEqual([])
    const [ledger] = outbox.ledger('telemetry')
    expect(ledger).toMatchObject({ accepted: text, delivered: text, queued: 0, dropped: 0 })
    for (const { streamName } of targets) {
      const arrived = textsByKey(lab, streamName)
      for (const key of keys) {
        const texts = arrived.get(key) ?? []
        expectPromise(ordering, accepted.get(`${streamName} ${key}`) ?? [], texts, current.seen)
      }
    }
  }
}

function expectPromise(
  ordering: Ordering,
  accepted: readonly string[],
  arrived: readonly string[],
  { calls }: Watched,
): void {
  const first = withoutDuplicates(arrived)
  // Nothing is lost, nothing is made up.
  expect(first.toSorted()).toEqual(accepted.toSorted())
  // What came twice was in a call that was not answered.
  const doubled = arrived.filter((text, index) => arrived.indexOf(text) !== index)
  const unanswered = calls.filter(({ outcome }) => outcome?.answered !== true)
  const unexplained = doubled.filter((text) => !unanswered.some(({ texts }) => texts.has(text)))
  expect(unexplained).toEqual([])
  if (ordering === 'none') return
  // What changed places was in one call, and that call failed in part.
  const failed = calls.filter(
    ({ outcome }) => !outcome?.answered || outcome.records.some(({ ok }) => !ok),
  )
  const inverted = inversionsOf(first)
  if (ordering === 'strict') expect(inverted).toEqual([])
  const passed = inverted.filter(
    ([left, right]) => !failed.some(({ texts }) => texts.has(left) && texts.has(right)),
  )
  expect(passed).toEqual([])
}

/** Pairs of texts that arrived the other way generation than they were accepted. */
function inversionsOf(arrived: readonly string[]): [string, string][] {
  return arrived.flatMap((text, index) =>
    arrived
      .slice(index + 1)
      .filter((later) => Number(later) < Number(text))
      .map((later): [string, string] => [text, later]),
  )
}
