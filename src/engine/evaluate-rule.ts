import type { ActionFailure } from '../actions/action/action.ts'
import { messageOf } from '../base/errors.ts'
import type { Message } from '../message.ts'
import type { NewRecord } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { resolveExternals } from '../sql/sql.ts'
import type { MessageDocument, Scope, SqlEnvironment, WherePart } from '../sql/sql.ts'
import type { CompiledTemplate } from '../sql/template.ts'
import { ruleFilterMatches } from '../topics/topic-filter.ts'
import { applyRule, failedOutcome, subjectOf, unmatched } from './run-rule.ts'
import type { RuleFailure } from './run-rule.ts'

/**
 * What a rule would do with a message, for `/v1/evaluate`, `sluice evaluate` and `sluice check`.
 */
export interface Evaluation {
  readonly matched: boolean
  readonly output?: Buffer | undefined
  readonly outputIsJson: boolean
  /** What each successful action would send. */
  readonly actions: readonly {
    readonly kind: string
    readonly records: readonly NewRecord[]
    readonly messages: readonly Message[]
  }[]
  /** The expanded templates in their order; `''` for a template that failed. */
  readonly templates: readonly string[]
  readonly failures: readonly (ActionFailure | RuleFailure)[]
  /** The condition with the values of its parts, when the rule matched and has one. */
  readonly where?: WherePart | undefined
  /** Absent when the rule matched. */
  readonly noMatch?: NoMatch | undefined
}

/** Why a rule does not match a message. */
export interface NoMatch {
  /**
   * - `topic`: the topic does not match the filter, or Basic Ingest names another rule
   * - `where`: the condition is not true
   * - `externalFunction`: an external function gave no result
   * - `failed`: evaluating failed otherwise, as `failures` say
   */
  readonly reason: 'topic' | 'where' | 'externalFunction' | 'failed'
  /** One sentence without a full stop. */
  readonly message: string
  /** The condition with the values of its parts, for `where`. */
  readonly where?: WherePart | undefined
}

/**
 * Runs a rule on a message by the code that the engine runs, and sends nothing.
 *
 * @param templates compiled against the rule's statement; they are expanded even without a match
 */
export async function evaluateRule(
  rule: CompiledRule,
  message: Message,
  environment: SqlEnvironment,
  templates: readonly CompiledTemplate[] = [],
): Promise<Evaluation> {
  const { document, source } = subjectOf(message, environment)
  const scope = rule.statement.openScope(document)
  const { outcome, expanded } = await resolveExternals(scope, () => {
    const applied = isFor(rule, message) ? applyRule(rule, scope, source) : unmatched
    const texts = templates.map((template, index) => expandTemplate(template, scope, index))
    return { outcome: failedOutcome(scope) ?? applied, expanded: texts }
  })
  const failed = outcome.matched ? undefined : outcome.failure
  return {
    matched: outcome.matched,
    where: outcome.matched ? rule.statement.explainWhere(document) : undefined,
    noMatch: outcome.matched ? undefined : noMatchOf(rule, message, document, failed),
    ...(outcome.matched && { output: outcome.output }),
    outputIsJson: outcome.matched && outcome.outputIsJson(),
    actions: outcome.actions.flatMap((action, index) => {
      if (!action.ok) return []
      const { records, messages } = action
      return [{ kind: rule.actions[index]?.kind ?? '', records, messages }]
    }),
    templates: expanded.map((each) => (typeof each === 'string' ? each : '')),
    failures: [
      ...(failed === undefined ? [] : [failed]),
      ...expanded.filter((each) => typeof each !== 'string'),
      ...outcome.actions.flatMap((action) => (action.ok ? [] : [action.failure])),
    ],
  }
}

function noMatchOf(
  rule: CompiledRule,
  message: Message,
  document: MessageDocument,
  failed: RuleFailure | undefined,
): NoMatch {
  const { statement } = rule
  if (failed) {
    const reason = failed.code === 'ExternalFunctionFailed' ? 'externalFunction' : 'failed'
    return { reason, message: `${failed.where}: ${failed.message}` }
  }
  if (!isFor(rule, message)) return { reason: 'topic', message: topicProblem(rule, message) }
  const where = statement.explainWhere(document)
  const value = where?.value.json ?? where?.value.type ?? 'not true'
  return { reason: 'where', message: `WHERE is ${value}, not true`, where }
}

function topicProblem({ statement, name }: CompiledRule, message: Message): string {
  const { basicIngestRule, topic } = message
  if (basicIngestRule !== undefined) {
    return `the message is for the rule ${basicIngestRule} alone, and this one is ${name}`
  }
  const { topicFilter } = statement
  return topicFilter === undefined
    ? 'the statement has no FROM: messages reach it by Basic Ingest alone'
    : `the topic ${topic} does not match the filter '${topicFilter}'`
}

function expandTemplate(
  template: CompiledTemplate,
  scope: Scope,
  index: number,
): string | ActionFailure {
  try {
    return template.expand(scope)
  } catch (thrown) {
    const where = `templates[${index}]`
    return { code: 'TemplateFailed', message: messageOf(thrown), where, resource: '' }
  }
}

/** A Basic Ingest message concerns the one rule that it names, whatever that rule's filter. */
function isFor(rule: CompiledRule, message: Message): boolean {
  if (message.basicIngestRule !== undefined) return message.basicIngestRule === rule.name
  const filter = rule.statement.topicFilter
  return filter !== undefined && ruleFilterMatches(filter, message.topic)
}
