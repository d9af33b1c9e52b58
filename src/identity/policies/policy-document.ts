import { malformed } from './policy-pattern.ts'

/**
 * Reads the JSON of a policy (IAM User Guide, "Grammar of the IAM JSON policy language"; AWS IoT
 * Developer Guide, "AWS IoT Core policies"). What this engine would not enforce is refused by its
 * name: a policy is never taken and silently applied in part.
 */
export interface PolicyStatement {
  readonly effect: 'Allow' | 'Deny'
  readonly action: { readonly texts: readonly string[]; readonly isNegated: boolean }
  readonly resource: { readonly texts: readonly string[]; readonly isNegated: boolean }
  /** What `iot:Connection.Thing.IsAttached` must be; undefined without a condition. */
  readonly isAttached?: boolean | undefined
  /** For messages: `Statement[0]`. */
  readonly where: string
}

export const policyLimits = Object.freeze({
  /** Characters of a document as JSON without blanks; AWS IoT takes 2048, IAM 6144 or 10,240. */
  documentCharactersMax: 20_480,
  statementsMax: 200,
  /** Of Action, NotAction, Resource or NotResource in one statement. */
  entriesMax: 200,
})

export const policyVersion = '2012-10-17'
export const documentMembers: readonly string[] = ['Version', 'Id', 'Statement']
export const statementMembers: readonly string[] = [
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]

/** @throws SluiceError MalformedPolicyException, naming the member */
export function readPolicyDocument(document: unknown, where: string): readonly PolicyStatement[] {
  const policy = recordOf(document, where)
  const size = JSON.stringify(policy).length
  if (size > policyLimits.documentCharactersMax) {
    throw malformed(where, `${size} characters; ${policyLimits.documentCharactersMax} are taken`)
  }
  refuseUnknown(policy, documentMembers, where)
  if (policy['Version'] !== policyVersion) {
    throw malformed(
      where,
      `Version must be "${policyVersion}": policy variables have no meaning in the older one`,
    )
  }
  refuseNonText(policy['Id'], where, 'Id')
  const given = policy['Statement']
  const statements: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (given === undefined || statements.length === 0) throw malformed(where, 'Statement is missing')
  if (statements.length > policyLimits.statementsMax) {
    throw malformed(where, `more than ${policyLimits.statementsMax} statements`)
  }
  return statements.map((statement, index) =>
    readStatement(statement, `${where}: Statement[${index}]`),
  )
}

function readStatement(value: unknown, where: string): PolicyStatement {
  const statement = recordOf(value, where)
  for (const name of ['Principal', 'NotPrincipal']) {
    if (name in statement) {
      throw malformed(where, `${name} is for policies of resources; this one belongs to a caller`)
    }
  }
  refuseUnknown(statement, statementMembers, where)
  refuseNonText(statement['Sid'], where, 'Sid')
  const effect = statement['Effect']
  if (effect !== 'Allow' && effect !== 'Deny') {
    throw malformed(where, 'Effect must be "Allow" or "Deny"')
  }
  return {
    effect,
    action: entriesOf(statement, 'Action', where),
    resource: entriesOf(statement, 'Resource', where),
    isAttached: readCondition(statement['Condition'], where),
    where,
  }
}

function entriesOf(
  statement: Readonly<Record<string, unknown>>,
  name: 'Action' | 'Resource',
  where: string,
): PolicyStatement['action'] {
  const negated = `Not${name}`
  const isNegated = negated in statement
  if (isNegated === name in statement)
    throw malformed(where, `give ${name} or ${negated}, one of both`)
  const member = isNegated ? negated : name
  const given = statement[member]
  const texts: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (texts.length === 0) throw malformed(where, `${member} is empty`)
  if (texts.length > policyLimits.entriesMax) {
    throw malformed(where, `${member} has more than ${policyLimits.entriesMax} entries`)
  }
  if (!texts.every((text) => typeof text === 'string' && text !== '')) {
    throw malformed(where, `${member} must be a text or a list of texts`)
  }
  return { texts: texts as readonly string[], isNegated }
}

/** The one key that is evaluated; in any case, as in IAM. */
const attachedKey = 'iot:connection.thing.isattached'

/**
 * Passing over a condition would allow more than the policy says, so that all are refused but
 * `{"Bool": {"iot:Connection.Thing.IsAttached": "true"}}`, in any form that IAM takes.
 */
function readCondition(condition: unknown, where: string): boolean | undefined {
  if (condition === undefined) return undefined
  const operators = Object.entries(recordOf(condition, `${where}.Condition`))
  const [first] = operators
  if (first === undefined) return undefined
  const [operator, given] = first
  const keys = Object.entries(recordOf(given, `${where}.Condition.${operator}`))
  const [only] = keys
  const isAlone = operators.length === 1 && keys.length === 1
  if (isAlone && only && operator === 'Bool' && only[0].toLowerCase() === attachedKey) {
    const [key, value] = only
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    const text = String(values[0])
    if (values.length === 1 && /^(?:true|false)$/.test(text)) return text === 'true'
    throw malformed(where, `Condition.Bool.${key} must be "true" or "false"`)
  }
  const names = operators.map(([name]) => name).join(', ')
  throw malformed(
    where,
    `Condition (${names}) is not evaluated by this engine: only Bool with ` +
      'iot:Connection.Thing.IsAttached is',
  )
}

function refuseUnknown(
  record: Readonly<Record<string, unknown>>,
  known: readonly string[],
  where: string,
): void {
  const unknown = Object.keys(record).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const wanted = known.find((name) => name.toLowerCase() === unknown.toLowerCase())
  const hint = wanted === undefined ? '' : `; did you mean ${wanted}?`
  throw malformed(where, `${unknown} is not a known member${hint}`)
}

function refuseNonText(value: unknown, where: string, name: string): void {
  if (value === undefined || typeof value === 'string') return
  throw malformed(where, `${name} must be a text`)
}

function recordOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw malformed(where, 'must be a JSON object')
}
