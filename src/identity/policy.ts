import { readPolicyDocument } from './policy-document.ts'
import type { PolicyStatement } from './policy-document.ts'
import { codePointsOf, compileActionPattern, compilePattern, malformed } from './policy-pattern.ts'
import type { Pattern, PolicyVariables } from './policy-pattern.ts'

/**
 * What a caller may do: policy documents as IAM and AWS IoT take them, compiled once, asked often.
 *
 * A request is allowed when a statement allows it and none denies it, in whatever order they stand
 * and in however many documents (IAM User Guide, "Policy evaluation logic").
 */
export interface Policy {
  /** Never throws. */
  decide(request: PolicyRequest): PolicyDecision
}

export interface PolicyRequest {
  /** `iot:Publish`; in any case. */
  readonly action: string
  /** The whole ARN, e.g. `arn:aws:iot:eu-central-1:123456789012:topic/a/b`; `*` when there is none. */
  readonly resource: string
  /** Of the connection; one that is absent matches nothing. */
  readonly variables?: PolicyVariables
}

/** `implicitDeny`: nothing speaks of it, which denies it as well. */
export type PolicyDecision = 'allow' | 'deny' | 'implicitDeny'

interface CompiledStatement {
  readonly effect: PolicyStatement['effect']
  readonly coversAction: (action: string) => boolean
  readonly coversResource: (resource: ResourceName, variables: PolicyVariables) => boolean
}

/** The fields of an ARN; undefined for `*`, the resource of an action that has none. */
type ResourceName = readonly (readonly number[])[] | undefined

/**
 * @param document the parsed JSON of one policy
 * @param where what messages call it, e.g. the name of its file
 * @throws SluiceError MalformedPolicyException, naming the member
 */
export function compilePolicy(document: unknown, where = 'policy'): Policy {
  const statements = readPolicyDocument(document, where).map(compileStatement)
  const denials = statements.filter(({ effect }) => effect === 'Deny')
  const allowances = statements.filter(({ effect }) => effect === 'Allow')
  return Object.freeze({
    decide({ action, resource, variables = {} }: PolicyRequest): PolicyDecision {
      const name = splitArn(resource)?.map(codePointsOf)
      const covers = (statement: CompiledStatement) =>
        statement.coversAction(action) && statement.coversResource(name, variables)
      if (denials.some(covers)) return 'deny'
      return allowances.some(covers) ? 'allow' : 'implicitDeny'
    },
  })
}

/** Several policies as one: those of a certificate, a user and of all. None of them allows nothing. */
export function combinePolicies(policies: readonly Policy[]): Policy {
  return Object.freeze({
    decide(request: PolicyRequest): PolicyDecision {
      const decisions = policies.map((policy) => policy.decide(request))
      if (decisions.includes('deny')) return 'deny'
      return decisions.includes('allow') ? 'allow' : 'implicitDeny'
    },
  })
}

function compileStatement(statement: PolicyStatement): CompiledStatement {
  const { effect, action, where } = statement
  const actions = action.texts.map((text) => {
    refuseAction(text, where)
    return compileActionPattern(text, where)
  })
  return {
    effect,
    coversAction: (given) => actions.some((matches) => matches(given)) !== action.isNegated,
    coversResource: compileResources(statement),
  }
}

function compileResources({ effect, resource, where }: PolicyStatement) {
  const patterns = resource.texts.map((text) => compileResource(text, where))
  return (name: ResourceName, variables: PolicyVariables): boolean => {
    if (!resource.isNegated) return patterns.some((pattern) => pattern.matches(name, variables))
    // "All but this client's own" cannot be told for a client without that value: it allows nothing.
    if (effect === 'Allow' && patterns.some((pattern) => pattern.isUnresolved(variables)))
      return false
    return !patterns.some((pattern) => pattern.matches(name, variables))
  }
}

interface ResourcePattern {
  isUnresolved(variables: PolicyVariables): boolean
  matches(name: ResourceName, variables: PolicyVariables): boolean
}

/**
 * An ARN is compared field by field, as IAM does: a `*` of the account does not reach into the topic,
 * where a colon is a character like any other.
 */
function compileResource(text: string, where: string): ResourcePattern {
  if (text === '*') return { isUnresolved: () => false, matches: () => true }
  const fields = splitArn(text)
  if (!fields || !text.startsWith('arn:')) {
    throw malformed(
      where,
      `${text} is not a resource: give "*" or a whole ARN, arn:aws:iot:<region>:<account>:` +
        'topic/..., topicfilter/..., client/... or rule/...; each field may be "*"',
    )
  }
  const patterns: readonly Pattern[] = fields.map((field) => compilePattern(field, where))
  return {
    isUnresolved: (variables) => patterns.some((pattern) => pattern.isUnresolved(variables)),
    matches: (name, variables) =>
      name !== undefined &&
      patterns.every((pattern, index) => pattern.matches(name[index] ?? [], variables)),
  }
}

const arnFieldCount = 6

/** `arn:partition:service:region:account:resource`; undefined with fewer fields. */
function splitArn(text: string): readonly string[] | undefined {
  const fields = text.split(':', arnFieldCount - 1)
  if (fields.length < arnFieldCount - 1) return undefined
  const restStart = fields.join(':').length + 1
  return restStart > text.length ? undefined : [...fields, text.slice(restStart)]
}

/** `service:Name`; wildcards may stand in both. */
const actionForm = /^(?:\*|[a-z0-9*?-]+:[a-z0-9*?]+)$/i

function refuseAction(text: string, where: string): void {
  if (actionForm.test(text)) return
  throw malformed(where, `${text} is not an action: give "*" or e.g. iot:Publish, iot:*`)
}
