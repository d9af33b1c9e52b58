import { readPolicyDocument } from './policy-document.ts'
import type { PolicyStatement } from './policy-document.ts'
import { compilePattern, malformed } from './policy-pattern.ts'
import type { PolicyVariables } from './policy-pattern.ts'
import { unknownAccount } from './resource-arn.ts'

/**
 * What a caller may do: policy documents of IAM and AWS IoT, compiled once and evaluated often.
 *
 * A request is allowed when a statement allows it and none denies it, in whatever order they stand
 * and in however many documents (IAM User Guide, "Policy evaluation logic").
 *
 * While the account of a resource is not known (`unknownAccount`), a statement that names an
 * account applies if it denies and does not apply if it allows: no placeholder stands for the
 * account.
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
  /**
   * The whole ARN, e.g. `arn:aws:iot:eu-central-1:123456789012:topic/a/b`; `*` when there is none.
   */
  readonly resource: string
  /** The variables of the connection; a pattern with an absent variable matches nothing. */
  readonly variables?: PolicyVariables | undefined
}

/** `implicitDeny`: no statement applies, so the request is denied as well. */
type PolicyDecision = 'allow' | 'deny' | 'implicitDeny'

interface CompiledStatement {
  readonly effect: PolicyStatement['effect']
  readonly namesAccount: boolean
  /** @param action in lower case */
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
 * @param where the name of the policy in messages, e.g. its file
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

/** A loop here and below, because closures for each message cost more than the comparisons. */
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

/** A server uses only a few actions, so the patterns of each action are matched once. */
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

/** Denies everything explicitly: replaces a policy that cannot be read. */
export const denyingPolicy: Policy = Object.freeze({
  namesAccount: false,
  decide: () => 'deny' as const,
})

/** Only the denials of a policy: for a policy whose targets cannot be read. */
export function denialsOf(policy: Policy): Policy {
  return {
    namesAccount: policy.namesAccount,
    decide: (request: PolicyRequest) =>
      policy.decide(request) === 'deny' ? ('deny' as const) : ('implicitDeny' as const),
  }
}

/** Combines several policies, e.g. of a user and of all. An empty list allows nothing. */
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
    ...withCondition(statement, compileResources(statement)),
  }
}

type CompiledResources = Pick<CompiledStatement, 'coversResource' | 'namesAccount'>

/** A request without the key, such as one over HTTP, does not meet the condition. */
function withCondition(
  { isAttached }: PolicyStatement,
  resources: CompiledResources,
): CompiledResources {
  if (isAttached === undefined) return resources
  const wanted = String(isAttached)
  return {
    ...resources,
    coversResource: (name, variables) =>
      variables['iot:Connection.Thing.IsAttached'] === wanted &&
      resources.coversResource(name, variables),
  }
}

function compileResources({ effect, resource, where }: PolicyStatement): CompiledResources {
  // While the account is unknown, a statement covers the resource if it denies, and not if it
  // allows.
  const ifUnknown = (effect === 'Deny') !== resource.isNegated
  const isDenied = effect === 'Deny' && !resource.isNegated
  const unusable = isDenied ? ('anything' as const) : ('nothing' as const)
  const context = { where, ifUnknown, unusable }
  const patterns = resource.texts.map((text) => compileResource(text, context))
  const namesAccount = patterns.some((pattern) => pattern.namesAccount)
  function isMatch(name: ResourceName | undefined, variables: PolicyVariables): boolean {
    for (const pattern of patterns) if (pattern.matches(name, variables)) return true
    return false
  }
  if (!resource.isNegated) return { namesAccount, coversResource: isMatch }
  return {
    namesAccount,
    coversResource(name, variables) {
      // "All but this client's own" is undecidable without the client's value, so it allows
      // nothing.
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
  /** What a pattern matches whose variable has a value that is not usable. */
  readonly unusable: 'nothing' | 'anything'
}

/**
 * An ARN is compared field by field, as in IAM: a `*` in the account field does not reach into the
 * topic, where a colon is an ordinary character. Variables may be used in the last field only, as
 * in IAM.
 */
function compileResource(text: string, context: ResourceContext): ResourcePattern {
  const { where, unusable } = context
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
  const rest = compilePattern(name.rest, where, { unusable })
  return {
    namesAccount: owner.namesAccount,
    isUnresolved: (variables) => rest.isUnresolved(variables),
    matches: (given, variables) =>
      given !== undefined && owner.matches(given.owner) && rest.matches(given.rest, variables),
  }
}

/** All requests of a server name the same owner, so the result for the last owner is cached. */
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
    /** Requests never name resources of other services. */
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
/** The service in all ARNs of `resourceArn`. */
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
