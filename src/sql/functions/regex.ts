/** Functions that use regular expressions in Java's dialect: see regex/regex.ts. */
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Expression } from '../parser/ast.ts'
import { toText } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import { numberFromText } from '../values/numbers.ts'
import { patternLengthMax } from '../regex/reader.ts'
import { compileRegex, findRegexProblem } from '../regex/regex.ts'
import type { Regex } from '../regex/regex.ts'
import type { Value } from '../values/values.ts'
import { newWork, spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { ArgumentProblem, Implementation, SqlFunction } from './function.ts'

export const regexFunctions: readonly SqlFunction[] = [
  regexFunction('regexp_matches', 2, (regex, { text, work }) => regex.matches(text, work)),
  regexFunction('regexp_substr', 2, (regex, { text, work }) => regex.firstMatch(text, work)),
  regexFunction('regexp_replace', 3, (regex, { text, replacement, work }) =>
    replacement === undefined ? undefined : regex.replaceAll(text, replacement, work),
  ),
]

interface Input {
  readonly text: string
  readonly replacement: string | undefined
  readonly work: Work
}

type Run = (regex: Regex, input: Input) => Value
type FindRegex = (pattern: string, dialect: Dialect, work: Work) => Regex | undefined

/** Undefined when an argument has no text, or when the pattern cannot be run. */
function regexFunction(name: string, argumentCount: number, run: Run): SqlFunction {
  const implementationWith =
    (find: FindRegex): Implementation =>
    ([value, patternValue, replacementValue], { state: work }, dialect) => {
      const text = toText(value, dialect, work)
      const pattern = toText(patternValue, dialect, work)
      if (text === undefined || pattern === undefined) return undefined
      const regex = find(pattern, dialect, work)
      if (regex === undefined) return undefined
      return run(regex, { text, replacement: toText(replacementValue, dialect, work), work })
    }
  return {
    name,
    sinceVersion: '2015-10-08',
    arity: [argumentCount, argumentCount],
    implementation: implementationWith(compileNow),
    prepare: ([, pattern], dialect) => {
      const constant = constantText(pattern, dialect)
      if (constant === undefined) return implementationWith(createRecentPatterns())
      const regex = compile(constant, dialect)
      return implementationWith(() => regex)
    },
    findProblem: ([, pattern], dialect) => findPatternProblem(pattern, dialect),
  }
}

function compile(pattern: string, { regex: mode = 'linear' }: Dialect): Regex | undefined {
  const compiled = compileRegex(pattern, mode)
  return compiled.kind === 'regex' ? compiled.regex : undefined
}

/** The steps for compiling a pattern, and for each of its characters. */
const compileSteps = 1_500
const characterSteps = 500

/** A pattern that comes with the message. @throws WorkSpent */
function compileNow(pattern: string, dialect: Dialect, work: Work): Regex | undefined {
  spend(work, compileSteps + pattern.length * characterSteps)
  return compile(pattern, dialect)
}

/** Patterns that one call keeps compiled, the latest ones, where they come with the message. */
const recentPatternsMax = 16

function createRecentPatterns(): FindRegex {
  const recent = createBoundedMap<string, Regex | undefined>(recentPatternsMax)
  return (pattern, dialect, work) => {
    if (pattern.length > patternLengthMax) return undefined
    return recent.getOrMake(pattern, () => compileNow(pattern, dialect, work))
  }
}

/**
 * The problem of a pattern in the statement. A pattern that only Java accepts is refused. A pattern
 * that Java refuses gets a warning, because in AWS IoT the call is also Undefined for every
 * message.
 */
function findPatternProblem(
  pattern: Expression | undefined,
  dialect: Dialect,
): ArgumentProblem | undefined {
  const text = constantText(pattern, dialect)
  if (pattern === undefined || text === undefined) return undefined
  const found = findRegexProblem(text, dialect.regex ?? 'linear')
  if (found === undefined) return undefined
  const { problem, at } = found
  // Quotes may be doubled in the statement, so the place behind a quote is not known.
  const isPlaceKnown = pattern.kind === 'constant' && !/['"]/.test(text.slice(0, at))
  return {
    at: isPlaceKnown ? pattern.at + 1 + at : pattern.at,
    problem,
    ...(found.kind === 'invalid' && { isWarning: true }),
  }
}

/** The text of a literal; undefined for expressions that depend on the message. */
function constantText(expression: Expression | undefined, dialect: Dialect): string | undefined {
  if (expression?.kind === 'constant') return toText(expression.value, dialect, newWork())
  if (expression?.kind !== 'number') return undefined
  return toText(numberFromText(expression.text), dialect, newWork())
}
