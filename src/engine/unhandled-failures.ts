import { noDestination } from '../outbox/outbox.ts'
import type { NewRecord, SourceMessage } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { ErrorActionScope, RuleOutcome } from './run-rule.ts'

/** The result of a SELECT that failed. */
const noOutput = Buffer.alloc(0)

/**
 * The failures of a rule that no error action takes. Each becomes a dead letter of its action: the
 * message would be gone otherwise. A statement that fails has one for each action of the rule.
 *
 * @param taken which failures the rule's error action has taken
 */
export function unhandledFailures(
  rule: CompiledRule,
  source: SourceMessage,
  outcome: RuleOutcome,
  taken: ErrorActionScope | 'none',
): NewRecord[] {
  if (taken === 'all') return []
  const failed = { destination: noDestination, partitionKey: '', ruleName: rule.name, source }
  if (!outcome.matched) {
    if (outcome.failure === undefined) return []
    const { code, message, where: field } = outcome.failure
    const data = noOutput
    return rule.actions.map((_, actionIndex) => {
      return { ...failed, data, actionIndex, failed: { code, message, field } }
    })
  }
  const data = outcome.output
  return outcome.actions.flatMap((action, actionIndex): NewRecord[] => {
    if (action.ok) return []
    const { code, message, where: field } = action.failure
    if (taken === 'actions' && code !== 'TemplateFailed') return []
    return [{ ...failed, data, actionIndex, failed: { code, message, field } }]
  })
}
