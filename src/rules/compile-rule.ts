import type { CompiledActions, compileActions } from '../actions/compile-actions.ts'
import { resourceArn } from '../identity/policies/resource-arn.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'
import { deliveryDefaults } from '../outbox/outbox.ts'
import type { DeliverySettings } from '../outbox/outbox.ts'
import type { CompiledStatement, RegexMode, compileStatement } from '../sql/sql.ts'
import { deliveryOf } from './delivery.ts'
import type { RuleDelivery } from './delivery.ts'
import type { TopicRulePayload } from './payload.ts'

/** What a rule is made of: the payload and what stands beside it. */
export interface RuleDefinition {
  readonly name: string
  readonly payload: TopicRulePayload
  /** Epoch seconds. */
  readonly createdAt: number
  readonly tags: Readonly<Record<string, string>>
  /** How its records are delivered, as far as that is said for this rule. */
  readonly delivery?: RuleDelivery | undefined
}

/** A rule that is ready to run: nothing of it is parsed again for a message. */
export interface CompiledRule extends RuleDefinition, CompiledActions {
  readonly arn: string
  readonly disabled: boolean
  readonly statement: CompiledStatement
}

/**
 * @throws SluiceError SqlParseException (with line and column) or InvalidRequestException, each
 *   naming what of the payload cannot be used
 */
export type CompileRule = (definition: RuleDefinition) => CompiledRule

interface RuleCompilerDependencies {
  readonly compileStatement: typeof compileStatement
  readonly compileActions: typeof compileActions
}

interface RuleCompilerOptions {
  readonly region: string
  /** Read at each use: in `start` it may become known later, and the ARNs of rules follow. */
  readonly accountId: string
  /** How regular expressions may run; `linear` by default. */
  readonly regex?: RegexMode | undefined
  /** What holds where a rule has no setting of its own. */
  readonly delivery?: DeliverySettings | undefined
  /** For the topic filters of rules and the topics that rules publish to; AWS IoT's by default. */
  readonly topicLimits?: TopicLimits | undefined
}

export function createRuleCompiler(
  { compileStatement, compileActions }: RuleCompilerDependencies,
  options: RuleCompilerOptions,
): CompileRule {
  const { region, regex = 'linear', delivery: settings = deliveryDefaults, topicLimits } = options
  return (definition) => {
    const { name: ruleName, payload, delivery = {} } = definition
    const statement = compileStatement(payload.sql, payload.awsIotSqlVersion, {
      regex,
      topicLimits,
    })
    const { actions, errorAction } = compileActions(payload, statement, {
      ruleName,
      region,
      topicLimits,
      deliveryOf: (index) => deliveryOf(delivery, index, settings),
    })
    return Object.freeze({
      ...definition,
      get arn() {
        return ruleArnOf(ruleName, options)
      },
      disabled: payload.ruleDisabled,
      statement,
      actions,
      errorAction,
    })
  }
}

/** `arn:aws:iot:<region>:<account>:rule/<name>`, in the partition that the region belongs to. */
export function ruleArnOf(name: string, { region, accountId }: RuleCompilerOptions): string {
  return resourceArn(`rule/${name}`, { region, accountId })
}
