/**
 * Regular expressions as java.util.regex has them, run so that no text can stop the engine.
 *
 * pattern text --reader--> tree --> re2js      linear; almost all searches
 *                                 \-> machine    linear; where RE2 has no such assertion
 *                                 \-> sweep      linear over all matches; where they take many searches
 *                                 \-> RegExp     backtracking; only where it is allowed
 *
 * No engine sees the text that a person wrote: each gets the tree, written in its own terms. What
 * was decided and measured stands in docs/decisions/0015-java-regex-on-a-linear-engine.md.
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

/** A pattern that is ready to run. Each of its functions may throw WorkSpent, and nothing else. */
export interface Regex {
  /** Whether there is a match anywhere. */
  matches(text: string, work: Work): boolean
  /** The text of the first match; undefined when there is none. */
  firstMatch(text: string, work: Work): string | undefined
  /**
   * All matches replaced, by the rules of Matcher.replaceAll.
   *
   * @param replacement with `$1`, `${name}` and `\$`; looked at only when there is a match
   * @returns undefined when the replacement is none, or the text becomes longer than a text may be
   */
  replaceAll(text: string, replacement: string, work: Work): string | undefined
}

/** Why a text cannot be run as a pattern. */
interface RegexProblem {
  /**
   * - `invalid`: Java refuses it too
   * - `needsBacktracking`: it would run with the mode `backtracking`
   * - `unsupported`: Java takes it, no engine here does
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

/** Reads a pattern of Java and compiles it for the engine that it needs. */
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

/** Why a text cannot be run as a pattern, and where; undefined when it can. */
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

/** @param engine for all matches of a text `openAll` is used where it has one */
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

/** Of putting two pieces into the result for each match. */
const stepsOfMatch = 12

/**
 * After a match the search goes on at its end. After an empty one it goes on one character later,
 * and that character stays.
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
