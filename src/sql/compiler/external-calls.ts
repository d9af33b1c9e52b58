/**
 * Calls of external functions in an evaluation that is synchronous: suspend and resume.
 *
 * A call looks up its result by its place in the text and its arguments. When there is no result
 * yet, the call is started and the evaluation is abandoned (`Suspended`, caught by
 * `catchingSignals`). When all calls of a round have an answer, `resolveExternals` evaluates again
 * from the start.
 *
 * Only the parts that need the result are abandoned. Their siblings (items, operands, arguments,
 * elements, variables) are still evaluated, so that their calls start in the same round
 * (`eachSibling`). Parts that decide whether others are evaluated (WHERE, AND, OR, CASE) are waited
 * for.
 *
 * Invariants:
 * - Each evaluation takes the same path up to the new calls: results are stored, and values that
 *   would differ (`newuuid()`, `rand()`) are drawn once (`sameAsBefore`). Each round therefore
 *   starts at least one new call, and `callsMax` also bounds the number of rounds.
 * - One place asks only once for the same arguments, however many rounds there are.
 * - No exception leaves the folder: `catchingSignals` surrounds every function that the engine
 *   calls, and turns any other exception, such as a stack overflow, into a failure.
 */
import { messageOf } from '../../base/errors.ts'
import type { Frame } from '../externals/frame.ts'
import type { EvaluationFailure } from '../values/evaluation-failure.ts'
import type {
  CallExternal,
  CallSite,
  ExternalCalls,
  ExternalFunctionName,
  ExternalRequest,
} from '../externals/external-request.ts'
import type { Value } from '../values/values.ts'
import { WorkSpent, describePlace, spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'

/** External calls of one rule for one message; a nested query makes one for each element. */
const callsMax = 64

/** Thrown to abandon an evaluation that needs a result which is not there yet. */
class Suspended extends Error {}
const suspended = new Suspended('a result is missing')

/** Thrown when an external function gave no result. The rule fails. */
export class CallFailed extends Error {
  readonly failure: EvaluationFailure
  /** True when not even `get_or_default` recovers from the failure. */
  readonly isFinal: boolean

  constructor(name: string, reason: string, isFinal = false) {
    super(reason)
    this.failure = { code: 'ExternalFunctionFailed', where: `${name}()`, reason }
    this.isFinal = isFinal
  }
}

type CallState =
  | { readonly kind: 'pending' }
  | { readonly kind: 'answered'; readonly value: Value }
  | { readonly kind: 'failed'; readonly reason: string }

function createExternalCalls(call: CallExternal | undefined): ExternalCalls {
  const states = new Map<CallSite, Map<string, CallState>>()
  /** The calls that this round started. */
  let underway: Promise<void>[] = []
  const drawn = new Map<CallSite, Map<string, Value>>()
  const calledOnce = new Set<ExternalFunctionName>()
  const abort = new AbortController()
  let callCount = 0
  let round = 0

  function begin(site: CallSite, request: ExternalRequest, note: (to: CallState) => void): void {
    const name = request.function
    if (call === undefined) {
      throw new CallFailed(name, 'this engine has no way to call it')
    }
    if (callCount === callsMax) throw new CallFailed(name, `more than ${callsMax} calls`, true)
    if (site.onceIn !== undefined && calledOnce.has(name)) {
      throw new CallFailed(name, `called twice in ${site.onceIn}`, true)
    }
    callCount += 1
    if (site.onceIn !== undefined) calledOnce.add(name)
    note({ kind: 'pending' })
    const answer = async () => {
      try {
        note({ kind: 'answered', value: await call(request, abort.signal) })
      } catch (thrown) {
        note({ kind: 'failed', reason: messageOf(thrown) })
      }
    }
    underway.push(answer())
  }

  return {
    resultOf(site, request, work) {
      const ofSite = entryOf(states, site, () => new Map<string, CallState>())
      const key = JSON.stringify(request)
      spend(work, key.length)
      const state = ofSite.get(key)
      if (state?.kind === 'answered') return state.value
      if (state?.kind === 'failed') throw new CallFailed(request.function, state.reason)
      if (state === undefined) begin(site, request, (to) => ofSite.set(key, to))
      throw suspended
    },
    sameAsBefore(site, element, draw) {
      const ofSite = entryOf(drawn, site, () => new Map<string, Value>())
      return entryOf(ofSite, element, draw)
    },
    get round() {
      return round
    },
    get isWaiting() {
      return underway.length > 0
    },
    async nextRound() {
      const answers = underway
      underway = []
      await Promise.all(answers)
      round += 1
    },
    end() {
      if (underway.length > 0) abort.abort()
    },
  }
}

function entryOf<Key, Entry>(entries: Map<Key, Entry>, key: Key, make: () => Entry): Entry {
  let entry = entries.get(key)
  if (entry === undefined) {
    entry = make()
    entries.set(key, entry)
  }
  return entry
}

/** The price of abandoning a part and going on with the next one. */
const stepsOfSuspending = 40

/**
 * Evaluates parts that are all needed. A part that waits for a result does not stop the others, so
 * that their calls start in the same round.
 *
 * @throws Suspended after all parts, when one of them waits; any other exception at once
 */
export function eachSibling<Part>(
  parts: Iterable<Part>,
  work: Work,
  evaluate: (part: Part, index: number) => void,
): void {
  let isSuspended = false
  let index = 0
  for (const part of parts) {
    try {
      evaluate(part, index)
    } catch (thrown) {
      if (thrown !== suspended) throw thrown
      isSuspended = true
      spend(work, stepsOfSuspending)
    }
    index += 1
  }
  if (isSuspended) throw suspended
}

/** The values of parts that are all needed. @throws Suspended */
export function valuesOfSiblings(
  evaluates: readonly ((frame: Frame) => Value)[],
  frame: Frame,
): Value[] {
  const values: Value[] = []
  eachSibling(evaluates, frame.state, (evaluate) => values.push(evaluate(frame)))
  return values
}

/** The result of `evaluate`, or undefined when it waits for a result. */
export function unlessSuspended<Result>(evaluate: () => Result): Result | undefined {
  try {
    return evaluate()
  } catch (thrown) {
    if (thrown === suspended) return undefined
    throw thrown
  }
}

/** Abandons the evaluation. @throws Suspended */
export function suspend(): never {
  throw suspended
}

/** Names the frame's element of nested queries. The name is the same in each round. */
function elementOf(frame: Frame): string {
  let path = ''
  for (let at: Frame = frame; at.outer !== undefined; at = at.outer) path += `${at.index}/`
  return path
}

/** Evaluates once per place and element, so that each later round finds the same value. */
export function drawnOnce(evaluate: (frame: Frame) => Value): (frame: Frame) => Value {
  const site = {}
  return (frame) =>
    externalCallsOf(frame).sameAsBefore(site, elementOf(frame), () => evaluate(frame))
}

/** The calls of the frame's scope; made for the first call. */
export function externalCallsOf({ state, document }: Frame): ExternalCalls {
  state.external ??= createExternalCalls(document.environment.callExternal)
  return state.external
}

/**
 * Surrounds a function that the engine calls: missing results, failures and faults are recorded in
 * the scope instead of being thrown. The result is then `otherwise`, which the engine must ignore.
 */
export function catchingSignals<Result>(
  evaluate: (scope: Frame) => Result,
  otherwise: Result,
): (scope: Frame) => Result {
  return (scope) => {
    try {
      return evaluate(scope)
    } catch (thrown) {
      if (thrown !== suspended) scope.state.failure ??= failureFrom(thrown, scope.state)
      return otherwise
    }
  }
}

/** The failure, with the place in the statement that took too much work. */
function failureFrom(thrown: unknown, { place }: Work): EvaluationFailure {
  if (thrown instanceof CallFailed) return thrown.failure
  const code = thrown instanceof WorkSpent ? 'WorkLimitExceeded' : 'EvaluationFailed'
  const where = place === undefined ? '' : `, in ${describePlace(place)}`
  return { code, where: 'sql', reason: messageOf(thrown) + where }
}

/** A call that failed within `evaluate` counts as Undefined: for `get_or_default`. */
export function undefinedOnFailure(evaluate: (frame: Frame) => Value): (frame: Frame) => Value {
  return (frame) => {
    try {
      return evaluate(frame)
    } catch (thrown) {
      if (thrown instanceof CallFailed && !thrown.isFinal) return undefined
      throw thrown
    }
  }
}

/** The value of an expression, or the failure that is thrown each time the value is read. */
export type Outcome = { readonly value: Value } | { readonly failed: Error }

/** Evaluates and catches a failed call. @throws Suspended, WorkSpent */
export function outcomeOf(evaluate: (frame: Frame) => Value, frame: Frame): Outcome {
  try {
    return { value: evaluate(frame) }
  } catch (thrown) {
    if (thrown instanceof CallFailed) return { failed: thrown }
    throw thrown
  }
}

/**
 * Runs an evaluation on a scope until it needs no further result of an external function.
 *
 * @param run evaluates and expands, without side effects: each round runs it again, and only the
 *   result of the last round counts
 * @returns the result of `run`; not a promise when no result is missing
 */
export function resolveExternals<Result>(
  scope: Frame,
  run: () => Result,
): Result | Promise<Result> {
  const result = run()
  const { external, failure } = scope.state
  if (external === undefined) return result
  if (external.isWaiting && failure === undefined) return resolveLater(scope, external, run)
  external.end()
  return result
}

async function resolveLater<Result>(
  { state }: Frame,
  calls: ExternalCalls,
  run: () => Result,
): Promise<Result> {
  try {
    for (;;) {
      await calls.nextRound()
      const result = run()
      if (!calls.isWaiting || state.failure !== undefined) return result
    }
  } finally {
    calls.end()
  }
}

/** The failure of a scope after `resolveExternals`: with one, results of the scope do not count. */
export function failureOf(scope: Frame): EvaluationFailure | undefined {
  return scope.state.failure
}
