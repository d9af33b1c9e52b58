import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMachineEngine } from '../../../src/sql/regex/machine-engine.ts'
import { compileProgram, programSizeMax } from '../../../src/sql/regex/program.ts'
import { createRe2Engine } from '../../../src/sql/regex/re2-engine.ts'
import { createSweepEngine } from '../../../src/sql/regex/sweep-engine.ts'
import { patternLengthMax, readPattern } from '../../../src/sql/regex/reader.ts'
import { compileRegex, findRegexProblem } from '../../../src/sql/regex/regex.ts'
import type { RegexMode } from '../../../src/sql/values/dialect.ts'
import { WorkSpent, newWork, workMax } from '../../../src/sql/values/work.ts'
import type { Engine, Match } from '../../../src/sql/regex/engine.ts'

/** Each call has the work of a whole rule. */
function regexOf(source: string, mode: RegexMode = 'linear') {
  const compiled = compileRegex(source, mode)
  if (compiled.kind === 'problem') throw new Error(compiled.problem.problem)
  const { regex } = compiled
  return {
    matches: (text: string) => regex.matches(text, newWork()),
    firstMatch: (text: string) => regex.firstMatch(text, newWork()),
    replaceAll: (text: string, by: string) => regex.replaceAll(text, by, newWork()),
  }
}

const problemOf = (source: string, mode: RegexMode = 'linear') => findRegexProblem(source, mode)

describe('what needs to go back is told by name and place', () => {
  test.each([
    ['x(?=a)', 'a look-ahead', 1],
    ['ab(?!c)', 'a look-ahead', 2],
    ['(?<=a)b', 'a look-behind', 0],
    ['(?<!a)b', 'a look-behind', 0],
    ['(a)b\\1', 'a backreference', 4],
    ['(?<n>a)\\k<n>', 'a backreference', 7],
    ['a(?>b)', 'an atomic group', 1],
    ['ab*+', 'a possessive quantifier', 2],
    ['\\Q(?=\\Ea{2}+', 'a possessive quantifier', 8],
  ])('%s has %s at %i', (source, construct, at) => {
    expect(problemOf(source)).toEqual({
      kind: 'needsBacktracking',
      at,
      problem: expect.stringMatching(
        new RegExp(`has ${construct}, which takes SLUICE_REGEX=backtracking`),
      ),
    })
    expect(problemOf(source, 'backtracking')).toBeUndefined()
  })

  test.each([
    ['\\X', 'a grapheme cluster'],
    ['a\\b{g}', 'a grapheme boundary'],
    ['\\N{DIGIT ONE}', 'a character by its name'],
    ['(?c)a', 'canonical equivalence'],
    ['(?i)(a)\\1', 'a backreference that ignores case'],
    ['(?:(a)|b)\\1', 'a backreference to a group that may not have matched'],
    ['\\1(a)', 'a backreference to a group that may not have matched'],
    ['(?<=a++)b', 'a possessive quantifier inside a look-behind'],
    ['\\G(?=a)', 'together with a look-ahead'],
  ])('%s is beyond every mode: %s', (source, construct) => {
    expect(problemOf(source, 'backtracking')).toMatchObject({
      kind: 'unsupported',
      problem: expect.stringContaining(construct),
    })
  })
})

describe('a text that Java refuses is told with its place', () => {
  test.each([
    ['(', 0],
    ['ab)', 2],
    ['x[a', 3],
    ['*a', 0],
    ['a**', 2],
    ['ab[z-a]', 3],
    ['a{2,1}', 1],
    ['x\\y', 1],
    ['\\p{Nope}', 0],
    ['😀(?<a>b)(?<a>c)', 9],
  ])('%s at %i', (source, at) => {
    expect(problemOf(source)).toMatchObject({ kind: 'invalid', at })
  })
})

describe('bounds', () => {
  const tooLarge = { kind: 'unsupported', problem: expect.stringContaining('too large') }

  test.each([
    ['repeats inside repeats', '((a{1000}){1000}){1000}'],
    ['a repeat over the size of a program', `a{${programSizeMax + 1}}`],
    ['the largest count', 'a{1,2147483647}'],
    ['a long pattern', 'a'.repeat(patternLengthMax + 1)],
    ['deep brackets', '('.repeat(200) + ')'.repeat(200)],
    ['deep classes', '['.repeat(200) + 'a' + ']'.repeat(200)],
    ['many large classes', '\\p{L}'.repeat(1_000)],
    ['many groups', '()'.repeat(300)],
  ])('%s', (_, source) => {
    expect(problemOf(source)).toMatchObject(tooLarge)
  })

  test.each(['((?:){1000}){1000}', '(?:(?:){2147483647}){2147483647}', '(?:(?:a{0}){9999}){9999}'])(
    'repeats of nothing take no room: %s',
    (source) => {
      expect(regexOf(source).matches('')).toBe(true)
    },
  )

  test('a repeat that RE2 does not take runs on the machine', () => {
    const read = readPattern('^a{1500}$')
    if (read.kind !== 'pattern') throw new Error(read.problem)
    expect(createRe2Engine(read.pattern)).toBeUndefined()
    expect(regexOf('^a{1500}$').matches('a'.repeat(1_500))).toBe(true)
    expect(regexOf('^a{1500}$').matches('a'.repeat(1_501))).toBe(false)
  })

  test('a replaced text has a greatest length', () => {
    const text = 'a'.repeat(2_000)
    expect(regexOf('a').replaceAll(text, 'b'.repeat(500))).toHaveLength(1_000_000)
    expect(regexOf('a').replaceAll(text, 'b'.repeat(600))).toBeUndefined()
  })
})

const hostile = (letters: number) => `${'a'.repeat(letters)}!`

describe('no text stops a linear search', () => {
  test.each([
    ['(a+)+$', 100_000, false],
    ['(a|aa)+$', 100_000, false],
    // The machine runs these, because their rounds can be empty.
    ['(a*)*$', 20_000, true],
    ['(?m)^(a|a?)+$', 20_000, false],
    ['(\\w+\\s?)*\\b!x', 100_000, false],
    ['.*.*=.*', 100_000, false],
  ])('%s on %i letters', (source, letters, matches) => {
    expect(regexOf(source).matches(hostile(letters))).toBe(matches)
  })

  test.each(['a*b|a', '[a-z]+;|[a-z]', '(?:a|aa)+;|a'])(
    'all matches of %s are found, though each search for one would read on to the end',
    (source) => {
      const text = 'a'.repeat(100_000)
      expect(regexOf(source).replaceAll(text, '-')).toBe('-'.repeat(100_000))
    },
  )

  test('where all matches cannot be found at once, the work that they take is spent', () => {
    // A repeat whose rounds may be empty: each match is one character, and each search reads on.
    const source = '(?:a*)*b|a'
    expect(regexOf(source).replaceAll('a'.repeat(200), '-')).toBe('-'.repeat(200))
    expect(() => regexOf(source).replaceAll('a'.repeat(100_000), '-')).toThrow(WorkSpent)
  })

  test('many matches alone are no reason to give up', () => {
    const lines = 'temperature 21.5\n'.repeat(7_000)
    expect(regexOf('\\n').replaceAll(lines, ';')).toBe('temperature 21.5;'.repeat(7_000))
    expect(regexOf('(?m)$').replaceAll('a\r\n'.repeat(9_000), '')).toBe('a\r\n'.repeat(9_000))
  })

  test('the work of the machine is counted', () => {
    const read = readPattern('(?:a?){200}b\\G')
    const program = read.kind === 'pattern' ? compileProgram(read.pattern) : undefined
    if (program === undefined) throw new Error('no program')
    const work = newWork()
    const search = createMachineEngine(program).open('a'.repeat(200_000), work)
    expect(() => search.find(0, 0)).toThrow(WorkSpent)
    expect(work.stepsLeft).toBeLessThan(0)
    expect(work.stepsLeft).toBeGreaterThan(-workMax / 100)
  })
})

test('a group that takes no part gives nothing', () => {
  expect(regexOf('(a)|(b)').replaceAll('ab', '<$1$2>')).toBe('<a><b>')
})

test('a pair of surrogates is one character, a lone one is itself', () => {
  expect(regexOf('.').replaceAll('a😀', '-')).toBe('--')
  expect(regexOf('').replaceAll('a😀b', '-')).toBe('-a-😀-b-')
  expect(regexOf('(?!b)', 'backtracking').replaceAll('😀b', '-')).toBe('-😀b-')
  expect(regexOf('^.$').matches('\ud83d')).toBe(true)
  expect(regexOf('\\p{Cs}').firstMatch('a\ude00')).toBe('\ude00')
})

/**
 * Patterns of what both linear engines run, without empty rounds, where only the machine is asked.
 */
const { pattern: anyPattern } = fc.letrec<{ atom: string; part: string; pattern: string }>(
  (tie) => ({
    atom: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', '\\w', 'é', '\\b', '^', '$', '(?m)^', 'ab'),
      tie('pattern').map((inner) => `(${inner})`),
      tie('pattern').map((inner) => `(?:${inner})`),
    ),
    part: fc
      .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '*?', '{1,2}'))
      .map(([atom, quantifier]) => atom + quantifier),
    pattern: fc
      .array(fc.array(tie('part'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
      .map((branches) => branches.map((parts) => parts.join('')).join('|')),
  }),
)
const anyText = fc
  .array(fc.constantFrom('a', 'b', ' ', '\n', '\r\n', 'é', '😀', '-'), { maxLength: 8 })
  .map((characters) => characters.join(''))

function matchOf(found: Match, groupCount: number) {
  const groups = Array.from({ length: groupCount + 1 }, (_, index) => found.group(index))
  return { start: found.start, end: found.end, groups }
}

test('both linear engines find the same matches and groups', () => {
  fc.assert(
    fc.property(anyPattern, anyText, (source, text) => {
      const read = readPattern(source)
      if (read.kind !== 'pattern') throw new Error(read.problem)
      const program = compileProgram(read.pattern)
      const re2 = createRe2Engine(read.pattern)
      if (program === undefined || re2 === undefined || !re2.isExactOn(text)) return
      const [one, other] = [createMachineEngine(program), re2].map((engine) => {
        const found = engine.open(text, newWork()).find(0, 0)
        return found && matchOf(found, read.pattern.groupCount)
      })
      expect(one).toEqual(other)
    }),
    { numRuns: 2_000 },
  )
})

/** All matches one after the other, as replacing goes from one to the next. */
function allMatches(engine: Engine, text: string, groupCount: number) {
  const search = engine.open(text, newWork())
  const matches: ReturnType<typeof matchOf>[] = []
  for (let from = 0, searchStart = 0; from <= text.length;) {
    const found = search.find(from, searchStart)
    if (found === undefined) break
    matches.push(matchOf(found, groupCount))
    searchStart = found.end
    const width = (text.codePointAt(found.end) ?? 0) > 0xffff ? 2 : 1
    from = found.end === found.start ? found.end + width : found.end
  }
  return matches
}

test('the sweep finds the matches that the machine finds, one search after the other', () => {
  let swept = 0
  fc.assert(
    fc.property(anyPattern, anyText, (source, text) => {
      const read = readPattern(source)
      const program = read.kind === 'pattern' ? compileProgram(read.pattern) : undefined
      if (program === undefined || read.kind !== 'pattern') throw new Error('no program')
      const sweep = createSweepEngine(program)
      if (sweep === undefined) return
      swept += 1
      const { groupCount } = read.pattern
      const expected = allMatches(createMachineEngine(program), text, groupCount)
      expect(allMatches(sweep, text, groupCount)).toEqual(expected)
    }),
    { numRuns: 3_000 },
  )
  expect(swept).toBeGreaterThan(300)
})

/** Whether a problem lies inside the pattern, or what the functions answer fits together. */
function isConsistent(source: string, text: string, replacement: string): boolean {
  const compiled = compileRegex(source, 'backtracking')
  if (compiled.kind === 'problem') {
    const { at } = compiled.problem
    return at >= 0 && at <= source.length
  }
  const { regex } = compiled
  const matches = regex.matches(text, newWork())
  const replaced = regex.replaceAll(text, replacement, newWork())
  return (
    matches === (regex.firstMatch(text, newWork()) !== undefined) && (matches || replaced === text)
  )
}

test('any text is a pattern or has a problem inside it, and any search ends in an answer', () => {
  const syntax = '( ) [ ] { } * + ? | \\ ^ $ . a 1 , - & < > : = ! i Q E p L x u k # 😀 (? \\p{'
  const anySource = fc
    .array(fc.constantFrom(...syntax.split(' ')), { maxLength: 12 })
    .map((characters) => characters.join(''))
  fc.assert(
    fc.property(anySource, anyText, fc.string(), (source, text, replacement) => {
      expect(isConsistent(source, text, replacement)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
