import type { CompiledActions, RefusalOf, compileActions } from '../actions/compile-actions.ts'
import { resourceArn } from '../identity/policies/resource-arn.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'
import { deliveryDefaults } from '../outbox/outbox.ts'
import type { DeliverySettings } from '../outbox/outbox.ts'
import type { CompiledStatement, RegexMode, compileStatement } from '../sql/sql.ts'
import { deliveryOf } from './delivery.ts'
import type { RuleDelivery } from './delivery.ts'
import type { TopicRulePayload } from './payload.ts'

/** The parts of a rule: the payload and its metadata. */
export interface RuleDefinition {
  readonly name: string
  readonly payload: TopicRulePayload
  /** Epoch seconds. */
  readonly createdAt: number
  readonly tags: Readonly<Record<string, string>>
  /** The delivery settings of this rule, where it has any. */
  readonly delivery?: RuleDelivery | undefined
}

/** A rule that is ready to run: nothing is parsed again for a message. */
export interface CompiledRule extends RuleDefinition, CompiledActions {
  readonly arn: string
  readonly disabled: boolean
  readonly statement: CompiledStatement
  /** What AWS accepts and is likely not meant so, one text each, with further lines for a place. */
  readonly warnings: readonly string[]
}

/**
 * @throws SluiceError SqlParseException (with line and column) or InvalidRequestException, each
 *   naming the part of the payload that cannot be used
 */
export type CompileRule = (definition: RuleDefinition) => CompiledRule

interface RuleCompilerDependencies {
  readonly compileStatement: typeof compileStatement
  readonly compileActions: typeof compileActions
}

interface RuleCompilerOptions {
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later, and the ARNs of rules follow. */
  readonly accountId: string
  /** How regular expressions may run; `linear` by default. */
  readonly regex?: RegexMode | undefined
  /** The output of rules under 2015-10-08: unchanged, or as one test of AWS found it. */
  readonly firstVersion?: 'aws' | 'same' | undefined
  /** Used where a rule has no setting of its own. */
  readonly delivery?: DeliverySettings | undefined
  readonly refusalOf?: RefusalOf | undefined
  /** For topic filters of rules and topics that rules publish to. Default: those of AWS IoT. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of messages that rules publish. Default: AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
  /** What is wrong with a URL for the HTTP action. Default: see ActionContext. */
  readonly httpUrlProblem?: ((url: string) => string | undefined) | undefined
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
      firstVersion: options.firstVersion,
    })
    const { actions, errorAction } = compileActions(payload, statement, {
      ruleName,
      region,
      topicLimits,
      payloadBytesMax: options.payloadBytesMax,
      httpUrlProblem: options.httpUrlProblem,
      refusalOf: options.refusalOf,
      deliveryOf: (index) => deliveryOf(delivery, index, settings),
    })
    return Object.freeze({
      ...definition,
      get arn() {
        return ruleArnOf(ruleName, options)
      },
      disabled: payload.ruleDisabled,
      statement,
      warnings: [...statement.warnings, ...versionWarnings(payload, options)],
      actions,
      errorAction,
    })
  }
}

/** One test of AWS found that the first version drops nested arrays and flattens nested objects. */
function versionWarnings(
  { awsIotSqlVersion }: TopicRulePayload,
  { firstVersion }: RuleCompilerOptions,
): readonly string[] {
  if (awsIotSqlVersion !== '2015-10-08') return []
  const here =
    firstVersion === 'aws'
      ? 'and so does this engine (SLUICE_SQL_2015=aws)'
      : 'and this engine passes them on unchanged'
  return [
    'the SQL version is 2015-10-08, which is the one of a rule that names none: AWS may drop nested ' +
      `arrays and flatten nested objects under it, which is not certain, ${here}; name 2016-03-23`,
  ]
}

/** `arn:aws:iot:<region>:<account>:rule/<name>`, in the partition of the region. */
export function ruleArnOf(name: string, { region, accountId }: RuleCompilerOptions): string {
  return resourceArn(`rule/${name}`, { region, accountId })
}
