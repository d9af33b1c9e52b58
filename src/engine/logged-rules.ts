import type { ActionKind, ActionOutcome } from '../actions/action/action.ts'
import { actionName } from '../actions/error-action.ts'
import type { Message } from '../message.ts'
import type { AppendOptions, NewRecord, SourceMessage } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { SqlEnvironment } from '../sql/sql.ts'
import type { AwsIotLog } from '../watch/aws-iot-log.ts'
import type { RuleObserver } from './observed-rules.ts'
import type { RuleFailure } from './run-rule.ts'

/**
 * Writes entries of AWS IoT's log about the rules of a message. An action that makes a record ends
 * when its service has taken the record: delivery writes that entry.
 */
export function logRules(log: AwsIotLog, source: SourceMessage): RuleObserver {
  const logAction = (
    { name }: CompiledRule,
    kind: ActionKind | undefined,
    given: ActionOutcome,
  ) => {
    if (kind === undefined) return
    const action = { ruleName: name, ruleAction: actionName(kind) }
    if (!given.ok) {
      log.ruleExecution(source, action, `${given.failure.where}: ${given.failure.message}`)
      return
    }
    if (log.isVerbose) log.startingRuleExecution(source, action)
    for (const { topic } of given.messages) {
      log.ruleExecution(source, { ...action, resources: { RepublishTopic: topic } })
    }
  }

  return {
    outcome(rule, _document, outcome) {
      if (!outcome.matched) {
        if (outcome.failure !== undefined) logFailure(log, source, rule.name, outcome.failure)
        return
      }
      log.ruleMatch(source, rule.name)
      for (const [index, action] of outcome.actions.entries()) {
        logAction(rule, rule.actions[index]?.kind, action)
      }
    },
    errorAction: (rule, outcome) => logAction(rule, rule.errorAction?.kind, outcome),
    ended: () => undefined,
  }
}

function logFailure(
  log: AwsIotLog,
  source: SourceMessage,
  ruleName: string,
  { code, where, message }: RuleFailure,
): void {
  if (code === 'ExternalFunctionFailed') {
    log.functionExecution(source, { ruleName, ruleAction: functionName(where) }, message)
  } else {
    log.ruleExecution(source, { ruleName, ruleAction: 'RuleExecution' }, `${where}: ${message}`)
  }
}

/** `machinelearning_predict()` is `MachinelearningPredict` in AWS's log. */
const functionName = (where: string): string =>
  where
    .replace(/\(.*$/s, '')
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')

export function logRuleNotFound(
  log: AwsIotLog,
  message: Message,
  { newUuid }: Pick<SqlEnvironment, 'newUuid'>,
): void {
  const { traceId: messageId = newUuid(), clientId, principal, basicIngestRule = '' } = message
  const topic = `$aws/rules/${basicIngestRule}/${message.topic}`
  log.ruleNotFound({ messageId, topic, clientId, principal }, basicIngestRule)
}

/** Options that drop records when the outbox is full, and log it. */
export function dropAndLog(log: AwsIotLog): AppendOptions {
  const onDropped = (records: readonly NewRecord[]) => {
    for (const { source, ruleName } of records) log.ruleMessageThrottled(source, ruleName)
  }
  return { whenFull: 'drop', onDropped }
}
