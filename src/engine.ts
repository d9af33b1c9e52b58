import type { ActionOutcome } from './actions/action.ts'
import { createClientOrder } from './client-order.ts'
import type { Clock } from './clock.ts'
import { createEngineReport } from './engine-report.ts'
import type { Message } from './message.ts'
import type { NewRecord, Outbox } from './outbox/outbox.ts'
import type { CompiledRule } from './rules/compile-rule.ts'
import { failuresOf, runErrorAction, runRule, subjectOf } from './run-rule.ts'
import type { ErrorActionScope, RuleOutcome, Subject } from './run-rule.ts'
import type { SqlEnvironment } from './sql/sql.ts'
import type { Logger, Metrics } from './telemetry.ts'
import { allKnown, whenKnown } from './when-known.ts'

/**
 * The message path on one screen: match -> evaluate -> act -> durable -> acknowledge.
 *
 * Invariants:
 * - Messages of a client take their places in the outbox in the order in which `ingest` was called.
 *   All that happens before is synchronous, unless a rule needs the result of an external function:
 *   that delays the later messages of the client, and of no other.
 * - All records of one message are appended at once, with those of the messages that its rules
 *   republish: after a crash there are all or none.
 * - The promise of `ingest` resolves only when they are on disk; the caller acknowledges then, and
 *   only then subscribers get what was republished.
 */
export interface Engine {
  ingest(message: Message): Promise<void>
}

export interface RuleSource {
  /** The enabled rules whose filter matches, in the order of their names. */
  match(topic: string): readonly CompiledRule[]
  byName(ruleName: string): CompiledRule | undefined
}

export interface EngineDependencies {
  readonly rules: RuleSource
  readonly outbox: Pick<Outbox, 'append'>
  /** Hands a message to its subscribers. */
  readonly distribute: (message: Message) => Promise<void>
  readonly environment: SqlEnvironment
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}

export interface EngineOptions {
  readonly errorActionScope: ErrorActionScope
}

/** Messages that may be republished for one message, in all: ten rules of ten actions each. */
const republishedMax = 100

export function createEngine(
  dependencies: EngineDependencies,
  { errorActionScope }: EngineOptions = { errorActionScope: 'all' },
): Engine {
  const { rules, outbox, environment } = dependencies
  const report = createEngineReport(dependencies)
  const order = createClientOrder()

  const rulesFor = (message: Message): readonly CompiledRule[] => {
    if (message.basicIngestRule === undefined) return rules.match(message.topic)
    const rule = rules.byName(message.basicIngestRule)
    if (rule && !rule.disabled) return [rule]
    report.ruleNotFound(message)
    return []
  }

  /** A rule and, when something failed, its error action. */
  const run = (rule: CompiledRule, subject: Subject, budget: Budget) =>
    whenKnown(
      runRule(rule, subject),
      (unbounded): readonly ActionOutcome[] | Promise<readonly ActionOutcome[]> => {
        const outcome = budget.bound(unbounded)
        report.outcome(rule, subject.origin, outcome)
        const failures = failuresOf(rule, outcome, errorActionScope)
        if (failures.length === 0) return outcome.actions
        return whenKnown(runErrorAction(rule, subject, failures), (given) => {
          if (given === undefined) return outcome.actions
          const last = budget.boundAction(given, 'errorAction')
          if (!last.ok) report.errorActionFailed(rule, subject.origin.topic, last.failure)
          return [...outcome.actions, last]
        })
      },
    )

  /** All that comes of a message: what its rules give, then what republished messages give. */
  const gather = (
    message: Message,
    matching: readonly CompiledRule[],
    budget: Budget,
  ): Gathered | Promise<Gathered> => {
    if (matching.length === 0) return nothing
    const subject = subjectOf(message, environment)
    const outcomes = allKnown(matching.map((rule) => run(rule, subject, budget)))
    return whenKnown(outcomes, (known) => follow(gatheredOf(known.flat()), budget))
  }

  const follow = (own: Gathered, budget: Budget): Gathered | Promise<Gathered> => {
    if (own.messages.length === 0) return own
    const further = own.messages.map((message) => gather(message, rulesFor(message), budget))
    return whenKnown(allKnown(further), (known) => merge([own, ...known]))
  }

  const distribute = async (message: Message): Promise<void> => {
    if (message.basicIngestRule !== undefined) return
    try {
      await dependencies.distribute(message)
    } catch (thrown) {
      report.notDistributed(message, thrown)
    }
  }

  return {
    async ingest(message) {
      const matching = rulesFor(message)
      if (matching.length === 0) return
      const placed = order.inTurn(message.clientId, () =>
        whenKnown(gather(message, matching, createBudget()), ({ records, messages }) => ({
          durable: outbox.append(records),
          messages,
        })),
      )
      const { durable, messages } = placed instanceof Promise ? await placed : placed
      await durable
      for (const republished of messages) void distribute(republished)
    },
  }
}

interface Gathered {
  readonly records: readonly NewRecord[]
  /** To be handed to subscribers; rules have run on them. */
  readonly messages: readonly Message[]
}

const nothing: Gathered = Object.freeze({ records: [], messages: [] })

function gatheredOf(outcomes: readonly ActionOutcome[]): Gathered {
  return merge(outcomes.map((outcome) => (outcome.ok ? outcome : nothing)))
}

function merge(parts: readonly Gathered[]): Gathered {
  return {
    records: parts.flatMap(({ records }) => records),
    messages: parts.flatMap(({ messages }) => messages),
  }
}

type Budget = ReturnType<typeof createBudget>

/** Turns actions that republish into failed ones once a message has given rise to enough. */
function createBudget() {
  let left = republishedMax

  const boundAction = (outcome: ActionOutcome, where: string): ActionOutcome => {
    if (!outcome.ok || outcome.messages.length === 0) return outcome
    if (left >= outcome.messages.length) {
      left -= outcome.messages.length
      return outcome
    }
    const message = `one message may be republished ${republishedMax} times in all`
    const resource = outcome.messages[0]?.topic ?? ''
    return { ok: false, failure: { code: 'ActionFailed', message, where, resource } }
  }

  return {
    boundAction,
    bound(outcome: RuleOutcome): RuleOutcome {
      if (!outcome.actions.some((action) => action.ok && action.messages.length > 0)) return outcome
      if (!outcome.matched) return outcome
      const actions = outcome.actions.map((action, index) =>
        boundAction(action, `actions[${index}].republish`),
      )
      return { ...outcome, actions }
    },
  }
}
