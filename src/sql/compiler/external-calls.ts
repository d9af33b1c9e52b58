/**
 * Calls of external functions in an evaluation that is synchronous: suspend and resume.
 *
 * A call looks its result up by its place in the text and its arguments. One whose result is not
 * there is begun, and what evaluates it is given up (`Suspended`, caught by `guarded`). When
 * everything that was begun has an answer, `resolveExternals` evaluates again from the start, and so on.
 *
 * What is given up is no more than what needs the result: its siblings (further items, operands,
 * arguments, elements, variables) are evaluated all the same, so that the calls in them begin at
 * once (`eachSibling`). What decides whether something is evaluated (WHERE, AND, OR, CASE) is waited for.
 *
 * Invariants:
 * - Evaluating again takes the same way up to the calls that are new: results are kept, and what
 *   would differ (`newuuid()`, `rand()`) is drawn once (`sameAsBefore`). So each round begins at
 *   least one new call, and `callsMax` bounds the rounds, too.
 * - One place asks once for the same arguments, whatever the number of rounds.
 * - Nothing that is thrown leaves the folder: `guarded` stands around all that is called from
 *   outside, and makes a failure of what is no signal, such as a stack that overflows.
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

/** Given up, because a result is not there yet. */
class Suspended extends Error {}
const suspended = new Suspended('a result is not there yet')

/** A call of an external function that gave no result; signals a failure of the rule. */
export class CallFailed extends Error {
  readonly failure: EvaluationFailure
  /** Not even `get_or_default` helps. */
  readonly isFinal: boolean

  constructor(name: string, reason: string, isFinal = false) {
    super(reason)
    this.failure = { code: 'ExternalFunctionFailed', where: `${name}()`, reason }
    this.isFinal = isFinal
  }
}

type Settlement =
  | { readonly kind: 'pending' }
  | { readonly kind: 'answered'; readonly value: Value }
  | { readonly kind: 'failed'; readonly reason: string }

function createExternalCalls(call: CallExternal | undefined): ExternalCalls {
  const settlements = new Map<CallSite, Map<string, Settlement>>()
  /** Begun in this round. */
  let underway: Promise<void>[] = []
  const drawn = new Map<CallSite, Map<string, Value>>()
  const calledOnce = new Set<ExternalFunctionName>()
  const abort = new AbortController()
  let callCount = 0
  let round = 0

  function begin(site: CallSite, request: ExternalRequest, note: (to: Settlement) => void): void {
    const name = request.function
    if (call === undefined) {
      throw new CallFailed(name, 'nothing here can carry it out')
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
      const ofSite = entryOf(settlements, site, () => new Map<string, Settlement>())
      const key = JSON.stringify(request)
      spend(work, key.length)
      const settlement = ofSite.get(key)
      if (settlement?.kind === 'answered') return settlement.value
      if (settlement?.kind === 'failed') throw new CallFailed(request.function, settlement.reason)
      if (settlement === undefined) begin(site, request, (to) => ofSite.set(key, to))
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

/** Of giving up a part and going on with the next one. */
const stepsOfSuspending = 40

/**
 * Evaluates parts that are all needed. One that waits for a result does not stop the others, so that
 * their calls begin in the same round.
 *
 * @throws Suspended when one of them waits, after all others; what another one throws, at once
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

/** The values of such parts. @throws Suspended */
export function valuesOfSiblings(
  evaluates: readonly ((frame: Frame) => Value)[],
  frame: Frame,
): Value[] {
  const values: Value[] = []
  eachSibling(evaluates, frame.state, (evaluate) => values.push(evaluate(frame)))
  return values
}

/** What evaluating gives, or undefined where it waits for a result. */
export function unlessSuspended<Result>(evaluate: () => Result): Result | undefined {
  try {
    return evaluate()
  } catch (thrown) {
    if (thrown === suspended) return undefined
    throw thrown
  }
}

/** @throws Suspended always */
export function suspend(): never {
  throw suspended
}

/** Names the element of nested queries that a frame is for: the same in each round. */
function elementOf(frame: Frame): string {
  let path = ''
  for (let at: Frame = frame; at.outer !== undefined; at = at.outer) path += `${at.index}/`
  return path
}

/** What is evaluated again must find the same value at the same place, for the same element. */
export function drawnOnce(evaluate: (frame: Frame) => Value): (frame: Frame) => Value {
  const site = {}
  return (frame) =>
    externalCallsOf(frame).sameAsBefore(site, elementOf(frame), () => evaluate(frame))
}

/** The calls of the scope that a frame belongs to; made when the first is needed. */
export function externalCallsOf({ state, document }: Frame): ExternalCalls {
  state.external ??= createExternalCalls(document.environment.callExternal)
  return state.external
}

/**
 * Stands where the engine calls in: a result that is not there, a failure, or a fault is noted in
 * the scope and does not leave as an exception. What is given back then is `otherwise`, and counts
 * for nothing.
 */
export function guarded<Result>(
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

/** Names the place: people are to find in their statement what took so much. */
function failureFrom(thrown: unknown, { place }: Work): EvaluationFailure {
  if (thrown instanceof CallFailed) return thrown.failure
  const code = thrown instanceof WorkSpent ? 'WorkLimitExceeded' : 'EvaluationFailed'
  const where = place === undefined ? '' : `, in ${describePlace(place)}`
  return { code, where: 'sql', reason: messageOf(thrown) + where }
}

/** A call that failed within `evaluate` is Undefined, and the rule goes on: for `get_or_default`. */
export function tolerant(evaluate: (frame: Frame) => Value): (frame: Frame) => Value {
  return (frame) => {
    try {
      return evaluate(frame)
    } catch (thrown) {
      if (thrown instanceof CallFailed && !thrown.isFinal) return undefined
      throw thrown
    }
  }
}

/** What evaluating gave, or the failure, to be raised each time that it is looked at. */
export type Kept = { readonly value: Value } | { readonly failed: Error }

/** @throws Suspended */
export function keep(evaluate: (frame: Frame) => Value, frame: Frame): Kept {
  try {
    return { value: evaluate(frame) }
  } catch (thrown) {
    if (thrown instanceof CallFailed) return { failed: thrown }
    throw thrown
  }
}

/**
 * Runs what evaluates on a scope until it needs no further result of an external function.
 *
 * @param run evaluates, expands, and does nothing else: it is run again for each round, and only
 *   what the last round gives counts
 * @returns what `run` gave, at once where it needs no result or they are there
 */
export function resolveExternals<Result>(
  scope: Frame,
  run: () => Result,
): Result | Promise<Result> {
  const result = run()
  const { external, failure } = scope.state
  if (external === undefined) return result
  if (external.isWaiting && failure === undefined) return settleLater(scope, external, run)
  external.end()
  return result
}

async function settleLater<Result>(
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

/** Why what was run on the scope counts for nothing, after `resolveExternals`. */
export function failureOf(scope: Frame): EvaluationFailure | undefined {
  return scope.state.failure
}
