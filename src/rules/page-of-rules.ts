import { SluiceError } from '../base/errors.ts'
import type { CompiledRule } from './compile-rule.ts'
import { ruleNamePattern } from './payload.ts'
import { ruleFilterMatches } from '../topics/topic-filter.ts'

/** The query of ListTopicRules. */
export interface RuleQuery {
  /** Rules whose filter matches this topic, or is this filter. */
  readonly topic?: string | undefined
  readonly ruleDisabled?: boolean | undefined
  /** The most rules in the answer. */
  readonly maxResults: number
  /** The `nextToken` of the page before. */
  readonly nextToken?: string | undefined
}

export interface RulePage {
  readonly rules: readonly CompiledRule[]
  /** Absent on the last page. */
  readonly nextToken?: string | undefined
}

/**
 * A page of rules. The token names the last rule of the page, so that pages neither repeat nor skip
 * a rule that exists all the time, whatever is created or deleted between them.
 *
 * @param sortedRules all rules in the order of their names
 * @throws SluiceError InvalidRequestException: the token is not one of a list
 */
export function pageOfRules(sortedRules: readonly CompiledRule[], query: RuleQuery): RulePage {
  const after = query.nextToken === undefined ? '' : nameOfToken(query.nextToken)
  const rules: CompiledRule[] = []
  for (const rule of sortedRules) {
    if (rule.name <= after || !isAskedFor(rule, query)) continue
    const last = rules.at(-1)
    if (last && rules.length >= query.maxResults) return { rules, nextToken: tokenOf(last.name) }
    rules.push(rule)
  }
  return { rules }
}

function isAskedFor(rule: CompiledRule, { topic, ruleDisabled }: RuleQuery): boolean {
  if (ruleDisabled !== undefined && rule.disabled !== ruleDisabled) return false
  if (topic === undefined) return true
  const filter = rule.statement.topicFilter
  return filter !== undefined && (filter === topic || ruleFilterMatches(filter, topic))
}

const tokenPrefix = 'after:'
const ruleName = new RegExp(ruleNamePattern)

function tokenOf(name: string): string {
  return Buffer.from(`${tokenPrefix}${name}`).toString('base64url')
}

function nameOfToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString()
  const name = text.slice(tokenPrefix.length)
  if (text.startsWith(tokenPrefix) && ruleName.test(name)) return name
  throw new SluiceError('InvalidRequestException', 'nextToken is not one that a list gave')
}
