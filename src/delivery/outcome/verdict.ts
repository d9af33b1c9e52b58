import type { CallOutcome } from '../../aws/kinesis-calls.ts'
import type { Failure } from '../../aws/failure-class.ts'
import { classify, deniesPutRecords, isShardThrottle } from '../../aws/failure-class.ts'

/** What becomes of the records of a call. Every record stands in exactly one of the lists. */
export interface Verdict<Item> {
  readonly delivered: readonly Item[]
  /** Failed by themselves, in passing: sent again after a backoff of their own. */
  readonly backedOff: readonly Item[]
  /** Too much for their shard: sent again when it may be written to. */
  readonly throttled: readonly Item[]
  /** Sent again as soon as the destination may be called. */
  readonly again: readonly Item[]
  /** One of them spoils the call: sent again one by one. */
  readonly alone: readonly Item[]
  /** Refused for what they are: given up. */
  readonly refused: readonly Refusal<Item>[]
  /** How many failed by code. */
  readonly failedByCode: ReadonlyMap<string, number>
  /** Set when the destination as a whole has to wait. */
  readonly destinationFailure: Failure | undefined
  /** PutRecords is not allowed and PutRecord may be. */
  readonly putRecordsDenied: boolean
}

export interface Refusal<Item> {
  readonly item: Item
  readonly failure: Failure
}

/**
 * Decides, from the outcome alone, what becomes of each record of a call.
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
  if (items.length > 1 && deniesPutRecords(failure)) {
    return { ...common, again: items, putRecordsDenied: true }
  }
  if (classify(failure) === 'record') {
    if (items.length > 1) return { ...common, alone: items }
    return { ...common, refused: items.map((item) => ({ item, failure })) }
  }
  // A throttled PutRecord speaks of one shard; anything else, of the way to the stream.
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
  putRecordsDenied: false,
})

/** An answer with fewer results than records: whatever was not named is not taken for delivered. */
const unanswered = Object.freeze({
  ok: false,
  failure: Object.freeze({
    code: 'InternalFailure',
    message: 'The answer holds no result for this record',
    source: 'Kinesis',
  }),
} as const)
