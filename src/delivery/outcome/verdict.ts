import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type { Failure } from '../../aws/call/failure-class.ts'
import { classify, deniesBatch, isShardThrottle } from '../../aws/call/failure-class.ts'

/** What becomes of the records of a call. Every record is in exactly one of the lists. */
export interface Verdict<Item> {
  readonly delivered: readonly Item[]
  /** Failures that pass, of single records: each is sent again after a delay of its own. */
  readonly backedOff: readonly Item[]
  /** Records that were too much for their shard: sent again when the shard may be tried. */
  readonly throttled: readonly Item[]
  /** Records that are sent again as soon as the destination may be called. */
  readonly again: readonly Item[]
  /** Records of a call that one of them spoilt: sent again one by one. */
  readonly alone: readonly Item[]
  /** Records that the service will never take: given up. */
  readonly refused: readonly Refusal<Item>[]
  /** The number of failed records by error code. */
  readonly failedByCode: ReadonlyMap<string, number>
  /** Set when the whole destination has to back off. */
  readonly destinationFailure: Failure | undefined
  /** The role denies the batch operation and may allow the one for a single record. */
  readonly batchDenied: boolean
}

export interface Refusal<Item> {
  readonly item: Item
  readonly failure: Failure
}

/**
 * Decides from the outcome of a call what becomes of each of its records.
 *
 * @param items the records of the call, in the order in which they were sent
 */
export function judge<Item>(items: readonly Item[], outcome: CallOutcome): Verdict<Item> {
  return outcome.answered
    ? judgeAnswer(items, outcome.records)
    : judgeFailedCall(items, outcome.failure)
}

type Answer = Extract<CallOutcome, { answered: true }>['records']

function judgeAnswer<Item>(items: readonly Item[], outcomes: Answer): Verdict<Item> {
  const delivered: Item[] = []
  const backedOff: Item[] = []
  const throttled: Item[] = []
  const again: Item[] = []
  const refused: Refusal<Item>[] = []
  const failedByCode = new Map<string, number>()
  let destinationFailure: Failure | undefined
  for (const [index, item] of items.entries()) {
    const outcome = outcomes[index] ?? unanswered
    if (outcome.ok) {
      delivered.push(item)
      continue
    }
    const { failure } = outcome
    failedByCode.set(failure.code, (failedByCode.get(failure.code) ?? 0) + 1)
    switch (classify(failure)) {
      case 'passing': {
        if (isShardThrottle(failure)) throttled.push(item)
        else backedOff.push(item)
        break
      }
      case 'record': {
        refused.push({ item, failure })
        break
      }
      case 'destination': {
        again.push(item)
        destinationFailure = failure
      }
    }
  }
  return {
    ...nothing,
    delivered,
    backedOff,
    throttled,
    again,
    refused,
    failedByCode,
    destinationFailure,
  }
}

function judgeFailedCall<Item>(items: readonly Item[], failure: Failure): Verdict<Item> {
  const failedByCode = new Map([[failure.code, items.length]])
  const common = { ...nothing, failedByCode }
  if (items.length > 1 && deniesBatch(failure)) {
    return { ...common, again: items, batchDenied: true }
  }
  if (classify(failure) === 'record') {
    if (items.length > 1) return { ...common, alone: items }
    return { ...common, refused: items.map((item) => ({ item, failure })) }
  }
  // A throttled PutRecord concerns one shard; any other failure concerns the whole destination.
  if (items.length === 1 && isShardThrottle(failure)) return { ...common, throttled: items }
  return { ...common, again: items, destinationFailure: failure }
}

const nothing = Object.freeze({
  delivered: [],
  backedOff: [],
  throttled: [],
  again: [],
  alone: [],
  refused: [],
  failedByCode: new Map<string, number>(),
  destinationFailure: undefined,
  batchDenied: false,
})

/**
 * The outcome of a record that the answer leaves out: such a record does not count as delivered.
 */
const unanswered = Object.freeze({
  ok: false,
  failure: Object.freeze({
    code: 'InternalFailure',
    message: 'The answer holds no result for this record',
    source: 'Kinesis',
  }),
} as const)
