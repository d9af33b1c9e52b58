import type { ActionFailure } from '../actions/action/action.ts'
import type { Clock } from '../base/clock.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Message } from '../message.ts'
import { actionLabel, errorActionIndex } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { RuleOutcome } from './run-rule.ts'
import type { Logger, Metrics, Tally } from '../telemetry/telemetry.ts'

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
  readonly metrics: Pick<Metrics, 'ruleEvaluations' | 'actionFailures' | 'messagesRejected'>
  readonly clock: Clock
}

export function createEngineReport(dependencies: EngineReportDependencies): EngineReport {
  const { metrics } = dependencies
  const log = createLimitedLog(dependencies)
  const evaluations = createEvaluationTallies(metrics)

  const failed = (
    { name }: CompiledRule,
    action: { readonly label: string; readonly kind: string | undefined },
    topic: string,
    { code, message: reason, where }: ActionFailure,
  ): void => {
    metrics.actionFailures.inc({ rule: name, action: action.label })
    log.error(
      `${name}/${action.label}`,
      { rule: name, action: action.kind, code, where, topic },
      `rule ${name}: ${where}: ${reason}`,
    )
  }

  return {
    outcome(rule, { topic }, outcome) {
      const result = outcome.matched ? 'matched' : outcome.failure ? 'failed' : 'unmatched'
      evaluations(rule.name)[result].inc()
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

/** Tallies by rule name, like the sums of the counter itself. */
function createEvaluationTallies({ ruleEvaluations }: Pick<Metrics, 'ruleEvaluations'>) {
  const byRule = new Map<string, Readonly<Record<'matched' | 'unmatched' | 'failed', Tally>>>()
  return (rule: string) => {
    const known = byRule.get(rule)
    if (known !== undefined) return known
    const tallyOf = (result: string) => ruleEvaluations.tally({ rule, result })
    const tallies = {
      matched: tallyOf('matched'),
      unmatched: tallyOf('unmatched'),
      failed: tallyOf('failed'),
    }
    byRule.set(rule, tallies)
    return tallies
  }
}
