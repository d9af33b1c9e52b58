import type { CompiledActions, RefusalOf, compileActions } from '../actions/compile-actions.ts'
import { SluiceError, throwFaults } from '../base/errors.ts'
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
  /** What AWS accepts but its writer may not mean: one text each, further lines show the place. */
  readonly warnings: readonly string[]
}

/**
 * @throws SluiceError SqlParseException (with line and column) or InvalidRequestException, naming
 *   the part of the payload that cannot be used; with all faults of the rule when there are several
 */
export type CompileRule = (definition: RuleDefinition & RuleFaults) => CompiledRule

interface RuleFaults {
  /** What was wrong with the payload when it was read: with any, compiling finds the rest. */
  readonly faults?: readonly SluiceError[] | undefined
}

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
  return ({ faults: found = [], ...definition }) => {
    const { name: ruleName, payload, delivery = {} } = definition
    const faultsOfSql: SluiceError[] = []
    const faultyFields = new Set(found.flatMap(({ field }) => field ?? []))
    const isUnread = faultyFields.has('sql')
    // A version that is not known hides the least faults as the one with all features.
    const version = faultyFields.has('awsIotSqlVersion') ? '2016-03-23' : payload.awsIotSqlVersion
    const statement = compileStatement(isUnread ? '' : payload.sql, version, {
      regex,
      topicLimits,
      firstVersion: options.firstVersion,
      faults: faultsOfSql,
    })
    const faults = [...found, ...(isUnread ? [] : faultsOfSql.map(inStatement))]
    const { actions, errorAction } = compileActions(payload, statement, {
      faults,
      faultyFields,
      ruleName,
      region,
      topicLimits,
      payloadBytesMax: options.payloadBytesMax,
      httpUrlProblem: options.httpUrlProblem,
      refusalOf: options.refusalOf,
      deliveryOf: (index) => deliveryOf(delivery, index, settings),
    })
    throwFaults(faults.toSorted((one, other) => orderOf(one) - orderOf(other)))
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

/** Faults stand in the order of the payload: the rule itself, its actions, its error action. */
function orderOf({ field = '' }: SluiceError): number {
  if (/^errorAction\b/.test(field)) return Number.POSITIVE_INFINITY
  return Number(/^actions\[(\d+)\]/.exec(field)?.[1] ?? (field === 'sql' ? -2 : -1))
}

/** The statement is named where there are faults of other fields as well. */
function inStatement({ code, message, details, cause }: SluiceError): SluiceError {
  return new SluiceError(code, message, { cause, details, field: 'sql' })
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
function ruleArnOf(name: string, { region, accountId }: RuleCompilerOptions): string {
  return resourceArn(`rule/${name}`, { region, accountId })
}
