import type { ActionOutcome } from '../actions/action/action.ts'
import type { Message } from '../message.ts'
import type { SourceMessage } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { MessageSpans, RuleTrace } from '../traces/message-traces.ts'
import type { RuleObserver } from './observed-rules.ts'
import type { RuleOutcome } from './run-rule.ts'

/**
 * Begins the span of a message and makes those of its rules.
 *
 * @returns undefined when the message is not sampled
 */
export function traceRules(
  traces: MessageSpans,
  message: Message,
  { messageId }: Pick<SourceMessage, 'messageId'>,
  rules: readonly CompiledRule[],
): RuleObserver | undefined {
  const filter = rules.length === 1 ? rules[0]?.statement.topicFilter : undefined
  const trace = traces.begin(message, { messageId, filter })
  if (trace === undefined) return undefined
  const ofRules = new Map<CompiledRule, RuleTrace>()

  const republished = (rule: CompiledRule, outcome: ActionOutcome) => {
    if (!outcome.ok) return
    for (const one of outcome.messages) ofRules.get(rule)?.republishes(one)
  }

  return {
    begin: (rule) => void ofRules.set(rule, trace.beginRule(rule.name)),
    outcome(rule, _document, outcome) {
      for (const action of outcome.actions) republished(rule, action)
      ofRules.get(rule)?.ended({ matched: outcome.matched, failure: firstFailure(outcome) })
    },
    errorAction: republished,
    ended: () => trace.ended(),
  }
}

function firstFailure(outcome: RuleOutcome): string | undefined {
  if (!outcome.matched) return outcome.failure?.code
  for (const action of outcome.actions) if (!action.ok) return action.failure.code
  return undefined
}
