/**
 * Regular expressions of java.util.regex, executed so that no text can block the engine.
 *
 *   pattern text --reader--> tree --> re2js      linear; almost all searches
 *                                 \-> machine    linear; where RE2 has no such assertion
 *                                 \-> sweep      linear over all matches, where they are many
 *                                 \-> RegExp     backtracking; only where it is allowed
 *
 * No engine gets the original text of a pattern: each gets the tree in its own form. The decisions
 * and measurements are in docs/decisions/0015-java-regex-on-a-linear-engine.md.
 */
import type { RegexMode } from '../values/dialect.ts'
import { madeText, textLengthMax } from '../values/text-limit.ts'
import { unreachable } from '../../base/unreachable.ts'
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import { createBacktrackingEngine } from './backtracking-engine.ts'
import type { Engine, Match, Search } from './engine.ts'
import { createLinearEngine } from './linear-engine.ts'
import type { LinearEngine } from './linear-engine.ts'
import type { Pattern } from './pattern.ts'
import { groupsMax, programSizeMax } from './program.ts'
import { readPattern } from './reader.ts'
import { parseReplacement } from './replacement.ts'
import type { Replacement } from './replacement.ts'

/** A compiled pattern. Its functions throw only WorkSpent. */
export interface Regex {
  /** Whether there is a match anywhere. */
  matches(text: string, work: Work): boolean
  /** The text of the first match; undefined when there is none. */
  firstMatch(text: string, work: Work): string | undefined
  /**
   * Replaces all matches like Matcher.replaceAll.
   *
   * @param replacement with `$1`, `${name}` and `\$`; read only when there is a match
   * @returns undefined when the replacement is invalid or the result exceeds `textLengthMax`
   */
  replaceAll(text: string, replacement: string, work: Work): string | undefined
}

/** The reason why a text cannot be used as a pattern. */
interface RegexProblem {
  /**
   * - `invalid`: Java refuses it too
   * - `needsBacktracking`: it runs only with the mode `backtracking`
   * - `unsupported`: Java accepts it, and no engine here does
   */
  readonly kind: 'invalid' | 'needsBacktracking' | 'unsupported'
  /** One sentence without a full stop. */
  readonly problem: string
  /** Offset in the pattern, in UTF-16 units. */
  readonly at: number
}

type CompiledRegex =
  | { readonly kind: 'regex'; readonly regex: Regex }
  | { readonly kind: 'problem'; readonly problem: RegexProblem }

/** Compiles a Java pattern for the engine that it needs. */
export function compileRegex(source: string, mode: RegexMode): CompiledRegex {
  const result = readPattern(source)
  switch (result.kind) {
    case 'pattern':
      return compilePattern(result.pattern, mode)
    case 'invalid':
      return refused(
        'invalid',
        `this is no regular expression of Java: ${result.problem}`,
        result.at,
      )
    case 'tooLarge':
      return refused(
        'unsupported',
        `this regular expression is too large: ${result.problem}`,
        result.at,
      )
    default:
      return unreachable(result)
  }
}

/** The problem of a pattern and its offset; undefined for a usable pattern. */
export function findRegexProblem(source: string, mode: RegexMode): RegexProblem | undefined {
  const compiled = compileRegex(source, mode)
  return compiled.kind === 'problem' ? compiled.problem : undefined
}

function compilePattern(pattern: Pattern, mode: RegexMode): CompiledRegex {
  const problem = findDemandProblem(pattern, mode)
  if (problem !== undefined) return { kind: 'problem', problem }
  if (pattern.demands.length > 0) {
    const engine = createBacktrackingEngine(pattern)
    if (engine === undefined) return tooLarge('RegExp does not take it')
    return { kind: 'regex', regex: createRegex(pattern, engine) }
  }
  const engine = createLinearEngine(pattern)
  if (engine === undefined) {
    return tooLarge(`written out, it is over ${programSizeMax} instructions or ${groupsMax} groups`)
  }
  const matches = (text: string, work: Work) => engine.test(text, work)
  return { kind: 'regex', regex: { ...createRegex(pattern, engine), matches } }
}

function findDemandProblem({ demands }: Pattern, mode: RegexMode): RegexProblem | undefined {
  const absent = demands.find(({ needs }) => needs === 'nothing')
  if (absent !== undefined) {
    const { construct, at } = absent
    const problem = `the regular expression has ${construct}, which Sluice does not run`
    return { kind: 'unsupported', problem, at }
  }
  const [demand] = demands
  if (demand === undefined || mode === 'backtracking') return undefined
  const problem =
    `the regular expression has ${demand.construct}, which takes SLUICE_REGEX=backtracking: ` +
    'a message made for it can then stop the engine'
  return { kind: 'needsBacktracking', problem, at: demand.at }
}

function refused(kind: RegexProblem['kind'], problem: string, at: number): CompiledRegex {
  return { kind: 'problem', problem: { kind, problem, at } }
}

function tooLarge(reason: string): CompiledRegex {
  return refused('unsupported', `this regular expression is too large: ${reason}`, 0)
}

/** @param engine `openAll`, if the engine has it, is used for all matches of a text */
function createRegex(
  pattern: Pattern,
  engine: Engine & Partial<Pick<LinearEngine, 'openAll'>>,
): Regex {
  return {
    matches: (text: string, work: Work) => engine.open(text, work).find(0, 0) !== undefined,
    firstMatch: (text: string, work: Work) => engine.open(text, work).find(0, 0)?.group(0),
    replaceAll(text: string, replacementText: string, work: Work) {
      const search = engine.openAll?.(text, work) ?? engine.open(text, work)
      const found = search.find(0, 0)
      if (found === undefined) return text
      const replacement = parseReplacement(replacementText, pattern)
      if (replacement === undefined) return undefined
      spend(work, replacementText.length)
      return replaceFrom(found, { search, replacement, text, work })
    },
  }
}

/** The steps per match, which adds two pieces to the result. */
const stepsOfMatch = 12

/**
 * The search continues at the end of a match. After an empty match it continues one character
 * later, and that character is kept.
 */
function replaceFrom(
  first: Match,
  given: {
    readonly search: Search
    readonly replacement: Replacement
    readonly text: string
    readonly work: Work
  },
): string | undefined {
  const { search, replacement, text, work } = given
  let replaced = ''
  let kept = 0
  let found: Match | undefined = first
  while (found !== undefined) {
    replaced += text.slice(kept, found.start)
    const expanded = replacement.expand(found, textLengthMax - replaced.length)
    if (expanded === undefined) return undefined
    spend(work, stepsOfMatch + (expanded.length >> 2))
    replaced += expanded
    kept = found.end
    const from = found.end === found.start ? nextCodePoint(text, found.end) : found.end
    if (from > text.length) break
    found = search.find(from, found.end)
  }
  return madeText(replaced + text.slice(kept), work)
}

function nextCodePoint(text: string, position: number): number {
  return position + ((text.codePointAt(position) ?? 0) > 0xffff ? 2 : 1)
}
