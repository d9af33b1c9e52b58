import type { ActionFailure } from '../actions/action/action.ts'
import type { Clock } from '../base/clock.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Message } from '../message.ts'
import { actionLabel, errorActionIndex } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { RuleFailure, RuleOutcome } from './run-rule.ts'
import { lastFailureOf } from '../telemetry/rule-statistics.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'

/**
 * Counts every outcome; logs failures at most once a minute for each rule and action or function.
 */
export interface EngineReport {
  outcome(rule: CompiledRule, message: Pick<Message, 'topic'>, outcome: RuleOutcome): void
  errorActionFailed(rule: CompiledRule, topic: string, failure: ActionFailure): void
  ruleNotFound(message: Message): void
  notDistributed(message: Message, thrown: unknown): void
}

interface EngineReportDependencies {
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'ruleStatistics' | 'messagesRejected'>
  readonly clock: Clock
}

export function createEngineReport(dependencies: EngineReportDependencies): EngineReport {
  const { metrics, clock } = dependencies
  const { ruleStatistics: statistics } = metrics
  const log = createLimitedLog(dependencies)

  const shown = ({ code, message, where }: ActionFailure | RuleFailure) =>
    lastFailureOf('failed', clock.wallMs(), { code, message: `${where}: ${message}` })

  const failed = (
    { name }: CompiledRule,
    action: { readonly label: string; readonly kind: string | undefined },
    topic: string,
    failure: ActionFailure,
  ): void => {
    const { code, message: reason, where } = failure
    const counts = statistics.ofAction(name, action.label)
    counts.failed += 1
    counts.lastFailure = shown(failure)
    log.error(
      `${name}/${action.label}`,
      { rule: name, action: action.kind, code, where, topic },
      `rule ${name}: ${where}: ${reason}`,
    )
  }

  return {
    outcome(rule, { topic }, outcome) {
      const result = outcome.matched ? 'matched' : outcome.failure ? 'failed' : 'unmatched'
      const counts = statistics.byRule.get(rule.name) ?? statistics.of(rule.name)
      counts[result] += 1
      if (!outcome.matched && outcome.failure) {
        const { code, message: reason, where } = outcome.failure
        counts.lastFailure = shown(outcome.failure)
        log.error(
          `${rule.name}/${where}`,
          { rule: rule.name, code, where, topic },
          `rule ${rule.name}: ${where}: ${reason}`,
        )
      }
      for (const [index, action] of outcome.actions.entries()) {
        if (action.ok) continue
        const { kind } = rule.actions[index] ?? {}
        failed(rule, { label: actionLabel(index), kind }, topic, action.failure)
      }
    },

    errorActionFailed(rule, topic, failure) {
      failed(
        rule,
        { label: actionLabel(errorActionIndex), kind: rule.errorAction?.kind },
        topic,
        failure,
      )
    },

    ruleNotFound({ basicIngestRule: rule, topic, clientId }) {
      metrics.messagesRejected.inc({ reason: 'rule_not_found' })
      statistics.ruleNotFound(rule ?? '')
      log.warn(
        `not-found/${rule}`,
        { rule, topic, clientId },
        `Basic Ingest names the rule ${rule}, which does not exist or is disabled`,
      )
    },

    notDistributed({ topic }, thrown) {
      log.error(
        'not-distributed',
        { topic, err: thrown },
        'a republished message did not reach its subscribers; rules have run on it',
      )
    },
  }
}
