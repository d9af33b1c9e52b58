import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLinearEngine } from '../../../src/sql/regex/linear-engine.ts'
import { createMachineEngine, machineWorkMax } from '../../../src/sql/regex/machine-engine.ts'
import { compileProgram, programSizeMax } from '../../../src/sql/regex/program.ts'
import { createRe2Engine } from '../../../src/sql/regex/re2-engine.ts'
import { patternLengthMax, readPattern } from '../../../src/sql/regex/reader.ts'
import { compileRegex, findRegexProblem } from '../../../src/sql/regex/regex.ts'
import type { RegexMode } from '../../../src/sql/values/dialect.ts'
import type { Regex } from '../../../src/sql/regex/regex.ts'

function regexOf(source: string, mode: RegexMode = 'linear'): Regex {
  const compiled = compileRegex(source, mode)
  if (compiled.kind === 'problem') throw new Error(compiled.problem.problem)
  return compiled.regex
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

describe('no text stops a linear search', () => {
  const hostile = `${'a'.repeat(100_000)}!`

  test.each([
    ['(a+)+$', false],
    ['(a|aa)+$', false],
    ['(a*)*$', true],
    ['(?m)^(a|a?)+$', false],
    ['(\\w+\\s?)*\\b!x', false],
    ['.*.*=.*', false],
  ])('%s', (source, matches) => {
    expect(regexOf(source).matches(hostile)).toBe(matches)
  })

  test('a search that reads on to the end from every match is given up', () => {
    // Each match is one character, and each search for it reads all the rest.
    expect(regexOf('a*b|a').replaceAll('a'.repeat(100_000), '-')).toBeUndefined()
    expect(regexOf('a*b|a').replaceAll('a'.repeat(1_000), '-')).toBe('-'.repeat(1_000))
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
    expect(createMachineEngine(program).open('a'.repeat(200_000)).find(0, 0)).toBe('tooLong')
    expect(machineWorkMax).toBeLessThan(1e8)
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

/** Patterns of what both linear engines run, without empty rounds, where only the machine is asked. */
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

test('both linear engines find the same matches and groups', () => {
  fc.assert(
    fc.property(anyPattern, anyText, (source, text) => {
      const read = readPattern(source)
      if (read.kind !== 'pattern') throw new Error(read.problem)
      const program = compileProgram(read.pattern)
      const re2 = createRe2Engine(read.pattern)
      if (program === undefined || re2 === undefined || !re2.isExactOn(text)) return
      const [one, other] = [createMachineEngine(program), re2].map((engine) => {
        const found = engine.open(text).find(0, 0)
        if (typeof found === 'string') return found
        const groups = Array.from({ length: read.pattern.groupCount + 1 }, (_, index) =>
          found.group(index),
        )
        return { start: found.start, end: found.end, groups }
      })
      expect(one).toEqual(other)
    }),
    { numRuns: 2_000 },
  )
})

/** Whether a problem lies inside the pattern, or what the functions answer fits together. */
function isConsistent(source: string, text: string, replacement: string): boolean {
  const compiled = compileRegex(source, 'backtracking')
  if (compiled.kind === 'problem') {
    const { at } = compiled.problem
    return at >= 0 && at <= source.length
  }
  const { regex } = compiled
  const matches = regex.matches(text) ?? false
  const replaced = regex.replaceAll(text, replacement)
  return matches === (regex.firstMatch(text) !== undefined) && (matches || replaced === text)
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

test('a linear engine that has used up re2js goes on where it was', () => {
  const read = readPattern('[ab]')
  const engine = read.kind === 'pattern' ? createLinearEngine(read.pattern) : undefined
  if (engine === undefined) throw new Error('no engine')
  const text = 'ab-'.repeat(20_000)
  const search = engine.open(text)
  let count = 0
  for (let from = 0; ;) {
    const found = search.find(from, from)
    if (typeof found === 'string') break
    expect(found.start).toBe(Math.floor(count / 2) * 3 + (count % 2))
    count++
    from = found.end
  }
  expect(count).toBe(40_000)
})
