import { SluiceError } from '../../base/errors.ts'

/**
 * Patterns of policies: actions and resources with `*` (any characters, none too), `?` (exactly one
 * character) and, in resources, policy variables.
 *
 *   ${iot:ClientId}       the value in the request, compared literally
 *   ${*}  ${?}  ${$}      the character itself (IAM User Guide, "Policy elements: Variables")
 *
 * `+` and `#` are ordinary characters (AWS IoT Developer Guide, "Publish/Subscribe policy
 * examples").
 *
 * Invariants:
 * - `?` stands for one Unicode code point, even if UTF-16 needs two units for it.
 * - The value of a variable is compared literally. If a value contains one of `* ? $ + #`, the
 *   pattern matches nothing (AWS IoT, "X.509 Certificate policy variable limitations"): a client
 *   named `+` must not be granted `topicfilter/dt/+/x`, which covers all other clients. In a denial
 *   such a value stands for any characters instead: a client must not escape what is denied to it
 *   by its name.
 * - The pattern caches its form for the last object of variables, which must not be modified.
 * - The time is at most the length of the text times that of the longest run between two `*`; there
 *   is no recursion, and no backtracking past a `*`.
 */
interface Pattern {
  /** Whether a variable of the pattern has no usable value; it then matches nothing. */
  isUnresolved(variables: PolicyVariables): boolean
  matches(text: string, variables: PolicyVariables): boolean
}

const policyVariableNames = [
  'iot:ClientId',
  'iot:Certificate.Subject.CommonName',
  'iot:Connection.Thing.ThingName',
  'iot:Connection.Thing.ThingTypeName',
  'iot:Connection.Thing.IsAttached',
] as const
/** An attribute of the thing, by the form of its name in the registry. */
const attributeForm = /^iot:Connection\.Thing\.Attributes\[[a-zA-Z0-9_.,@/:#-]{1,128}\]$/
type AttributeVariable = `iot:Connection.Thing.Attributes[${string}]`
type PolicyVariableName = (typeof policyVariableNames)[number] | AttributeVariable
export type PolicyVariables = Readonly<Partial<Record<PolicyVariableName, string | undefined>>>

/** A literal text, any one character, or a variable. */
type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'anyOne' }
  | { readonly kind: 'variable'; readonly name: PolicyVariableName }
/** The parts between two `*`. */
type Run = readonly Part[]

const escapes: readonly string[] = ['*', '?', '$']
const wildcardInValue = /[*?$+#]/

/**
 * @param unusable what a pattern matches whose variable has a value that is not usable; a variable
 *   without a value matches nothing
 * @throws SluiceError MalformedPolicyException: an unknown or unclosed variable
 */
export function compilePattern(
  text: string,
  where: string,
  { unusable = 'nothing' }: { readonly unusable?: 'nothing' | 'anything' } = {},
): Pattern {
  const runs = runsOf(text, where)
  const parts = runs.flat()
  const names = parts.flatMap((part) => (part.kind === 'variable' ? [part.name] : []))
  const isUnresolved = (variables: PolicyVariables) =>
    names.some((name) => !isUsable(variables[name]))
  const resolve = parts.some(({ kind }) => kind === 'anyOne') ? resolveCharacters : resolveTexts
  const constant = names.length === 0 ? resolve(runs, {}) : undefined
  let last: { readonly variables: PolicyVariables; readonly matches: Matcher } | undefined

  function matcherFor(variables: PolicyVariables): Matcher {
    if (!isUnresolved(variables)) return resolve(runs, variables)
    const hasAll = names.every((name) => (variables[name] ?? '') !== '')
    if (unusable === 'nothing' || !hasAll) return matchNothing
    return resolve(
      runs.flatMap((run) => openRuns(run, variables)),
      variables,
    )
  }

  return {
    isUnresolved,
    matches(given: string, variables: PolicyVariables) {
      if (constant !== undefined) return constant(given)
      // Most calls come from the same connection as the last one, with the same object.
      if (last?.variables !== variables) {
        last = { variables, matches: matcherFor(variables) }
      }
      return last.matches(given)
    },
  }
}

/** A pattern whose variables have their values. */
type Matcher = (text: string) => boolean

const matchNothing: Matcher = () => false

/** Without `?` a run is one text, which is the fastest to compare. */
function resolveTexts(runs: readonly Run[], variables: PolicyVariables): Matcher {
  const texts = runs.map((run) => textOf(run, variables))
  return (text) => matchTexts(texts, text)
}

function resolveCharacters(runs: readonly Run[], variables: PolicyVariables): Matcher {
  const characters = runs.map((run) => charactersOf(run, variables))
  return (text) => matchCharacters(characters, Array.from(text))
}

function textOf(run: Run, variables: PolicyVariables): string {
  let text = ''
  for (const part of run) {
    if (part.kind === 'text') text += part.text
    else if (part.kind === 'variable') text += variables[part.name] ?? ''
  }
  return text
}

/** One entry for each character; undefined stands for any character. */
type Characters = readonly (string | undefined)[]

function charactersOf(run: Run, variables: PolicyVariables): Characters {
  return run.flatMap((part) =>
    part.kind === 'anyOne' ? [undefined] : Array.from(textOf([part], variables)),
  )
}

function isUsable(value: string | undefined): boolean {
  return value !== undefined && value !== '' && !wildcardInValue.test(value)
}

function runsOf(text: string, where: string): Run[] {
  const runs: Part[][] = [[]]
  for (let index = 0; index < text.length;) {
    const variable = variableAt(text, index, where)
    if (variable) {
      runs.at(-1)?.push(variable.part)
      index = variable.end
      continue
    }
    const character = String.fromCodePoint(text.codePointAt(index) ?? 0)
    if (character === '*') runs.push([])
    else runs.at(-1)?.push(character === '?' ? { kind: 'anyOne' } : literal(character))
    index += character.length
  }
  return runs.map(joinTexts)
}

/** The run with a `*` in the place of each variable whose value is not usable. */
function openRuns(run: Run, variables: PolicyVariables): Run[] {
  const opened: Part[][] = [[]]
  for (const part of run) {
    if (part.kind === 'variable' && !isUsable(variables[part.name])) opened.push([])
    else opened.at(-1)?.push(part)
  }
  return opened
}

const literal = (text: string): Part => ({ kind: 'text', text })

function joinTexts(run: Run): Run {
  const joined: Part[] = []
  for (const part of run) {
    const last = joined.at(-1)
    if (last?.kind === 'text' && part.kind === 'text') joined.pop()
    joined.push(
      last?.kind === 'text' && part.kind === 'text' ? literal(last.text + part.text) : part,
    )
  }
  return joined
}

/** Reads `${...}`; a dollar sign without a bracket is literal, as in `$aws/things`. */
function variableAt(
  text: string,
  start: number,
  where: string,
): { readonly part: Part; readonly end: number } | undefined {
  if (!text.startsWith('${', start)) return undefined
  const close = text.indexOf('}', start)
  if (close < 0) throw malformed(where, `${text}: a policy variable is not closed`)
  const name = text.slice(start + 2, close)
  const end = close + 1
  if (escapes.includes(name)) return { part: literal(name), end }
  const known = isAttribute(name)
    ? name
    : policyVariableNames.find((candidate) => candidate === name)
  if (known !== undefined) return { part: { kind: 'variable', name: known }, end }
  throw malformed(
    where,
    `\${${name}} is not a policy variable of this engine; it has ` +
      `${policyVariableNames.map((each) => `\${${each}}`).join(', ')}, ` +
      '${iot:Connection.Thing.Attributes[<name>]} and ${*}, ${?}, ${$}',
  )
}

const isAttribute = (name: string): name is AttributeVariable => attributeForm.test(name)

/** The first run begins the text, the last ends it, the others match as early as possible. */
function matchTexts(runs: readonly string[], text: string): boolean {
  const first = runs[0] ?? ''
  if (runs.length === 1) return text === first
  const last = runs[runs.length - 1] ?? ''
  const lastStart = text.length - last.length
  if (first.length > lastStart || !text.startsWith(first) || !text.endsWith(last)) return false
  let position = first.length
  for (let index = 1; index < runs.length - 1; index++) {
    const run = runs[index] ?? ''
    const found = text.indexOf(run, position)
    if (found < 0) return false
    position = found + run.length
  }
  return position <= lastStart
}

/** The same, character by character. */
function matchCharacters(runs: readonly Characters[], text: readonly string[]): boolean {
  const [first = [], ...others] = runs
  const last = others.pop()
  if (last === undefined) return first.length === text.length && isAt(first, text, 0)
  const lastStart = text.length - last.length
  if (first.length > lastStart || !isAt(first, text, 0) || !isAt(last, text, lastStart))
    return false
  let position = first.length
  for (const run of others) {
    while (position + run.length <= lastStart && !isAt(run, text, position)) position++
    position += run.length
    if (position > lastStart) return false
  }
  return true
}

function isAt(run: Characters, text: readonly string[], position: number): boolean {
  return run.every(
    (expected, index) => expected === undefined || expected === text[position + index],
  )
}

export function malformed(where: string, message: string): SluiceError {
  return new SluiceError('MalformedPolicyException', `${where}: ${message}`)
}
