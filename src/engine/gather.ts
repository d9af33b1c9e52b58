import { fieldOfAction } from '../actions/action/action.ts'
import type { ActionOutcome } from '../actions/action/action.ts'
import { errorDocument } from '../actions/error-action.ts'
import type { Failure } from '../actions/error-action.ts'
import type { EngineReport } from './engine-report.ts'
import type { FanOut } from './fan-out.ts'
import type { Message } from '../message.ts'
import { errorActionIndex, targetOf } from '../outbox/outbox.ts'
import type { Destination, NewRecord, Outbox } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { unhandledFailures } from './unhandled-failures.ts'
import { bytesOfRecords } from './record-bytes.ts'
import { createRuleOutputs } from './rule-outputs.ts'
import { failuresOf, isWhole, runErrorAction, runRule, subjectOf, whenKnown } from './run-rule.ts'
import type { ErrorActionScope, RuleOutcome, Subject } from './run-rule.ts'
import type { SqlEnvironment } from '../sql/sql.ts'
import { observed } from './observed-rules.ts'
import type { Observers } from './observed-rules.ts'
import { tellUnwanted } from './watched-rules.ts'

/**
 * Everything that one message gives rise to: the records and messages that its rules make, those
 * that the rules make of the republished messages, and so on. Nothing is sent here.
 *
 * Bounds: a message is sent on `republishDepthMax` times in a row at most (actions/republish.ts),
 * and `Budget` bounds what it may give rise to in all. An action beyond a bound is a failed action.
 */
export interface Gathered {
  /** With those that stand for failed actions: they become dead letters. */
  readonly records: readonly NewRecord[]
  /** For subscribers, once the records are durable. Rules have already run on them. */
  readonly messages: readonly Message[]
  /** Resolves when what services were asked to change is on disk. Absent: nothing was changed. */
  readonly durable?: Promise<unknown> | undefined
}

/** Answers requests of devices to services, such as that of shadows. Absent: nobody does. */
export interface AnsweringServices {
  /** @returns undefined when the message is no request */
  answer(request: Message): ServiceAnswers | Promise<ServiceAnswers> | undefined
}

type ServiceAnswers = Pick<Gathered, 'messages' | 'durable'>

/** Every result is there at once, unless an external function has to be awaited. */
export interface Gathering {
  ofMessage(message: Message): Gathered | Promise<Gathered>
  /** Undefined when the rule has no error action, or the error action fails too. */
  ofErrorAction(
    rule: CompiledRule,
    subject: Subject,
    failures: readonly Failure[],
  ): MaybeGathered | Promise<MaybeGathered>
  /**
   * What one action makes of a message, of which it made a record before.
   *
   * @param index of the action, or `errorActionIndex`
   * @param data the data of that record: the error action gets it again
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
  /** The rules that a message concerns. */
  readonly rulesFor: (message: Message) => readonly CompiledRule[]
  readonly outbox: Pick<Outbox, 'admits'>
  readonly fanOut: Pick<FanOut, 'run'>
  readonly services?: AnsweringServices | undefined
  readonly environment: SqlEnvironment
  readonly report: EngineReport
  readonly observers: Observers
}

export function createGathering(
  { rulesFor, outbox, fanOut, services, environment, report, observers }: GatheringDependencies,
  { errorActionScope }: { readonly errorActionScope: ErrorActionScope },
): Gathering {
  const run = (rule: CompiledRule, subject: Subject, budget: Budget) =>
    runWithErrorAction({ report, errorActionScope }, rule, subject, budget)

  const gather: Gather = (message, budget, rules = rulesFor(message)) => {
    if (services === undefined || !isForServices(message)) {
      return gatherOfRules(message, budget, rules)
    }
    if (message.receiver !== undefined) return nothing
    const answers = services.answer(message)
    if (answers === undefined) return gatherOfRules(message, budget, rules)
    return whenKnown(answers, (found) => {
      const own = awaitedLater(found)
      return whenKnown(gatherOfRules(message, budget, rules), (ofRules) =>
        whenKnown(follow(own, budget), (ofAnswers) => merge([ofRules, ofAnswers])),
      )
    })
  }

  const gatherOfRules: Gather = (message, budget, rules = rulesFor(message)) => {
    const [only] = rules
    if (only === undefined) {
      if (observers.watch.active) tellUnwanted(observers.watch, message, environment)
      return nothing
    }
    const subject = subjectFor(message, rules, { environment, observers })
    const ended = (known: Outcomes) => {
      subject.observer?.ended()
      return follow(gatheredOf(known), budget)
    }
    // As nearly always: nothing is made that only several rules need.
    if (rules.length === 1) return whenKnown(run(only, subject, budget), ended)
    const runOne = (rule: CompiledRule) => run(rule, subject, budget)
    return whenKnown(runAll(rules, runOne), (known) => ended(known.flat()))
  }

  /** The given records and messages, and what the messages give rise to. */
  const follow = (own: Gathered, budget: Budget): Gathered | Promise<Gathered> => {
    if (own.messages.length === 0) return own
    const further = allKnown(own.messages.map((message) => gather(message, budget)))
    return whenKnown(further, (known) => merge([own, ...known]))
  }

  const followIfOk = (outcome: ActionOutcome | undefined, budget: Budget) =>
    outcome?.ok ? follow(outcome, budget) : undefined

  return {
    ofMessage(message) {
      const rules = rulesFor(message)
      if (rules.length < 2) return gather(message, newBudget(outbox), rules)
      const gatherAll = () => gather(message, newBudget(outbox), rules)
      return fanOut.run(rules.length, message.payload.length, gatherAll)
    },

    ofErrorAction(rule, subject, failures) {
      const budget = newBudget(outbox)
      const output = errorOutput(rule, subject, failures)
      const handled = handleErrors(report, rule, subject, output, budget)
      return whenKnown(handled, (outcome) => followIfOk(outcome, budget))
    },

    ofAction(rule, subject, { index, data }) {
      const budget = newBudget(outbox)
      if (index === errorActionIndex) {
        const handled = handleErrors(report, rule, subject, data, budget)
        return whenKnown(handled, (outcome) => followIfOk(outcome, budget))
      }
      return whenKnown(runRule(rule, subject), (unbounded) => {
        const outcome = boundRule(budget, unbounded)
        report.outcome(rule, subject.source, outcome)
        return followIfOk(outcome.actions[index], budget)
      })
    },
  }
}

/** What is on its way to the disk is awaited later, perhaps after it has failed. */
function awaitedLater({ messages, durable }: ServiceAnswers): Gathered {
  durable?.catch(() => undefined)
  return { records: [], messages, durable }
}

function subjectFor(
  message: Message,
  rules: readonly CompiledRule[],
  { environment, observers }: Pick<GatheringDependencies, 'environment' | 'observers'>,
): Subject {
  const alone = subjectOf(message, environment)
  const subject = rules.length === 1 ? alone : { ...alone, outputs: createRuleOutputs() }
  if (!observers.hasOthers && !observers.watch.active) return subject
  return observed(observers, message, subject, rules)
}

/** Runs a rule and, when something failed, its error action. */
function runWithErrorAction(
  { report, errorActionScope }: { report: EngineReport; errorActionScope: ErrorActionScope },
  rule: CompiledRule,
  subject: Subject,
  budget: Budget,
): Outcomes | Promise<Outcomes> {
  subject.observer?.begin?.(rule)
  const readsBefore = subject.document.failedReads
  return whenKnown(runRule(rule, subject), (unbounded) => {
    const outcome = boundRule(budget, unbounded)
    report.outcome(rule, subject.source, outcome, subject.document.failedReads > readsBefore)
    subject.observer?.outcome(rule, subject.document, outcome)
    if (isWhole(outcome)) return outcome.actions
    const failures = failuresOf(rule, outcome, errorActionScope)
    const last =
      failures.length === 0
        ? undefined
        : handleErrors(report, rule, subject, errorOutput(rule, subject, failures), budget)
    return whenKnown(last, (given) => {
      if (given) subject.observer?.errorAction(rule, given)
      const taken = given?.ok === true ? errorActionScope : 'none'
      const unhandled = unhandledFailures(rule, subject.source, outcome, taken)
      return [...outcome.actions, ...(given ? [given] : []), boundFailures(budget, unhandled)]
    })
  })
}

/** Runs the error action within the budget. Undefined when the rule has none. */
function handleErrors(
  report: EngineReport,
  rule: CompiledRule,
  subject: Subject,
  output: Buffer,
  budget: Budget,
): ActionOutcome | undefined | Promise<ActionOutcome | undefined> {
  return whenKnown(runErrorAction(rule, subject, output), (unbounded) => {
    const outcome = unbounded && boundAction(budget, unbounded, errorActionIndex)
    if (outcome) report.errorAction(rule, subject.source, outcome)
    return outcome
  })
}

const dollar = 0x24

/** All requests begin with a dollar sign, which one comparison sees. */
const isForServices = ({ topic, basicIngestRule, isFromUpstream }: Message): boolean =>
  topic.charCodeAt(0) === dollar && basicIngestRule === undefined && isFromUpstream !== true

type Gather = (
  message: Message,
  budget: Budget,
  rules?: readonly CompiledRule[],
) => Gathered | Promise<Gathered>

type Outcomes = readonly ActionOutcome[]

function errorOutput({ name }: CompiledRule, { source }: Subject, failures: readonly Failure[]) {
  return errorDocument(name, source, failures)
}

const nothing: Gathered = Object.freeze({ records: [], messages: [] })

/** On the path of every message, where nearly always one action made something. */
function gatheredOf(outcomes: Outcomes): Gathered {
  let first: Gathered | undefined
  let all: Gathered[] | undefined
  for (const outcome of outcomes) {
    if (!outcome.ok) continue
    if (first === undefined) first = outcome
    else (all ??= [first]).push(outcome)
  }
  return all === undefined ? (first ?? nothing) : merge(all)
}

function merge(parts: readonly Gathered[]): Gathered {
  const changes = parts.flatMap(({ durable }) => (durable === undefined ? [] : [durable]))
  return {
    records: parts.flatMap(({ records }) => records),
    messages: parts.flatMap(({ messages }) => messages),
    durable: changes.length === 0 ? undefined : Promise.all(changes),
  }
}

/** Rules that run on one message in one turn of the event loop. */
const rulesPerTurn = 64

const runAll = (
  rules: readonly CompiledRule[],
  runOne: (rule: CompiledRule) => Outcomes | Promise<Outcomes>,
): readonly Outcomes[] | Promise<readonly Outcomes[]> =>
  rules.length > rulesPerTurn ? inTurns(rules, runOne) : allKnown(rules.map(runOne))

/** Runs many rules in several turns of the event loop, so that others are served meanwhile. */
async function inTurns(
  rules: readonly CompiledRule[],
  run: (rule: CompiledRule) => Outcomes | Promise<Outcomes>,
): Promise<readonly Outcomes[]> {
  const outcomes: (Outcomes | Promise<Outcomes>)[] = []
  for (const [index, rule] of rules.entries()) {
    if (index > 0 && index % rulesPerTurn === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    outcomes.push(run(rule))
  }
  return allKnown(outcomes)
}

/** All values in their order: at once, or when the last promise has resolved. */
function allKnown<Value>(
  values: readonly (Value | Promise<Value>)[],
): readonly Value[] | Promise<readonly Value[]> {
  const areKnown = values.every((value): value is Value => !(value instanceof Promise))
  return areKnown ? values : Promise.all(values)
}

/**
 * Bounds what one message may give rise to. It is plain data with functions on it: every message
 * has a budget, and nearly every message has one destination.
 */
interface Budget {
  readonly outbox: Pick<Outbox, 'admits'>
  /** The first destination of its records so far. */
  first: Destination | undefined
  others: Set<Destination> | undefined
  republishesLeft: number
  deadLettersLeft: number
  /** Bytes of records, and of their messages. */
  bytesLeft: number
  /** The last of its records so far. */
  last: NewRecord | undefined
}

/** The outcome of an action that succeeds. */
type Given = Extract<ActionOutcome, { readonly ok: true }>

/** For one message: ten rules of ten actions each. */
const republishedMax = 100
/** Failed actions of one message that become dead letters. Further ones are counted and logged. */
const failedActionsMax = 100
/** Bytes of the records of one message: what 1,000 rules make of 128 KiB, which is AWS's quota. */
const messageBytesMax = 128 * 1024 * 1024

function newBudget(outbox: Pick<Outbox, 'admits'>): Budget {
  return {
    outbox,
    first: undefined,
    others: undefined,
    republishesLeft: republishedMax,
    deadLettersLeft: failedActionsMax,
    bytesLeft: messageBytesMax,
    last: undefined,
  }
}

/** The dead letters of failed actions, as many as the message may have. */
function boundFailures(budget: Budget, failed: readonly NewRecord[]): ActionOutcome {
  const records = failed.slice(0, budget.deadLettersLeft)
  budget.deadLettersLeft -= records.length
  return { ok: true, records, messages: [] }
}

/** The outcome of an action, or a failure when the outcome goes beyond the budget. */
function boundAction(budget: Budget, outcome: ActionOutcome, index: number): ActionOutcome {
  if (!outcome.ok) return outcome
  const bytes = bytesOfRecords(outcome.records, budget.last)
  const message = problemOf(budget, outcome, bytes)
  if (message !== undefined) return tooMuch(outcome, message, index)
  budget.republishesLeft -= outcome.messages.length
  budget.bytesLeft -= bytes
  budget.last = outcome.records.at(-1) ?? budget.last
  for (const { destination } of outcome.records) {
    if (isKnown(budget, destination)) continue
    if (budget.first === undefined) budget.first = destination
    else (budget.others ??= new Set()).add(destination)
  }
  return outcome
}

/** The same for all actions of a rule. */
function boundRule(budget: Budget, outcome: RuleOutcome): RuleOutcome {
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

function problemOf(
  budget: Budget,
  { records, messages }: Given,
  bytes: number,
): string | undefined {
  if (messages.length > budget.republishesLeft) {
    return `one message is republished ${republishedMax} times in all at most`
  }
  if (bytes > budget.bytesLeft) {
    return `the records of one message have ${messageBytesMax} bytes at most, with its payload`
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
  const resource = (record && targetOf(record.destination)) ?? given.messages[0]?.topic ?? ''
  const where = fieldOfAction(index)
  return { ok: false, failure: { code: 'ActionFailed', message, where, resource } }
}
