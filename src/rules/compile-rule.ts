import type { CompiledAction } from '../actions/action.ts'
import type { compileActions } from '../actions/compile-actions.ts'
import type { CompiledStatement, compileStatement } from '../sql/sql.ts'
import type { TopicRulePayload } from './payload.ts'

/** What a rule is made of: the payload and what stands beside it. */
export interface RuleDefinition {
  readonly name: string
  readonly payload: TopicRulePayload
  /** Epoch seconds. */
  readonly createdAt: number
  readonly tags: Readonly<Record<string, string>>
}

/** A rule that is ready to run: nothing of it is parsed again for a message. Frozen. */
export interface CompiledRule extends RuleDefinition {
  readonly arn: string
  readonly disabled: boolean
  readonly statement: CompiledStatement
  /** One for each entry of `payload.actions`, in order. */
  readonly actions: readonly CompiledAction[]
}

/**
 * @throws SluiceError SqlParseException (with line and column) or InvalidRequestException, each
 *   naming what of the payload cannot be used
 */
export type CompileRule = (definition: RuleDefinition) => CompiledRule

export interface RuleCompilerDependencies {
  readonly compileStatement: typeof compileStatement
  readonly compileActions: typeof compileActions
}

export interface RuleCompilerOptions {
  readonly region: string
  readonly accountId: string
}

export function createRuleCompiler(
  { compileStatement, compileActions }: RuleCompilerDependencies,
  options: RuleCompilerOptions,
): CompileRule {
  return (definition) => {
    const { name, payload } = definition
    const statement = compileStatement(payload.sql, payload.awsIotSqlVersion)
    const actions = compileActions(payload.actions, statement, {
      ruleName: name,
      region: options.region,
    })
    return Object.freeze({
      ...definition,
      arn: ruleArnOf(name, options),
      disabled: payload.ruleDisabled,
      statement,
      actions: Object.freeze(actions),
    })
  }
}

/** `arn:aws:iot:<region>:<account>:rule/<name>`, in the partition that the region belongs to. */
export function ruleArnOf(name: string, { region, accountId }: RuleCompilerOptions): string {
  return `arn:${partitionOf(region)}:iot:${region}:${accountId}:rule/${name}`
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
