import { readPolicyDocument } from './policy-document.ts'
import type { PolicyStatement } from './policy-document.ts'
import { compilePattern, malformed } from './policy-pattern.ts'
import type { PolicyVariables } from './policy-pattern.ts'
import { unknownAccount } from './resource-arn.ts'

/**
 * What a caller may do: policy documents as IAM and AWS IoT take them, compiled once, asked often.
 *
 * A request is allowed when a statement allows it and none denies it, in whatever order they stand
 * and in however many documents (IAM User Guide, "Policy evaluation logic").
 *
 * While the account of a resource is not known (`unknownAccount`), a statement that names an
 * account counts as far as it forbids and not as far as it allows: no stand-in decides for it.
 */
export interface Policy {
  /** Whether a decision may depend on which account the resources belong to. */
  readonly namesAccount: boolean
  /** Never throws. */
  decide(request: PolicyRequest): PolicyDecision
}

export interface PolicyRequest {
  /** `iot:Publish`; in any case. */
  readonly action: string
  /** The whole ARN, e.g. `arn:aws:iot:eu-central-1:123456789012:topic/a/b`; `*` when there is none. */
  readonly resource: string
  /** Of the connection; one that is absent matches nothing. */
  readonly variables?: PolicyVariables | undefined
}

/** `implicitDeny`: nothing speaks of it, which denies it as well. */
type PolicyDecision = 'allow' | 'deny' | 'implicitDeny'

interface CompiledStatement {
  readonly effect: PolicyStatement['effect']
  readonly namesAccount: boolean
  /** Of an action in lower case. */
  readonly coversAction: (action: string) => boolean
  readonly coversResource: (
    /** Undefined for `*`, the resource of an action that has none. */
    resource: ResourceName | undefined,
    variables: PolicyVariables,
  ) => boolean
}

interface ResourceName {
  /** `arn:partition:service:region:account`: the same for all that a server has. */
  readonly owner: string
  /** `topic/a/b`; colons are characters like any other. */
  readonly rest: string
}

/**
 * @param document the parsed JSON of one policy
 * @param where what messages call it, e.g. the name of its file
 * @throws SluiceError MalformedPolicyException, naming the member
 */
export function compilePolicy(document: unknown, where = 'policy'): Policy {
  const statements = readPolicyDocument(document, where).map(compileStatement)
  const statementsFor = rememberStatements(statements)
  return {
    namesAccount: statements.some(({ namesAccount }) => namesAccount),
    decide({ action, resource, variables = noVariables }: PolicyRequest): PolicyDecision {
      const { denials, allowances } = statementsFor(action)
      if (denials.length + allowances.length === 0) return 'implicitDeny'
      const name = splitArn(resource)
      if (isCovered(denials, name, variables)) return 'deny'
      return isCovered(allowances, name, variables) ? 'allow' : 'implicitDeny'
    },
  }
}

/** A loop, here and below: closures for each message cost more than what they compare. */
function isCovered(
  statements: readonly CompiledStatement[],
  name: ResourceName | undefined,
  variables: PolicyVariables,
): boolean {
  for (const { coversResource } of statements) {
    if (coversResource(name, variables)) return true
  }
  return false
}

const noVariables: PolicyVariables = Object.freeze({})

interface StatementsOfAction {
  readonly denials: readonly CompiledStatement[]
  readonly allowances: readonly CompiledStatement[]
}

/** A server asks for a few actions, over and over: their patterns are compared once. */
function rememberStatements(statements: readonly CompiledStatement[]) {
  const byAction = new Map<string, StatementsOfAction>()
  return (action: string): StatementsOfAction => {
    const known = byAction.get(action)
    if (known) return known
    const name = action.toLowerCase()
    const covering = statements.filter((statement) => statement.coversAction(name))
    const found = {
      denials: covering.filter(({ effect }) => effect === 'Deny'),
      allowances: covering.filter(({ effect }) => effect === 'Allow'),
    }
    if (byAction.size < actionsRememberedMax) byAction.set(action, found)
    return found
  }
}

const actionsRememberedMax = 100

/** Denies everything, and says so: in place of a policy that cannot be read. */
export const denyingPolicy: Policy = Object.freeze({
  namesAccount: false,
  decide: () => 'deny' as const,
})

/** What a policy forbids, without what it allows: for a policy whose targets cannot be read. */
export function denialsOf(policy: Policy): Policy {
  return {
    namesAccount: policy.namesAccount,
    decide: (request: PolicyRequest) =>
      policy.decide(request) === 'deny' ? ('deny' as const) : ('implicitDeny' as const),
  }
}

/** Several policies as one: those of a certificate, a user and of all. None of them allows nothing. */
export function combinePolicies(policies: readonly Policy[]): Policy {
  return {
    namesAccount: policies.some(({ namesAccount }) => namesAccount),
    decide(request: PolicyRequest): PolicyDecision {
      let combined: PolicyDecision = 'implicitDeny'
      for (const policy of policies) {
        const decision = policy.decide(request)
        if (decision === 'deny') return 'deny'
        if (decision === 'allow') combined = 'allow'
      }
      return combined
    },
  }
}

function compileStatement(statement: PolicyStatement): CompiledStatement {
  const { effect, action, where } = statement
  const actions = action.texts.map((text) => {
    refuseAction(text, where)
    return compilePattern(text.toLowerCase(), where)
  })
  return {
    effect,
    coversAction: (given) =>
      actions.some((pattern) => pattern.matches(given, {})) !== action.isNegated,
    ...compileResources(statement),
  }
}

function compileResources({
  effect,
  resource,
  where,
}: PolicyStatement): Pick<CompiledStatement, 'coversResource' | 'namesAccount'> {
  // A statement about an unknown account covers what it forbids, and not what it allows.
  const ifUnknown = (effect === 'Deny') !== resource.isNegated
  const patterns = resource.texts.map((text) => compileResource(text, { where, ifUnknown }))
  const namesAccount = patterns.some((pattern) => pattern.namesAccount)
  function isMatch(name: ResourceName | undefined, variables: PolicyVariables): boolean {
    for (const pattern of patterns) if (pattern.matches(name, variables)) return true
    return false
  }
  if (!resource.isNegated) return { namesAccount, coversResource: isMatch }
  return {
    namesAccount,
    coversResource(name, variables) {
      // "All but this client's own" cannot be told for a client without that value: it allows nothing.
      if (effect === 'Allow' && patterns.some((pattern) => pattern.isUnresolved(variables)))
        return false
      return !isMatch(name, variables)
    },
  }
}

interface ResourcePattern {
  readonly namesAccount: boolean
  isUnresolved(variables: PolicyVariables): boolean
  matches(name: ResourceName | undefined, variables: PolicyVariables): boolean
}

const everything: ResourcePattern = {
  namesAccount: false,
  isUnresolved: () => false,
  matches: () => true,
}

interface ResourceContext {
  readonly where: string
  /** Whether a pattern that names an account matches a resource whose account is not known. */
  readonly ifUnknown: boolean
}

/**
 * An ARN is compared field by field, as IAM does: a `*` of the account does not reach into the topic,
 * where a colon is a character like any other. Variables stand in the last field only, as in IAM.
 */
function compileResource(text: string, context: ResourceContext): ResourcePattern {
  const { where } = context
  if (text === '*') return everything
  const name = splitArn(text)
  if (!name || !text.startsWith('arn:')) {
    throw malformed(
      where,
      `${text} is not a resource: give "*" or a whole ARN, arn:aws:iot:<region>:<account>:` +
        'topic/..., topicfilter/..., client/... or rule/...; each field may be "*"',
    )
  }
  const owner = compileOwner(name.owner, context)
  const rest = compilePattern(name.rest, where)
  return {
    namesAccount: owner.namesAccount,
    isUnresolved: (variables) => rest.isUnresolved(variables),
    matches: (given, variables) =>
      given !== undefined && owner.matches(given.owner) && rest.matches(given.rest, variables),
  }
}

/** All requests of a server name the same owner: what was found for the last one is remembered. */
function compileOwner(text: string, { where, ifUnknown }: ResourceContext) {
  if (text.includes('${')) {
    throw malformed(where, `${text}...: variables may stand in the last field of an ARN only`)
  }
  const texts = text.split(':')
  const patterns = texts.map((field) => compilePattern(field, where))
  const isAnyAccount = /^\*+$/.test(texts[accountField] ?? '')
  const isField = (index: number, field: string): boolean =>
    index === accountField && field === unknownAccount && !isAnyAccount
      ? ifUnknown
      : patterns[index]?.matches(field, {}) === true
  let last = { owner: '', isMatch: false }
  return {
    /** Resources of other services are not asked about. */
    namesAccount: !isAnyAccount && isField(serviceField, serviceAskedAbout),
    matches(owner: string): boolean {
      if (owner !== last.owner) {
        const fields = owner.split(':')
        last = { owner, isMatch: texts.every((_, index) => isField(index, fields[index] ?? '')) }
      }
      return last.isMatch
    },
  }
}

const ownerFieldCount = 5
const serviceField = 2
const accountField = 4
/** Of all ARNs that `resourceArn` makes. */
const serviceAskedAbout = 'iot'

/** `arn:partition:service:region:account:resource`; undefined with fewer fields. */
function splitArn(text: string): ResourceName | undefined {
  let colon = -1
  for (let field = 0; field < ownerFieldCount; field++) {
    colon = text.indexOf(':', colon + 1)
    if (colon < 0) return undefined
  }
  return { owner: text.slice(0, colon), rest: text.slice(colon + 1) }
}

/** `service:Name`; wildcards may stand in both. */
const actionForm = /^(?:\*|[a-z0-9*?-]+:[a-z0-9*?]+)$/i

function refuseAction(text: string, where: string): void {
  if (actionForm.test(text)) return
  throw malformed(where, `${text} is not an action: give "*" or e.g. iot:Publish, iot:*`)
}
