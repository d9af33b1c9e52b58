import type { ActionOutcome } from './actions/action.ts'
import type { Clock } from './clock.ts'
import type { Message } from './message.ts'
import type { NewRecord, Outbox } from './outbox/outbox.ts'
import { createRateLimitedLog } from './rate-limited-log.ts'
import type { CompiledRule } from './rules/compile-rule.ts'
import { createDocument } from './sql/sql.ts'
import type { MessageDocument, Scope, SqlEnvironment } from './sql/sql.ts'
import type { Logger, Metrics } from './telemetry.ts'

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
      readonly outputIsJson: boolean
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

/** Counts every outcome; logs failures at most once a minute for each rule and action. */
function createReporter({ metrics, logger, clock }: EngineDependencies) {
  const log = createRateLimitedLog(clock)

  return {
    outcome(rule: CompiledRule, message: Message, outcome: RuleOutcome) {
      const result = outcome.matched ? 'matched' : 'unmatched'
      metrics.ruleEvaluations.inc({ rule: rule.name, result })
      for (const [index, action] of outcome.actions.entries()) {
        if (action.ok) continue
        const kind = rule.actions[index]?.kind ?? 'unknown'
        metrics.actionFailures.inc({ rule: rule.name, action: String(index) })
        log.say(`${rule.name}/${index}`, (suppressed) => {
          const { code, message: reason, where } = action.failure
          logger.error(
            { rule: rule.name, action: kind, code, where, topic: message.topic, suppressed },
            `rule ${rule.name}: ${where}: ${reason}`,
          )
        })
      }
    },

    ruleNotFound(message: Message) {
      const rule = message.basicIngestRule ?? ''
      metrics.messagesRejected.inc({ reason: 'rule_not_found' })
      log.say(`not-found/${rule}`, (suppressed) =>
        logger.warn(
          { rule, topic: message.topic, clientId: message.clientId, suppressed },
          `Basic Ingest names the rule ${rule}, which does not exist or is disabled`,
        ),
      )
    },
  }
}
