import type { ActionFailure, ActionOutcome } from './actions/action.ts'
import type { Clock } from './clock.ts'
import type { Message } from './message.ts'
import type { NewRecord, Outbox } from './outbox/outbox.ts'
import { createLimitedLog } from './limited-log.ts'
import type { CompiledRule } from './rules/compile-rule.ts'
import { topicFilterMatches } from './rules/topic-index.ts'
import { createDocument } from './sql/sql.ts'
import type { MessageDocument, Scope, SqlEnvironment } from './sql/sql.ts'
import type { Logger, Metrics } from './telemetry.ts'
import type { CompiledTemplate } from './templates/template.ts'

/**
 * The message path on one screen: match -> evaluate -> act -> durable -> acknowledge.
 *
 * Invariants:
 * - All that happens to a message before it takes its place in the outbox is synchronous, so
 *   messages take their places in the order in which `ingest` was called.
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

  const rulesFor = (message: Message): readonly CompiledRule[] => {
    if (message.basicIngestRule === undefined) return rules.match(message.topic)
    const rule = rules.byName(message.basicIngestRule)
    if (rule && !rule.disabled) return [rule]
    report.ruleNotFound(message)
    return []
  }

  return {
    async ingest(message) {
      const matching = rulesFor(message)
      if (matching.length === 0) return
      const document = createDocument(message, environment)
      const records: NewRecord[] = []
      for (const rule of matching) {
        const outcome = runRule(rule, document)
        report.outcome(rule, message, outcome)
        for (const action of outcome.actions) {
          if (action.ok) records.push(...action.records)
        }
      }
      await outbox.append(records)
    },
  }
}

export type RuleOutcome =
  | { readonly matched: false; readonly scope: Scope; readonly actions: readonly [] }
  | {
      readonly matched: true
      readonly scope: Scope
      readonly output: Buffer
      readonly outputIsJson: () => boolean
      /** One for each action of the rule, in order. */
      readonly actions: readonly ActionOutcome[]
    }

/** One rule on one message, whose topic matches already: what the engine does, and nothing sent. */
export function runRule(rule: CompiledRule, document: MessageDocument): RuleOutcome {
  const scope = rule.statement.openScope(document)
  const result = rule.statement.evaluate(scope)
  if (!result.matched) return { matched: false, scope, actions: [] }
  const actions = rule.actions.map((action) => action.apply(scope, result.output))
  return { ...result, scope, actions }
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
  readonly failures: readonly ActionFailure[]
}

/**
 * Runs a rule on a message as the engine does, on the same code path, and sends nothing.
 *
 * @param templates compiled against the rule's statement; they are expanded even without a match
 */
export function evaluateRule(
  rule: CompiledRule,
  message: Message,
  environment: SqlEnvironment,
  templates: readonly CompiledTemplate[] = [],
): Evaluation {
  const document = createDocument(message, environment)
  const outcome: RuleOutcome = isFor(rule, message)
    ? runRule(rule, document)
    : { matched: false, scope: rule.statement.openScope(document), actions: [] }
  return {
    matched: outcome.matched,
    ...(outcome.matched && { output: outcome.output }),
    outputIsJson: outcome.matched && outcome.outputIsJson(),
    actions: outcome.actions.flatMap((action, index) =>
      action.ok ? [{ kind: rule.actions[index]?.kind ?? '', records: action.records }] : [],
    ),
    templates: templates.map((template) => template.expand(outcome.scope)),
    failures: outcome.actions.flatMap((action) => (action.ok ? [] : [action.failure])),
  }
}

/** A Basic Ingest message is for the one rule that it names, whatever that rule's filter. */
function isFor(rule: CompiledRule, message: Message): boolean {
  if (message.basicIngestRule !== undefined) return message.basicIngestRule === rule.name
  const filter = rule.statement.topicFilter
  return filter !== undefined && topicFilterMatches(filter, message.topic)
}

/** Counts every outcome; logs failures at most once a minute for each rule and action. */
function createReporter({ metrics, logger, clock }: EngineDependencies) {
  const log = createLimitedLog({ logger, clock })

  return {
    outcome(rule: CompiledRule, { topic }: Message, outcome: RuleOutcome) {
      const result = outcome.matched ? 'matched' : 'unmatched'
      metrics.ruleEvaluations.inc({ rule: rule.name, result })
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
