import { fieldOfAction } from '../actions/action.ts'
import type { ActionOutcome } from '../actions/action.ts'
import type { Destination, Outbox } from '../outbox/outbox.ts'
import type { RuleOutcome } from './run-rule.ts'

/**
 * What one message may give rise to. Plain data, and functions on it: there is one for each
 * message, and nearly every message has one destination.
 */
export interface Budget {
  readonly outbox: Pick<Outbox, 'admits'>
  /** Where its records so far go to. */
  first: Destination | undefined
  others: Set<Destination> | undefined
  republishesLeft: number
}

/** What an action that succeeds gives. */
type Given = Extract<ActionOutcome, { readonly ok: true }>

/** Of one message: ten rules of ten actions each. */
const republishedMax = 100

export function newBudget(outbox: Pick<Outbox, 'admits'>): Budget {
  return { outbox, first: undefined, others: undefined, republishesLeft: republishedMax }
}

/** What an action gave, or a failed action where that goes beyond the budget. */
export function boundAction(budget: Budget, outcome: ActionOutcome, index: number): ActionOutcome {
  if (!outcome.ok) return outcome
  const message = problemOf(budget, outcome)
  if (message !== undefined) return tooMuch(outcome, message, index)
  budget.republishesLeft -= outcome.messages.length
  for (const { destination } of outcome.records) {
    if (isKnown(budget, destination)) continue
    if (budget.first === undefined) budget.first = destination
    else (budget.others ??= new Set()).add(destination)
  }
  return outcome
}

/** The same for all actions of a rule. */
export function boundRule(budget: Budget, outcome: RuleOutcome): RuleOutcome {
  if (!outcome.matched) return outcome
  let bounded: ActionOutcome[] | undefined
  for (const [index, action] of outcome.actions.entries()) {
    const given = boundAction(budget, action, index)
    if (given === action) continue
    bounded ??= [...outcome.actions]
    bounded[index] = given
  }
  return bounded === undefined ? outcome : { ...outcome, actions: bounded }
}

function problemOf(budget: Budget, { records, messages }: Given): string | undefined {
  if (messages.length > budget.republishesLeft) {
    return `one message is republished ${republishedMax} times in all at most`
  }
  const isAdmitted = records.every(({ destination }) => admits(budget, destination))
  return isAdmitted ? undefined : 'records wait for as many other destinations as there may be'
}

function admits(budget: Budget, destination: Destination): boolean {
  const { outbox, first, others } = budget
  if (first === undefined) return outbox.admits(destination)
  if (isKnown(budget, destination)) return true
  return outbox.admits(destination, new Set([first, ...(others ?? [])]))
}

function isKnown({ first, others }: Budget, destination: Destination): boolean {
  return destination === first || others?.has(destination) === true
}

function tooMuch(given: Given, message: string, index: number): ActionOutcome {
  const [record] = given.records
  const resource = record?.destination.streamName ?? given.messages[0]?.topic ?? ''
  const where = fieldOfAction(index)
  return { ok: false, failure: { code: 'ActionFailed', message, where, resource } }
}
