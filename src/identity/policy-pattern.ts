import { SluiceError } from '../errors.ts'

/**
 * Patterns of policies: actions and resources with `*` (any characters, none too), `?` (exactly one
 * character) and, in resources, policy variables.
 *
 *   ${iot:ClientId}       what the request gives for it, character by character
 *   ${*}  ${?}  ${$}      the character itself (IAM User Guide, "Policy elements: Variables")
 *
 * `+` and `#` are ordinary characters (AWS IoT Developer Guide, "Publish/Subscribe policy examples").
 *
 * Invariants:
 * - Characters are Unicode code points, so that `?` stands for one that UTF-16 needs two units for.
 * - What a variable gives is compared literally. A value that holds one of `* ? $ + #` is not put in
 *   at all, and the pattern matches nothing (AWS IoT, "X.509 Certificate policy variable
 *   limitations"): a client named `+` must not come by `topicfilter/dt/+/x` of all the others.
 * - Time is at most the length of the text times that of the longest run between two `*`; there is
 *   no recursion, and a `*` that was passed is never taken up again.
 */
export interface Pattern {
  /** Whether a variable of the pattern has no usable value; it then matches nothing. */
  isUnresolved(variables: PolicyVariables): boolean
  matches(text: readonly number[], variables: PolicyVariables): boolean
}

export const policyVariableNames = [
  'iot:ClientId',
  'iot:Certificate.Subject.CommonName',
  'iot:Connection.Thing.ThingName',
] as const
export type PolicyVariableName = (typeof policyVariableNames)[number]
export type PolicyVariables = Readonly<Partial<Record<PolicyVariableName, string>>>

/** A code point, `anyOne` or the name of a variable. */
type Element = number | PolicyVariableName
/** Stands for `?`: no code point is negative. */
const anyOne = -1
/** What lies between two `*`. */
type Run = readonly Element[]

const escapes: readonly string[] = ['*', '?', '$']
const wildcardInValue = /[*?$+#]/

/** The code points of a text. */
export function codePointsOf(text: string): number[] {
  const points: number[] = []
  for (let index = 0; index < text.length; index++) {
    const point = text.codePointAt(index) ?? 0
    if (point > 0xffff) index++
    points.push(point)
  }
  return points
}

/**
 * @param text a pattern without variables; compared without regard to ASCII case
 * @throws SluiceError MalformedPolicyException
 */
export function compileActionPattern(text: string, where: string): (action: string) => boolean {
  if (text.includes('$')) throw malformed(where, `${text}: an action takes no policy variable`)
  const pattern = compilePattern(text.toLowerCase(), where)
  return (action) => pattern.matches(codePointsOf(action.toLowerCase()), {})
}

/** @throws SluiceError MalformedPolicyException: an unknown or unclosed variable */
export function compilePattern(text: string, where: string): Pattern {
  const runs = runsOf(text, where)
  const names = runs.flat().filter((element) => typeof element === 'string')
  const isUnresolved = (variables: PolicyVariables) =>
    names.some((name) => !isUsable(variables[name]))
  const literalRuns = names.length === 0 ? (runs as number[][]) : undefined
  return Object.freeze({
    isUnresolved,
    matches(given: readonly number[], variables: PolicyVariables) {
      if (literalRuns) return matchRuns(literalRuns, given)
      if (isUnresolved(variables)) return false
      return matchRuns(
        runs.map((run) => resolve(run, variables)),
        given,
      )
    },
  })
}

function isUsable(value: string | undefined): boolean {
  return value !== undefined && value !== '' && !wildcardInValue.test(value)
}

function resolve(run: Run, variables: PolicyVariables): number[] {
  return run.flatMap((element) =>
    typeof element === 'string' ? codePointsOf(variables[element] ?? '') : [element],
  )
}

function runsOf(text: string, where: string): Run[] {
  const runs: Element[][] = [[]]
  for (let index = 0; index < text.length;) {
    const variable = variableAt(text, index, where)
    if (variable) {
      runs.at(-1)?.push(variable.element)
      index = variable.end
      continue
    }
    const point = text.codePointAt(index) ?? 0
    const character = String.fromCodePoint(point)
    if (character === '*') runs.push([])
    else runs.at(-1)?.push(character === '?' ? anyOne : point)
    index += character.length
  }
  return runs
}

/** `${...}` at this place; a dollar sign without a bracket is a dollar sign, as in `$aws/things`. */
function variableAt(text: string, start: number, where: string) {
  if (!text.startsWith('${', start)) return undefined
  const close = text.indexOf('}', start)
  if (close < 0) throw malformed(where, `${text}: a policy variable is not closed`)
  const name = text.slice(start + 2, close)
  const end = close + 1
  if (escapes.includes(name)) return { element: name.codePointAt(0) ?? 0, end }
  const known = policyVariableNames.find((candidate) => candidate === name)
  if (known !== undefined) return { element: known, end }
  throw malformed(
    where,
    `\${${name}} is not a policy variable of this engine; it has ` +
      `${policyVariableNames.map((each) => `\${${each}}`).join(', ')} and \${*}, \${?}, \${$}`,
  )
}

/** The first run begins the text, the last ends it, the others follow each other as early as can be. */
function matchRuns(runs: readonly (readonly number[])[], text: readonly number[]): boolean {
  const [first = [], ...others] = runs
  const last = others.pop()
  if (last === undefined) return first.length === text.length && isAt(first, text, 0)
  if (first.length + last.length > text.length || !isAt(first, text, 0)) return false
  const lastStart = text.length - last.length
  if (!isAt(last, text, lastStart)) return false
  let position = first.length
  for (const run of others) {
    while (position + run.length <= lastStart && !isAt(run, text, position)) position++
    position += run.length
    if (position > lastStart) return false
  }
  return true
}

function isAt(run: readonly number[], text: readonly number[], position: number): boolean {
  for (let index = 0; index < run.length; index++) {
    const expected = run[index]
    if (expected !== anyOne && expected !== text[position + index]) return false
  }
  return true
}

export function malformed(where: string, message: string): SluiceError {
  return new SluiceError('MalformedPolicyException', `${where}: ${message}`)
}
