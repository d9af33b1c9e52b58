import type { ActionOutcome } from '../actions/action.ts'
import { errorDocument } from '../actions/error-action.ts'
import type { Failure } from '../actions/error-action.ts'
import { boundAction, boundRule, newBudget } from './budget.ts'
import type { Budget } from './budget.ts'
import type { EngineReport } from './engine-report.ts'
import type { Message } from '../message.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { NewRecord, Outbox } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { failuresOf, runErrorAction, runRule, subjectOf } from './run-rule.ts'
import type { ErrorActionScope, Subject } from './run-rule.ts'
import type { SqlEnvironment } from '../sql/sql.ts'
import { allKnown, whenKnown } from './when-known.ts'

/**
 * All that comes of a message: the records and messages that its rules give, then those that the
 * rules give for the messages which were republished, and so on. Nothing is sent here.
 *
 * Bounds: a message is sent on `republishDepthMax` times in a row (actions/republish.ts), and what
 * it may give rise to in all is in budget.ts. An action beyond a bound is a failed action.
 */
export interface Gathered {
  readonly records: readonly NewRecord[]
  /** To be handed to subscribers once the records are durable; rules have run on them. */
  readonly messages: readonly Message[]
}

/** Each gives its result at once, unless that of an external function has to be waited for. */
export interface Gathering {
  ofMessage(message: Message): Gathered | Promise<Gathered>
  /** Undefined when the rule has no error action, or that fails, too. */
  ofErrorAction(
    rule: CompiledRule,
    subject: Subject,
    failures: readonly Failure[],
  ): MaybeGathered | Promise<MaybeGathered>
  /**
   * What one action gives for a message, of which it gave a record before.
   *
   * @param index of the action, or `errorActionIndex`
   * @param data of that record: what the error action gets again
   * @returns undefined when the rule does not match, has no such action or the action fails
   */
  ofAction(
    rule: CompiledRule,
    subject: Subject,
    action: { readonly index: number; readonly data: Buffer },
  ): MaybeGathered | Promise<MaybeGathered>
}

type MaybeGathered = Gathered | undefined

interface GatheringDependencies {
  /** The rules that a message is for. */
  readonly rulesFor: (message: Message) => readonly CompiledRule[]
  readonly outbox: Pick<Outbox, 'admits'>
  readonly environment: SqlEnvironment
  readonly report: EngineReport
}

export function createGathering(
  { rulesFor, outbox, environment, report }: GatheringDependencies,
  { errorActionScope }: { readonly errorActionScope: ErrorActionScope },
): Gathering {
  /** A rule and, when something failed, its error action. */
  const run = (
    rule: CompiledRule,
    subject: Subject,
    budget: Budget,
  ): Outcomes | Promise<Outcomes> =>
    whenKnown(runRule(rule, subject), (unbounded) => {
      const outcome = boundRule(budget, unbounded)
      report.outcome(rule, subject.source, outcome)
      const failures = failuresOf(rule, outcome, errorActionScope)
      if (failures.length === 0) return outcome.actions
      const last = handleErrors(rule, subject, errorOutput(rule, subject, failures), budget)
      return whenKnown(last, (given) => (given ? [...outcome.actions, given] : outcome.actions))
    })

  const handleErrors = (rule: CompiledRule, subject: Subject, output: Buffer, budget: Budget) =>
    whenKnown(runErrorAction(rule, subject, output), (unbounded) => {
      const outcome = unbounded && boundAction(budget, unbounded, errorActionIndex)
      if (outcome?.ok === false) {
        report.errorActionFailed(rule, subject.source.topic, outcome.failure)
      }
      return outcome
    })

  const gather = (message: Message, budget: Budget): Gathered | Promise<Gathered> => {
    const rules = rulesFor(message)
    if (rules.length === 0) return nothing
    const subject = subjectOf(message, environment)
    const outcomes = allKnown(rules.map((rule) => run(rule, subject, budget)))
    return whenKnown(outcomes, (known) => follow(gatheredOf(known), budget))
  }

  /** What was given, and what comes of the messages among it. */
  const follow = (own: Gathered, budget: Budget): Gathered | Promise<Gathered> => {
    if (own.messages.length === 0) return own
    const further = allKnown(own.messages.map((message) => gather(message, budget)))
    return whenKnown(further, (known) => merge([own, ...known]))
  }

  const followIfOk = (outcome: ActionOutcome | undefined, budget: Budget) =>
    outcome?.ok ? follow(outcome, budget) : undefined

  return {
    ofMessage: (message) => gather(message, newBudget(outbox)),

    ofErrorAction(rule, subject, failures) {
      const budget = newBudget(outbox)
      const output = errorOutput(rule, subject, failures)
      return whenKnown(handleErrors(rule, subject, output, budget), (outcome) =>
        followIfOk(outcome, budget),
      )
    },

    ofAction(rule, subject, { index, data }) {
      const budget = newBudget(outbox)
      if (index === errorActionIndex) {
        return whenKnown(handleErrors(rule, subject, data, budget), (outcome) =>
          followIfOk(outcome, budget),
        )
      }
      return whenKnown(runRule(rule, subject), (unbounded) => {
        const outcome = boundRule(budget, unbounded)
        report.outcome(rule, subject.source, outcome)
        return followIfOk(outcome.actions[index], budget)
      })
    },
  }
}

type Outcomes = readonly ActionOutcome[]

function errorOutput(
  { name }: CompiledRule,
  { source }: Subject,
  failures: readonly Failure[],
): Buffer {
  return errorDocument(name, source, failures)
}

const nothing: Gathered = Object.freeze({ records: [], messages: [] })

/** Nearly always one action gave something, and that is what is wanted: for every message. */
function gatheredOf(outcomesOfRules: readonly Outcomes[]): Gathered {
  let first: Gathered | undefined
  let all: Gathered[] | undefined
  for (const outcomes of outcomesOfRules) {
    for (const outcome of outcomes) {
      if (!outcome.ok) continue
      if (first === undefined) first = outcome
      else (all ??= [first]).push(outcome)
    }
  }
  return all === undefined ? (first ?? nothing) : merge(all)
}

function merge(parts: readonly Gathered[]): Gathered {
  return {
    records: parts.flatMap(({ records }) => records),
    messages: parts.flatMap(({ messages }) => messages),
  }
}
