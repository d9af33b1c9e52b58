import type { ActionFailure, ActionOutcome } from './actions/action.ts'
import { createClientOrder } from './client-order.ts'
import type { Clock } from './clock.ts'
import type { Message } from './message.ts'
import type { NewRecord, Outbox } from './outbox/outbox.ts'
import { createLimitedLog } from './limited-log.ts'
import type { CompiledRule } from './rules/compile-rule.ts'
import { topicFilterMatches } from './rules/topic-index.ts'
import { createDocument, failureOf, settle } from './sql/sql.ts'
import type { MessageDocument, Scope, SqlEnvironment } from './sql/sql.ts'
import type { Logger, Metrics } from './telemetry.ts'
import type { CompiledTemplate } from './templates/template.ts'

/**
 * The message path on one screen: match -> evaluate -> act -> durable -> acknowledge.
 *
 * Invariants:
 * - Messages of a client take their places in the outbox in the order in which `ingest` was called.
 *   All that happens before is synchronous, unless a rule needs the result of an external function:
 *   that delays the later messages of the client, and of no other.
 * - All records of one message are appended at once: after a crash there are all or none.
 * - The promise of `ingest` resolves only when they are on disk; the caller acknowledges then.
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
  readonly environment: SqlEnvironment
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}

export function createEngine(dependencies: EngineDependencies): Engine {
  const { rules, outbox, environment } = dependencies
  const report = createReporter(dependencies)
  const order = createClientOrder()

  const rulesFor = (message: Message): readonly CompiledRule[] => {
    if (message.basicIngestRule === undefined) return rules.match(message.topic)
    const rule = rules.byName(message.basicIngestRule)
    if (rule && !rule.disabled) return [rule]
    report.ruleNotFound(message)
    return []
  }

  const run = (rule: CompiledRule, message: Message, document: MessageDocument) =>
    whenKnown(runRule(rule, document), (outcome) => {
      report.outcome(rule, message, outcome)
      return outcome
    })

  return {
    async ingest(message) {
      const matching = rulesFor(message)
      if (matching.length === 0) return
      const takePlace = () => {
        const document = createDocument(message, environment)
        const outcomes = allKnown(matching.map((rule) => run(rule, message, document)))
        return whenKnown(outcomes, (known) => ({ durable: outbox.append(recordsOf(known)) }))
      }
      const placed = order.inTurn(message.clientId, takePlace)
      const { durable } = placed instanceof Promise ? await placed : placed
      await durable
    },
  }
}

/** Goes on at once with what is there, and later with what is not. */
function whenKnown<Value, Result>(
  value: Value | Promise<Value>,
  use: (value: Value) => Result,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(use) : use(value)
}

function allKnown<Value>(
  values: readonly (Value | Promise<Value>)[],
): readonly Value[] | Promise<readonly Value[]> {
  const areKnown = values.every((value): value is Value => !(value instanceof Promise))
  return areKnown ? values : Promise.all(values)
}

function recordsOf(outcomes: readonly RuleOutcome[]): NewRecord[] {
  return outcomes.flatMap((outcome) =>
    outcome.actions.flatMap((action) => (action.ok ? action.records : [])),
  )
}

/** An external function that the rule needs gave no result, so that none of its actions runs. */
export interface RuleFailure {
  readonly code: 'ExternalFunctionFailed'
  readonly message: string
  /** The function: `get_secret()`. */
  readonly where: string
}

export type RuleOutcome =
  | { readonly matched: false; readonly failure?: RuleFailure; readonly actions: readonly [] }
  | {
      readonly matched: true
      readonly output: Buffer
      readonly outputIsJson: () => boolean
      /** One for each action of the rule, in order. */
      readonly actions: readonly ActionOutcome[]
    }

const unmatched: RuleOutcome = Object.freeze({
  matched: false,
  actions: Object.freeze([] as const),
})

/**
 * One rule on one message, whose topic matches already: what the engine does, and nothing sent. At
 * once, unless the result of an external function has to be waited for.
 */
function runRule(
  rule: CompiledRule,
  document: MessageDocument,
): RuleOutcome | Promise<RuleOutcome> {
  const scope = rule.statement.openScope(document)
  return settle(scope, () => applyRule(rule, scope))
}

function applyRule(rule: CompiledRule, scope: Scope): RuleOutcome {
  const result = rule.statement.evaluate(scope)
  const actions = result.matched
    ? rule.actions.map((action) => action.apply(scope, result.output))
    : []
  return failedOutcome(scope) ?? (result.matched ? { ...result, actions } : unmatched)
}

function failedOutcome(scope: Scope): RuleOutcome | undefined {
  const failed = failureOf(scope)
  if (failed === undefined) return undefined
  const { function: name, reason } = failed
  const failure = { code: 'ExternalFunctionFailed', message: reason, where: `${name}()` } as const
  return { matched: false, failure, actions: [] }
}

/** What a rule would do with a message, for `/v1/evaluate`, `sluice evaluate` and `sluice check`. */
export interface Evaluation {
  readonly matched: boolean
  readonly output?: Buffer
  readonly outputIsJson: boolean
  /** The records that each action would give, for the actions that succeed. */
  readonly actions: readonly { readonly kind: string; readonly records: readonly NewRecord[] }[]
  /** Expanded in the order given. */
  readonly templates: readonly string[]
  readonly failures: readonly (ActionFailure | RuleFailure)[]
}

/**
 * Runs a rule on a message as the engine does, on the same code path, and sends nothing.
 *
 * @param templates compiled against the rule's statement; they are expanded even without a match
 */
export async function evaluateRule(
  rule: CompiledRule,
  message: Message,
  environment: SqlEnvironment,
  templates: readonly CompiledTemplate[] = [],
): Promise<Evaluation> {
  const scope = rule.statement.openScope(createDocument(message, environment))
  const { outcome, expanded } = await settle(scope, () => {
    const applied = isFor(rule, message) ? applyRule(rule, scope) : unmatched
    const texts = templates.map((template) => template.expand(scope))
    return { outcome: failedOutcome(scope) ?? applied, expanded: texts }
  })
  const failed = outcome.matched ? undefined : outcome.failure
  return {
    matched: outcome.matched,
    ...(outcome.matched && { output: outcome.output }),
    outputIsJson: outcome.matched && outcome.outputIsJson(),
    actions: outcome.actions.flatMap((action, index) =>
      action.ok ? [{ kind: rule.actions[index]?.kind ?? '', records: action.records }] : [],
    ),
    templates: expanded,
    failures: [
      ...(failed === undefined ? [] : [failed]),
      ...outcome.actions.flatMap((action) => (action.ok ? [] : [action.failure])),
    ],
  }
}

/** A Basic Ingest message is for the one rule that it names, whatever that rule's filter. */
function isFor(rule: CompiledRule, message: Message): boolean {
  if (message.basicIngestRule !== undefined) return message.basicIngestRule === rule.name
  const filter = rule.statement.topicFilter
  return filter !== undefined && topicFilterMatches(filter, message.topic)
}

/** Counts every outcome; logs failures at most once a minute for each rule and action or function. */
function createReporter({ metrics, logger, clock }: EngineDependencies) {
  const log = createLimitedLog({ logger, clock })

  return {
    outcome(rule: CompiledRule, { topic }: Message, outcome: RuleOutcome) {
      const result = outcome.matched ? 'matched' : outcome.failure ? 'failed' : 'unmatched'
      metrics.ruleEvaluations.inc({ rule: rule.name, result })
      if (!outcome.matched && outcome.failure) {
        const { code, message: reason, where } = outcome.failure
        log.error(
          `${rule.name}/${where}`,
          { rule: rule.name, code, where, topic },
          `rule ${rule.name}: ${where}: ${reason}`,
        )
      }
      for (const [index, action] of outcome.actions.entries()) {
        if (action.ok) continue
        metrics.actionFailures.inc({ rule: rule.name, action: String(index) })
        const { code, message: reason, where } = action.failure
        log.error(
          `${rule.name}/${index}`,
          { rule: rule.name, action: rule.actions[index]?.kind, code, where, topic },
          `rule ${rule.name}: ${where}: ${reason}`,
        )
      }
    },

    ruleNotFound({ basicIngestRule: rule, topic, clientId }: Message) {
      metrics.messagesRejected.inc({ reason: 'rule_not_found' })
      log.warn(
        `not-found/${rule}`,
        { rule, topic, clientId },
        `Basic Ingest names the rule ${rule}, which does not exist or is disabled`,
      )
    },
  }
}
