import { shardNumberOf } from '../streams/stream.ts'
import { statusOf } from '../wire/service-error.ts'

/**
 * Fault injection: rules, as plain data, that make the lab fail the way Kinesis and STS fail.
 *
 * A rule applies to calls that all of its selectors match, at most `times` times, each time with
 * `probability`. Rules are tested in the order in which they were added. The random numbers are
 * seeded, so a run can be repeated. For example:
 *
 *     // The first three tries of one key are throttled.
 *     { partitionKey: 'device-1', times: 3,
 *       effect: { kind: 'failEntries', code: 'ProvisionedThroughputExceededException' } }
 *     // A role that may only put single records, and a role that cannot be assumed.
 *     { operation: 'PutRecords', effect: { kind: 'error', code: 'AccessDeniedException' } }
 *     { operation: 'AssumeRole', roleArn, effect: { kind: 'error', code: 'AccessDenied' } }
 *     // One put in a hundred is stored without an answer to the client.
 *     { operation: 'Put*', probability: 0.01, effect: { kind: 'dropAnswer' } }
 */
export interface FaultRule {
  /**
   * `PutRecords`, `AssumeRole`, ..., or the beginning of names and a star: `Put*` is PutRecord and
   * PutRecords. Undefined selects every operation.
   */
  readonly operation?: string
  readonly streamName?: string
  /** For `failEntries`, the key of the record; for other effects, of any record of the call. */
  readonly partitionKey?: string
  /** For `failEntries`, the shard of the record; for other effects, the one that the call reads. */
  readonly shardId?: string
  /** `failEntries` only: positions in the call, from 0. */
  readonly positions?: readonly number[]
  /** AssumeRole and AssumeRoleWithWebIdentity only. */
  readonly roleArn?: string
  /** The access key that signed the call. */
  readonly accessKeyId?: string
  /** How many calls (for `failEntries`, entries) the rule applies to; undefined has no limit. */
  readonly times?: number
  /** How many matching calls (entries) pass first. */
  readonly after?: number
  /** 0 to 1; the default is 1. */
  readonly probability?: number
  readonly effect: FaultEffect
}

export type FaultEffect =
  /** The call is not executed; the response is an error of the API. */
  | {
      readonly kind: 'error'
      /** `ProvisionedThroughputExceededException`, `AccessDeniedException`, ... */
      readonly code: string
      readonly message?: string
      /** HTTP status; by default the status of the code. */
      readonly status?: number
    }
  /** The call is not executed; the response is an HTML page, as a load balancer sends it. */
  | { readonly kind: 'html'; readonly status: number }
  /** Single records of PutRecords and PutRecord fail; the others are stored. */
  | {
      readonly kind: 'failEntries'
      readonly code: 'ProvisionedThroughputExceededException' | 'InternalFailure'
    }
  /** The call waits before it is executed. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** The call is not executed, and the connection is closed. */
  | { readonly kind: 'dropCall' }
  /** The call is executed, and the connection is closed instead of a response. */
  | { readonly kind: 'dropAnswer' }

/** The members of a call that rules and the list of calls use. */
export interface CallSubject {
  readonly operation: string
  readonly streamName?: string | undefined
  readonly partitionKeys: readonly string[]
  /** For GetShardIterator, GetRecords and SubscribeToShard. */
  readonly shardId?: string | undefined
  readonly roleArn?: string | undefined
  readonly externalId?: string | undefined
  readonly accessKeyId?: string | undefined
}

interface EntrySubject {
  readonly partitionKey: string
  readonly shardId: string
  /** The position in the call, from 0. */
  readonly position: number
}

/** The faults that apply to a call as a whole. */
export interface CallFaults {
  readonly delayMs: number
  /** Replaces the execution of the call. */
  readonly instead?: Extract<FaultEffect, { kind: 'error' | 'html' | 'dropCall' }>
  readonly dropsAnswer: boolean
}

export type EntryFailureCode = Extract<FaultEffect, { kind: 'failEntries' }>['code']

export interface Faults {
  /**
   * Adds a rule. `matches` is an additional selector for tests in the same process.
   * @throws RangeError when the list of rules is full
   */
  add(
    rule: FaultRule,
    matches?: (call: CallSubject, entry: EntrySubject | undefined) => boolean,
  ): AddedFault
  /** @returns false when there is no rule of that id */
  remove(id: string): boolean
  clear(): void
  /** The rules in the order in which they are tested. */
  list(): readonly ListedFault[]
  /** Decides on a call, and counts it. */
  onCall(call: CallSubject): CallFaults
  /** Decides on one record of a put, and counts it; undefined stores the record. */
  onEntry(call: CallSubject, entry: EntrySubject): EntryFailureCode | undefined
}

interface AddedFault {
  /** Ids are never reused. */
  readonly id: string
  /** How often the rule has applied. */
  appliedCount(): number
  remove(): void
}

export interface ListedFault {
  readonly id: string
  readonly rule: FaultRule
  readonly appliedCount: number
  /** How often the rule can still apply; undefined for a rule without a limit. */
  readonly remainingCount?: number
}

const faultRulesMax = 1_000

export function createFaults(options: { seed?: number } = {}): Faults {
  const random = createRandom(options.seed ?? 1)
  let rules: ActiveRule[] = []
  let lastId = 0

  function applies(active: ActiveRule, call: CallSubject, entry?: EntrySubject): boolean {
    const { rule } = active
    if (isSpent(active)) return false
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
      // Rules that cannot apply any more are listed until their places are needed.
      if (rules.length >= faultRulesMax) rules = rules.filter((active) => !isSpent(active))
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

const isSpent = ({ rule, appliedCount }: ActiveRule) => appliedCount >= (rule.times ?? Infinity)

interface ActiveRule {
  readonly id: string
  readonly rule: FaultRule
  readonly matches: ((call: CallSubject, entry: EntrySubject | undefined) => boolean) | undefined
  matchedCount: number
  appliedCount: number
}

const is = (wanted: string | undefined, given: string | undefined) =>
  wanted === undefined || wanted === given

/** Ids of shards may leave out zeros. */
const isShard = (wanted: string | undefined, given: string | undefined) =>
  is(wanted, given) || (wanted !== undefined && given !== undefined && isOneShard(wanted, given))

function isOneShard(left: string, right: string): boolean {
  const number = shardNumberOf(left)
  return number !== undefined && number === shardNumberOf(right)
}

/** Whether the `operation` of a rule selects calls of the operation of that name. */
export function selectsOperation(wanted: string | undefined, name: string): boolean {
  if (wanted?.endsWith('*')) return name.startsWith(wanted.slice(0, -1))
  return is(wanted, name)
}

function selects(rule: FaultRule, call: CallSubject, entry?: EntrySubject): boolean {
  return (
    selectsOperation(rule.operation, call.operation) &&
    is(rule.streamName, call.streamName) &&
    is(rule.roleArn, call.roleArn) &&
    is(rule.accessKeyId, call.accessKeyId) &&
    (entry ? selectsEntry(rule, entry) : selectsCall(rule, call))
  )
}

function selectsEntry(rule: FaultRule, entry: EntrySubject): boolean {
  return (
    is(rule.partitionKey, entry.partitionKey) &&
    isShard(rule.shardId, entry.shardId) &&
    (rule.positions === undefined || rule.positions.includes(entry.position))
  )
}

const selectsCall = (rule: FaultRule, call: CallSubject) =>
  isShard(rule.shardId, call.shardId) &&
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
