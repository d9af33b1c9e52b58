import { statusOf } from '../wire/service-error.ts'

/**
 * Faults on demand: rules, as plain data, that make the lab fail the way Kinesis and STS fail.
 *
 * A rule applies to what all of its selectors match, at most `times` times, each time with
 * `probability`. Rules are asked in the order in which they were added. The randomness is seeded,
 * so a run can be repeated. For example:
 *
 *     // The first three tries of one key are throttled.
 *     { partitionKey: 'device-1', times: 3,
 *       effect: { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' } }
 *     // A role that may put single records only, and one that nobody may assume.
 *     { operation: 'PutRecords', effect: { kind: 'error', code: 'AccessDeniedException' } }
 *     { operation: 'AssumeRole', roleArn, effect: { kind: 'error', code: 'AccessDenied' } }
 *     // Every hundredth put is stored, but its client never learns of it.
 *     { operation: 'PutRecord', probability: 0.01, effect: { kind: 'dropAnswer' } }
 */
export interface FaultRule {
  /** `PutRecords`, `AssumeRole`, ...; absent: every operation. */
  readonly operation?: string
  readonly streamName?: string
  /** Of the record, for `failEntries`; for other effects, of any record of the call. */
  readonly partitionKey?: string
  /** Of the record, for `failEntries`; for other effects, the shard that the call reads. */
  readonly shardId?: string
  /** `failEntries` only: positions in the call, from 0. */
  readonly positions?: readonly number[]
  /** AssumeRole only. */
  readonly roleArn?: string
  /** Who signed the call. */
  readonly accessKeyId?: string
  /** Calls that the rule applies to; for `failEntries`, entries. Absent: without end. */
  readonly times?: number
  /** Matching calls (entries) that are let through first. */
  readonly after?: number
  /** 0 to 1; absent: 1. */
  readonly probability?: number
  readonly effect: FaultEffect
}

export type FaultEffect =
  /** Nothing is carried out; the answer is an error of the API. */
  | {
      readonly kind: 'error'
      /** `ProvisionedThroughputExceededException`, `AccessDeniedException`, ... */
      readonly code: string
      readonly message?: string
      /** HTTP status; absent: that of the code. */
      readonly status?: number
    }
  /** Nothing is carried out; the answer is a page of HTML, as a load balancer sends it. */
  | { readonly kind: 'html'; readonly status: number }
  /** Single records of PutRecords and PutRecord fail, the others are stored. */
  | {
      readonly kind: 'failEntries'
      readonly code: 'ProvisionedThroughputExceededException' | 'InternalFailure'
    }
  /** The call waits before it is carried out. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** The call is not carried out and the connection is cut. */
  | { readonly kind: 'dropCall' }
  /** The call is carried out, then the connection is cut instead of an answer. */
  | { readonly kind: 'dropAnswer' }

/** A call, as rules and the list of calls see it. */
export interface CallSubject {
  readonly operation: string
  readonly streamName?: string
  readonly partitionKeys: readonly string[]
  /** Of GetShardIterator, GetRecords and SubscribeToShard. */
  readonly shardId?: string
  readonly roleArn?: string
  readonly accessKeyId?: string
}

interface EntrySubject {
  readonly partitionKey: string
  readonly shardId: string
  /** In the call, from 0. */
  readonly position: number
}

/** What is to happen to a call as a whole. */
export interface CallFaults {
  readonly delayMs: number
  /** Instead of carrying the call out. */
  readonly instead?: Extract<FaultEffect, { kind: 'error' | 'html' | 'dropCall' }>
  readonly dropsAnswer: boolean
}

export type EntryFailureCode = Extract<FaultEffect, { kind: 'failEntries' }>['code']

export interface Faults {
  /**
   * Adds a rule. `matches`, for tests in the same process, is one more selector.
   * @throws RangeError when the list of rules is full
   */
  add(
    rule: FaultRule,
    matches?: (call: CallSubject, entry: EntrySubject | undefined) => boolean,
  ): AddedFault
  /** False when there is no rule of that id. */
  remove(id: string): boolean
  clear(): void
  /** In the order in which they are asked. */
  list(): readonly ListedFault[]
  /** Decides about a call, and counts. */
  onCall(call: CallSubject): CallFaults
  /** Decides about one record of a put, and counts; undefined: it is stored. */
  onEntry(call: CallSubject, entry: EntrySubject): EntryFailureCode | undefined
}

interface AddedFault {
  /** Never given twice. */
  readonly id: string
  /** How often the rule has applied. */
  appliedCount(): number
  remove(): void
}

interface ListedFault {
  readonly id: string
  readonly rule: FaultRule
  readonly appliedCount: number
  /** How often it can still apply; absent for a rule without end. */
  readonly remainingCount?: number
}

export const faultRulesMax = 1_000

export function createFaults(options: { seed?: number } = {}): Faults {
  const random = createRandom(options.seed ?? 1)
  let rules: ActiveRule[] = []
  let lastId = 0

  function applies(active: ActiveRule, call: CallSubject, entry?: EntrySubject): boolean {
    const { rule } = active
    if (active.appliedCount >= (rule.times ?? Infinity)) return false
    if (!selects(rule, call, entry) || active.matches?.(call, entry) === false) return false
    active.matchedCount++
    if (active.matchedCount <= (rule.after ?? 0)) return false
    if (rule.probability !== undefined && random() >= rule.probability) return false
    active.appliedCount++
    return true
  }

  function remove(id: string): boolean {
    const before = rules.length
    rules = rules.filter((active) => active.id !== id)
    return rules.length < before
  }

  return {
    add(rule, matches) {
      if (rules.length >= faultRulesMax) {
        throw new RangeError(`the lab takes at most ${faultRulesMax} fault rules`)
      }
      const id = String(++lastId)
      const active: ActiveRule = { id, rule, matches, matchedCount: 0, appliedCount: 0 }
      rules.push(active)
      return {
        id,
        appliedCount: () => active.appliedCount,
        remove() {
          remove(id)
        },
      }
    },
    remove,
    clear() {
      rules = []
    },
    list: () =>
      rules.map(({ id, rule, appliedCount }) => ({
        id,
        rule,
        appliedCount,
        ...(rule.times === undefined ? {} : { remainingCount: rule.times - appliedCount }),
      })),
    onCall(call) {
      let delayMs = 0
      let dropsAnswer = false
      for (const active of rules) {
        const { effect } = active.rule
        if (effect.kind === 'failEntries' || !applies(active, call)) continue
        if (effect.kind === 'delay') delayMs += effect.delayMs
        else if (effect.kind === 'dropAnswer') dropsAnswer = true
        else return { delayMs, dropsAnswer, instead: effect }
      }
      return { delayMs, dropsAnswer }
    },
    onEntry(call, entry) {
      for (const active of rules) {
        const { effect } = active.rule
        if (effect.kind === 'failEntries' && applies(active, call, entry)) return effect.code
      }
      return undefined
    },
  }
}

interface ActiveRule {
  readonly id: string
  readonly rule: FaultRule
  readonly matches: ((call: CallSubject, entry: EntrySubject | undefined) => boolean) | undefined
  matchedCount: number
  appliedCount: number
}

const is = (wanted: string | undefined, given: string | undefined) =>
  wanted === undefined || wanted === given

function selects(rule: FaultRule, call: CallSubject, entry?: EntrySubject): boolean {
  return (
    is(rule.operation, call.operation) &&
    is(rule.streamName, call.streamName) &&
    is(rule.roleArn, call.roleArn) &&
    is(rule.accessKeyId, call.accessKeyId) &&
    (entry ? selectsEntry(rule, entry) : selectsCall(rule, call))
  )
}

function selectsEntry(rule: FaultRule, entry: EntrySubject): boolean {
  return (
    is(rule.partitionKey, entry.partitionKey) &&
    is(rule.shardId, entry.shardId) &&
    (rule.positions === undefined || rule.positions.includes(entry.position))
  )
}

const selectsCall = (rule: FaultRule, call: CallSubject) =>
  is(rule.shardId, call.shardId) &&
  (rule.partitionKey === undefined || call.partitionKeys.includes(rule.partitionKey))

/** HTTP status of an `error` effect. */
export const faultStatus = (effect: Extract<FaultEffect, { kind: 'error' }>) =>
  effect.status ?? statusOf(effect.code)

/** Numbers in [0, 1), the same for the same seed (the mulberry32 generator). */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
