import type { ActionFailure, ActionOutcome } from '../actions/action/action.ts'
import type { Clock } from '../base/clock.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { LimitedLog } from '../telemetry/limited-log.ts'
import type { Message } from '../message.ts'
import { actionLabel, errorActionIndex } from '../outbox/outbox.ts'
import type { Redaction } from '../redaction/redaction.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { RuleFailure, RuleOutcome } from './run-rule.ts'
import { lastFailureOf } from '../telemetry/rule-statistics.ts'
import type { RuleStatisticsBook } from '../telemetry/rule-statistics.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'

/**
 * Counts every outcome; logs failures at most once a minute for each rule and action or function.
 */
export interface EngineReport {
  /** @param isNotJson the rule read the payload as JSON, and it is not JSON */
  outcome(rule: CompiledRule, message: Reported, outcome: RuleOutcome, isNotJson?: boolean): void
  errorAction(rule: CompiledRule, message: Reported, outcome: ActionOutcome): void
  ruleNotFound(message: Message): void
  notDistributed(message: Message, thrown: unknown): void
}

type Reported = Pick<Message, 'topic' | 'payload'>

interface EngineReportDependencies {
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'ruleStatistics' | 'messagesRejected'>
  readonly clock: Clock
  /** Absent: everything is logged. */
  readonly redaction?: Redaction | undefined
}

export function createEngineReport(dependencies: EngineReportDependencies): EngineReport {
  const { metrics, clock, redaction } = dependencies
  const { ruleStatistics: statistics } = metrics
  const log = createLimitedLog(dependencies)

  const shown = ({ payload }: Reported, text: string) =>
    redaction === undefined ? text : redaction.of(payload).text(text)

  const lastFailure = (of: Reported, { code, message, where }: ActionFailure | RuleFailure) =>
    lastFailureOf('failed', clock.wallMs(), { code, message: shown(of, `${where}: ${message}`) })

  const failed = (
    { name }: CompiledRule,
    action: { readonly label: string; readonly kind: string | undefined },
    message: Reported,
    failure: ActionFailure,
  ): void => {
    const { code, message: reason, where } = failure
    const counts = statistics.ofAction(name, action.label)
    counts.failed += 1
    counts.lastFailure = lastFailure(message, failure)
    log.error(
      `${name}/${action.label}`,
      { rule: name, action: action.kind, code, where, topic: shown(message, message.topic) },
      `rule ${name}: ${where}: ${shown(message, reason)}`,
    )
  }

  return {
    outcome(rule, message, outcome, isNotJson = false) {
      const result = outcome.matched ? 'matched' : outcome.failure ? 'failed' : 'unmatched'
      // For each message and rule: what is known is found without a call.
      const counts = statistics.byRule.get(rule.name) ?? statistics.of(rule.name)
      counts[result] += 1
      // An empty payload does not count as one that could not be parsed.
      if (isNotJson && message.payload.length > 0) counts.parseErrors += 1
      if (!outcome.matched && outcome.failure) {
        const { code, message: reason, where } = outcome.failure
        counts.lastFailure = lastFailure(message, outcome.failure)
        log.error(
          `${rule.name}/${where}`,
          { rule: rule.name, code, where, topic: shown(message, message.topic) },
          `rule ${rule.name}: ${where}: ${shown(message, reason)}`,
        )
      }
      for (const [index, action] of outcome.actions.entries()) {
        if (action.ok) {
          if (action.messages.length > 0) countRepublished(statistics, rule, index)
          continue
        }
        const { kind } = rule.actions[index] ?? {}
        failed(rule, { label: actionLabel(index), kind }, message, action.failure)
      }
    },

    errorAction(rule, message, outcome) {
      if (outcome.ok) {
        if (outcome.messages.length > 0) countRepublished(statistics, rule, errorActionIndex)
        return
      }
      const label = actionLabel(errorActionIndex)
      failed(rule, { label, kind: rule.errorAction?.kind }, message, outcome.failure)
    },

    ruleNotFound: (message) => reportNotFound(metrics, log, message),

    notDistributed({ topic, payload }, thrown) {
      log.error(
        'not-distributed',
        { topic: shown({ topic, payload }, topic), err: thrown },
        'a republished message did not reach its subscribers; rules have run on it',
      )
    },
  }
}

function reportNotFound(
  { messagesRejected, ruleStatistics }: EngineReportDependencies['metrics'],
  log: LimitedLog,
  { basicIngestRule: rule, topic, clientId }: Message,
): void {
  messagesRejected.inc({ reason: 'rule_not_found' })
  ruleStatistics.ruleNotFound(rule ?? '')
  log.warn(
    `not-found/${rule}`,
    { rule, topic, clientId },
    `Basic Ingest names the rule ${rule}, which does not exist or is disabled`,
  )
}

function countRepublished(
  statistics: RuleStatisticsBook,
  { name }: CompiledRule,
  actionIndex: number,
): void {
  statistics.ofAction(name, actionLabel(actionIndex)).republished += 1
}
