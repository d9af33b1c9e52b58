import * as fc from 'fast-check'

/**
 * A literal and slow evaluation of policies, to compare the fast one with. A statement has one
 * effect, one action and one resource.
 */
export interface NaiveStatement {
  readonly effect: 'Allow' | 'Deny'
  readonly action: string
  /** Of the last field of the ARN. */
  readonly resource: string
}

export const owner = { region: 'us-east-1', accountId: '123456789012' }
export const arn = (resource: string) => `arn:aws:iot:us-east-1:123456789012:${resource}`

export const documentOf = (statements: readonly NaiveStatement[]) => ({
  Version: '2012-10-17',
  Statement: statements.map(({ effect, action, resource }) => ({
    Effect: effect,
    Action: action,
    Resource: resource === '*' ? '*' : arn(resource),
  })),
})

/** Whether a request is allowed; `variables` has the values by `iot:...`. */
export function isAllowedNaively(
  statements: readonly NaiveStatement[],
  request: { readonly action: string; readonly resource: string },
  variables: Readonly<Record<string, string | undefined>>,
): boolean {
  const effects = statements
    .filter(
      ({ effect, action, resource }) =>
        matches(tokensOf(action, {}), Array.from(request.action)) &&
        (resource === '*' ||
          matches(tokensOf(resource, variables, effect), Array.from(request.resource))),
    )
    .map(({ effect }) => effect)
  return effects.includes('Allow') && !effects.includes('Deny')
}

type Token = { readonly literal: string } | 'one' | 'any' | 'never'

function tokensOf(
  pattern: string,
  variables: Readonly<Record<string, string | undefined>>,
  effect: NaiveStatement['effect'] = 'Allow',
): Token[] {
  const tokens: Token[] = []
  for (const [part] of pattern.matchAll(/\$\{[^}]*\}|./gsu)) {
    if (part === '*') tokens.push('any')
    else if (part === '?') tokens.push('one')
    else if (['${*}', '${?}', '${$}'].includes(part)) tokens.push({ literal: part.charAt(2) })
    else if (part.startsWith('${')) {
      const value = variables[part.slice(2, -1)] ?? ''
      const isUsable = value !== '' && !/[*?$+#]/.test(value)
      const unusable = effect === 'Deny' && value !== '' ? ('any' as const) : ('never' as const)
      tokens.push(...(isUsable ? Array.from(value, (literal) => ({ literal })) : [unusable]))
    } else tokens.push({ literal: part })
  }
  return tokens
}

function matches([token, ...tokens]: readonly Token[], text: readonly string[]): boolean {
  if (token === undefined) return text.length === 0
  const [character, ...rest] = text
  if (token === 'never') return false
  if (token === 'any') {
    return matches(tokens, text) || (character !== undefined && matches([token, ...tokens], rest))
  }
  if (character === undefined) return false
  return (token === 'one' || token.literal === character) && matches(tokens, rest)
}

export const variableNames = [
  'iot:ClientId',
  'iot:Certificate.Subject.CommonName',
  'iot:Connection.Thing.ThingName',
] as const

/** What names and patterns are made of: little, so that they meet often. */
const letters = ['a', 'b', '/', ':', '+', '#', '$', 'é', '𝒳'] as const
const kinds = ['topic/', 'topicfilter/', 'client/'] as const
export const actions = [
  'iot:Connect',
  'iot:Publish',
  'iot:RetainPublish',
  'iot:Subscribe',
  'iot:Receive',
] as const

export const names = fc
  .array(fc.constantFrom(...letters, '*', '?'), { minLength: 1, maxLength: 7 })
  .map((parts) => parts.join(''))

const patterns = fc
  .tuple(
    fc.constantFrom(...kinds, '*', ''),
    fc.array(
      fc.constantFrom(
        ...letters.filter((letter) => letter !== '$'),
        '*',
        '?',
        '${*}',
        '${$}',
        ...variableNames.map((name) => `\${${name}}`),
      ),
      { maxLength: 6 },
    ),
  )
  .map(([kind, parts]) => kind + parts.join(''))

export const statementLists = fc.array(
  fc.record({
    effect: fc.constantFrom('Allow' as const, 'Allow' as const, 'Deny' as const),
    action: fc.constantFrom(...actions, 'iot:*', '*', 'iot:?ublish', 'iot:*Publish'),
    resource: fc.oneof(
      { arbitrary: patterns, weight: 4 },
      { arbitrary: fc.constantFrom('*', 'topic/*', 'client/*', 'topicfilter/*'), weight: 1 },
    ),
  }),
  { minLength: 1, maxLength: 6 },
)
