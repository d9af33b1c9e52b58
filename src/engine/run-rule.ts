import { fieldOfAction } from '../actions/action/action.ts'
import type { ActionOutcome, CompiledAction } from '../actions/action/action.ts'
import { failureOfAction } from '../actions/error-action.ts'
import type { Failure } from '../actions/error-action.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Message } from '../message.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { SourceMessage } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { RuleOutputs } from './rule-outputs.ts'
import type { RuleObserver } from './observed-rules.ts'
import { createDocument, failureOf, resolveExternals } from '../sql/sql.ts'
import type {
  EvaluationFailure,
  MessageDocument,
  OutputProblem,
  Scope,
  SqlEnvironment,
} from '../sql/sql.ts'

/** Why a statement has no output although WHERE did not decide so. No action of the rule runs. */
export interface RuleFailure {
  readonly code: EvaluationFailure['code'] | OutputProblem['code']
  readonly message: string
  /** The external function that gave no result, such as `get_secret()`; otherwise `sql`. */
  readonly where: string
}

interface Unmatched {
  readonly matched: false
  readonly failure?: RuleFailure | undefined
  readonly actions: readonly []
}

interface Matched {
  readonly matched: true
  readonly output: Buffer
  readonly outputIsJson: () => boolean
  /** One for each action of the rule, in order. */
  readonly actions: readonly ActionOutcome[]
}

/** The outcome of the statement and of the actions of a rule, for one message. */
export type RuleOutcome = Unmatched | Matched

/** A message as rules see it, prepared once for all rules. */
export interface Subject {
  readonly document: MessageDocument
  readonly source: SourceMessage
  /** Absent: one rule alone runs. */
  readonly outputs?: RuleOutputs | undefined
  /** Absent: nothing observes the message. */
  readonly observer?: RuleObserver | undefined
}

/** Prepares a message for the rules. */
export function subjectOf(message: Message, environment: SqlEnvironment): Subject {
  return {
    document: createDocument(message, environment),
    source: sourceOf(message, environment.newUuid),
  }
}

/** The same for the message that a record comes from. */
export function subjectOfSource(source: SourceMessage, environment: SqlEnvironment): Subject {
  return { document: createDocument(messageOfSource(source), environment), source }
}

/**
 * What records keep of the message that they come from. Made once a message: its records share it.
 *
 * @param newUuid names a message that has no trace id
 */
export function sourceOf(message: Message, newUuid: () => string): SourceMessage {
  const { topic, payload, timestampMs, clientId, traceId, principal } = message
  return {
    messageId: traceId ?? newUuid(),
    topic,
    timestampMs,
    payload,
    clientId,
    traceId,
    principal,
    republishDepth: message.republishDepth,
    mqtt5: message.mqtt5,
  }
}

/** The message that a record comes from, without its source address: no record has that. */
function messageOfSource(source: SourceMessage): Message {
  const { topic, payload, timestampMs, clientId, traceId, principal } = source
  return {
    topic,
    payload,
    qos: 1,
    retain: false,
    transport: clientId === undefined ? 'http' : 'mqtt',
    timestampMs,
    clientId,
    traceId,
    principal,
    republishDepth: source.republishDepth,
    mqtt5: source.mqtt5,
  }
}

export const unmatched: RuleOutcome = { matched: false, actions: [] }

/**
 * Runs one rule on one message whose topic matches the rule, and sends nothing. The outcome is
 * there at once, unless an external function has to be awaited.
 */
export function runRule(
  rule: CompiledRule,
  { document, source, outputs }: Subject,
): RuleOutcome | Promise<RuleOutcome> {
  const scope = rule.statement.openScope(document)
  // Not by `contained`: its closures would be made for every rule and message.
  try {
    const outcome = resolveExternals(scope, () => applyRule(rule, scope, source, outputs))
    return outcome instanceof Promise ? outcome.catch(evaluationFailed) : outcome
  } catch (thrown) {
    return evaluationFailed(thrown)
  }
}

function evaluationFailed(thrown: unknown): RuleOutcome {
  const failure = { code: 'EvaluationFailed', message: messageOf(thrown), where: 'sql' } as const
  return { matched: false, failure, actions: [] }
}

/**
 * Runs a part of the work on a message. A part that throws must fail alone: otherwise the message
 * would not be acknowledged for any rule, each time that its client sends it again.
 */
function contained<Result>(
  run: () => Result | Promise<Result>,
  failed: (thrown: unknown) => Result,
): Result | Promise<Result> {
  try {
    const result = run()
    return result instanceof Promise ? result.catch(failed) : result
  } catch (thrown) {
    return failed(thrown)
  }
}

/** Evaluates a rule in a scope whose message the rule is for, and applies its actions. */
export function applyRule(
  rule: CompiledRule,
  scope: Scope,
  source: SourceMessage,
  outputs?: RuleOutputs,
): RuleOutcome {
  const result = rule.statement.evaluate(scope)
  if (!result.matched) return failedOutcome(scope) ?? unmatchedOutcome(result.problem)
  const { outputIsJson } = result
  const output = outputs === undefined ? result.output : outputs.same(result.output)
  const actions = rule.actions.map((action, index) =>
    applyAction(action, scope, output, source, index),
  )
  // Not `...result`: spreading a union makes a new hidden class for every message.
  return failedOutcome(scope) ?? { matched: true, output, outputIsJson, actions }
}

/** @param index of the action, or `errorActionIndex` */
function applyAction(
  action: CompiledAction,
  scope: Scope,
  output: Buffer,
  source: SourceMessage,
  index: number,
): ActionOutcome {
  try {
    return action.apply(scope, output, source)
  } catch (thrown) {
    return thrownByAction(thrown, index)
  }
}

/**
 * The text of a template may be too long; anything else that is thrown is a fault of the action.
 */
function thrownByAction(thrown: unknown, index: number): ActionOutcome {
  const isOfTemplate = thrown instanceof SluiceError && thrown.code === 'TemplateFailed'
  const code = isOfTemplate ? 'TemplateFailed' : 'ActionFailed'
  const where = fieldOfAction(index)
  return { ok: false, failure: { code, message: messageOf(thrown), where, resource: '' } }
}

function unmatchedOutcome(problem: OutputProblem | undefined): RuleOutcome {
  if (problem === undefined) return unmatched
  const failure = { code: problem.code, message: problem.reason, where: 'sql' } as const
  return { matched: false, failure, actions: [] }
}

/** The outcome of a rule in whose scope an external function failed; else undefined. */
export function failedOutcome(scope: Scope): RuleOutcome | undefined {
  const failure = ruleFailureOf(scope)
  return failure && { matched: false, failure, actions: [] }
}

function ruleFailureOf(scope: Scope): RuleFailure | undefined {
  const failed = failureOf(scope)
  if (failed === undefined) return undefined
  const { code, reason, where } = failed
  return { code, message: reason, where }
}

/** Which failures a rule's error action gets: all, or as on AWS those of actions alone. */
export type ErrorActionScope = 'all' | 'actions'

/** The names of these failures in AWS's log. AWS's error actions get none of them. */
const failureNames: Readonly<Record<RuleFailure['code'], string>> = {
  ExternalFunctionFailed: 'FunctionExecution',
  EvaluationFailed: 'RuleExecution',
  WorkLimitExceeded: 'RuleExecution',
  OutputTooLong: 'RuleExecution',
  OutputNotAllowed: 'RuleExecution',
}

/** True when nothing failed. */
export function isWhole(outcome: RuleOutcome): boolean {
  if (!outcome.matched && outcome.failure !== undefined) return false
  for (const action of outcome.actions) if (!action.ok) return false
  return true
}

/** The failures of an outcome that the error action gets. */
export function failuresOf(
  rule: CompiledRule,
  outcome: RuleOutcome,
  scope: ErrorActionScope,
): readonly Failure[] {
  const failures: Failure[] = []
  if (!outcome.matched && outcome.failure && scope === 'all') {
    const { code, where, message } = outcome.failure
    failures.push({
      failedAction: failureNames[code],
      failedResource: where,
      errorMessage: `${where}: ${message}`,
    })
  }
  for (const [index, action] of outcome.actions.entries()) {
    const kind = rule.actions[index]?.kind
    if (action.ok || kind === undefined) continue
    if (scope === 'actions' && action.failure.code === 'TemplateFailed') continue
    failures.push(failureOfAction(kind, action.failure))
  }
  return failures
}

/**
 * Runs the error action of a rule on the message that failed. Its templates see that message in a
 * scope of their own, because a scope in which a function failed gives no more results.
 *
 * @param output the error document
 * @returns undefined when the rule has no error action
 */
export function runErrorAction(
  { statement, errorAction }: CompiledRule,
  { document, source }: Subject,
  output: Buffer,
): ActionOutcome | undefined | Promise<ActionOutcome | undefined> {
  if (errorAction === undefined) return undefined
  const scope = statement.openScope(document)
  const apply = () => applyAction(errorAction, scope, output, source, errorActionIndex)
  const outcome = contained(
    () => resolveExternals(scope, apply),
    (thrown) => thrownByAction(thrown, errorActionIndex),
  )
  return whenKnown(outcome, (applied) => {
    const failure = ruleFailureOf(scope)
    if (failure === undefined) return applied
    const { message, where } = failure
    return { ok: false, failure: { code: 'ActionFailed', message, where, resource: where } }
  })
}

/** Continues at once with a value, and later with a promise. */
export function whenKnown<Value, Result>(
  value: Value | Promise<Value>,
  use: (value: Value) => Result | Promise<Result>,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(use) : use(value)
}
