import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusalOf, valueOf, valuesByType } from './value.ts'

describe('by the type of x: Int 7, Decimal -2.5, 7.5 and abc as Strings, Boolean, ...', () => {
  test.for([
    ['lower(x)', '"7" "-2.5" "7.5" "abc" "true" "[1]" "{\\"a\\":1}" - -'],
    ['upper(x)', '"7" "-2.5" "7.5" "ABC" "TRUE" "[1]" "{\\"A\\":1}" - -'],
    ['trim(x)', '"7" "-2.5" "7.5" "abc" "true" "[1]" "{\\"a\\":1}" - -'],
    ['ltrim(x)', '"7" "-2.5" "7.5" "abc" "true" "[1]" "{\\"a\\":1}" - -'],
    ['rtrim(x)', '"7" "-2.5" "7.5" "abc" "true" "[1]" "{\\"a\\":1}" - -'],
    ['length(x)', '1 4 3 3 4 3 7 - -'],
    ['numbytes(x)', '1 4 3 3 4 3 7 - -'],
    ["startswith(x, '')", 'true true true true true true true - -'],
    ["startswith('true', x)", 'false false false false true false false - -'],
    ["endswith(x, '5')", 'false true true false false false false - -'],
    ["endswith('c', x)", 'false false false false false false false - -'],
    ["indexof(x, '5')", '-1 3 2 -1 -1 -1 -1 - -'],
    ["indexof('-7.5', x)", '1 -1 1 -1 -1 -1 -1 - -'],
    ["replace(x, '1', '2')", '"7" "-2.5" "7.5" "abc" "true" "[2]" "{\\"a\\":2}" - -'],
    ["replace('7', x, 'y')", '"y" "7" "7" "7" "7" "7" "7" - -'],
    ["replace('y', 'y', x)", '"7" "-2.5" "7.5" "abc" "true" "[1]" "{\\"a\\":1}" - -'],
    ['substring(x, 1)', '"" "2.5" ".5" "bc" "rue" "1]" "\\"a\\":1}" - -'],
    ["substring('0123456789', x)", '"789" "0123456789" "789" - - - - - -'],
    ["substring('0123456789', 1, x)", '"123456" "" "123456" - - - - - -'],
    ['lpad(x, 1)', '" 7" " -2.5" " 7.5" " abc" " true" " [1]" " {\\"a\\":1}" - -'],
    ["lpad('y', x)", '"       y" "y" "       y" - - - - - -'],
    ["rpad('y', x)", '"y       " "y" "y       " - - - - - -'],
    ['chr(60 - x)', '"5" ">" "4" - - - - - -'],
    ['chr(x)', '"\\u0007" - "\\u0007" - - - - - -'],
  ])('%s', ([expression = '', values]) => {
    expect(valuesByType(expression)).toBe(values)
  })
})

describe('values', () => {
  test.for([
    ['chr(65)', 'A'],
    ['chr(65.9)', 'A'],
    ["chr('49')", '1'],
    ['chr(127)', '\u007f'],
    ['chr(-0.0)', '\u0000'],
    ["Ltrim(' h i ')", 'h i '],
    ["rtrim(' h i ')", ' h i'],
    ["Trim(' hi ')", 'hi'],
    ["trim('   ')", ''],
    ["trim('')", ''],
    ["lpad('hello', 2)", '  hello'],
    ['rpad(1, 3)', '1   '],
    ["rpad('x', 2.9)", 'x  '],
    ["lpad('x', '-3')", 'x'],
    ["lpad('x', -1E400)", 'x'],
    ["lpad('x', 2.9999999999999999999999)", '  x'],
    ["replace('abcdabcd', 'b', 'x')", 'axcdaxcd'],
    ["replace('a.c', '.', 'b')", 'abc'],
    ["replace('abc', 'b', '$1$&')", 'a$1$&c'],
    ["replace('aaa', 'aa', 'b')", 'ba'],
    ["replace('abc', '', '-')", '-a-b-c-'],
    ["replace('', '', 'x')", 'x'],
    ['replace(1234, 23, 9)', '194'],
    ["substring('012345', 0)", '012345'],
    ["substring('012345', 2)", '2345'],
    ["substring('012345', 2.745)", '2345'],
    ["substring('012345', -1)", '012345'],
    ["substring('012345', 3, 3)", ''],
    ["substring('012345', 3, 1)", ''],
    ["substring('012345', 1, 99)", '12345'],
    ["substring('012345', -3, -1)", ''],
    ["substring('012345', '1.9')", '12345'],
    ['substring(false, -2.411E247)', 'false'],
    ["substring('abc', -1E400, 1E400)", 'abc'],
    ["substring('abc', 1E400)", ''],
    ["substring('abc', -0.5)", 'abc'],
    ["substring('😀abc', 2)", 'abc'],
    ["upper('straße')", 'STRASSE'],
    ["concat('a', 1, true, obj)", 'a1true{"b":[1,2]}'],
  ])('%s is %j', ([expression = '', expected]) => {
    const payload = '{"obj":{"b":[1,2]}}'
    expect(JSON.parse(valueOf(expression, { payload }))).toBe(expected)
  })

  test.for([
    ["length('€')", '1'],
    ["length('😀')", '2'],
    ["numbytes('€')", '3'],
    ["numbytes('😀')", '4'],
    ["length('')", '0'],
    ['length(12.50)', '5'],
    ['length(false)', '5'],
    ["indexof('abab', 'b')", '1'],
    ["indexof('abcd', 'BC')", '-1'],
    ["indexof('abcd', '')", '0'],
    ["indexof('😀b', 'b')", '2'],
    ["startswith('ran', 'ranger')", 'false'],
    ["endswith('cat', 'at')", 'true'],
    ["length(lpad('x', 5000))", '1001'],
    ["length(rpad('x', 1E400))", '1001'],
    ['chr(128)', ''],
    ['chr(-1)', ''],
    ['chr(-0.5)', ''],
    ['chr(1E400)', ''],
    ["lpad('x', nope)", ''],
    ["substring('abc', 1, nope)", ''],
    ["substring('abc', NULL)", ''],
    ["substring('abc', 'x')", ''],
  ])('%s is %s', ([expression = '', expected]) => {
    expect(valueOf(expression)).toBe(expected)
  })

  test('white space is all up to U+0020; no-break spaces stay', () => {
    const payload = JSON.stringify({ t: '\u0000\t\r\n a\u00a0\n ' })
    expect(JSON.parse(valueOf('[trim(t), ltrim(t), rtrim(t)]', { payload }))).toEqual([
      'a\u00a0',
      'a\u00a0\n ',
      '\u0000\t\r\n a\u00a0',
    ])
  })

  test('the text of a whole Decimal depends on the version', () => {
    const given = { payload: '{"d":10.0}' }
    expect(valueOf("replace(d, '.', ',')", { ...given, version: '2015-10-08' })).toBe('"10,0"')
    expect(valueOf("replace(d, '.', ',')", given)).toBe('"10"')
  })

  test('half of a pair of surrogates is not lost', () => {
    expect(valueOf("substring('😀', 1)")).toBe('"\\ude00"')
  })
})

test.for(["indexof('a', 'a')", "length('a')", "numbytes('a')"])(
  '%s came with the second version',
  (expression) => {
    expect(refusalOf(expression, '2015-10-08')).toContain('needs SQL version 2016-03-23')
  },
)

test.for([
  'lower()',
  "lower('a', 'b')",
  "replace('a', 'b')",
  "substring('a')",
  "lpad('a')",
  'chr()',
])('%s has the wrong number of arguments: Undefined', (expression) =>
  expect(valueOf(expression)).toBe(''),
)

describe('no text grows beyond 1 Mi units', () => {
  const long = 'x'.repeat(100 * 1024)
  const payload = JSON.stringify({ s: long, quotes: '"'.repeat(64 * 1024) })
  test.for([
    ["length(replace(s, 'x', '1234567890'))", '1024000'],
    ["replace(s, 'x', '12345678901')", ''],
    ["replace(s, '', '12345678901')", ''],
    ['replace(s, s, s + s) = s + s', 'true'],
    ['replace(s, "x", s)', ''],
    ['length(concat(s, s, s, s, s, s, s, s, s, s))', '1024000'],
    ['concat(s, s, s, s, s, s, s, s, s, s, s)', ''],
    ['s + s + s + s + s + s + s + s + s + s + s', ''],
    ['length(lower([lower([quotes])]))', String(4 * 64 * 1024 + 10)],
    ['lower([lower([lower([lower([quotes])])])])', ''],
    ['upper([s, s, s, s, s, s, s, s, s, s, s])', ''],
    ['md5([s, s, s, s, s, s, s, s, s, s, s])', ''],
    ["encode(encode([s, s, s, s, s, s], 'base64'), 'base64')", ''],
  ])('%s', ([expression = '', expected]) => {
    expect(valueOf(expression, { payload })).toBe(expected)
  })
})

const given = (text: string, part: string, by: string) => ({
  payload: JSON.stringify({ text, part, by }),
})

describe('for any texts', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '$', '😀', ' '), maxLength: 20 })

  test('replace is cutting at the part and joining with the other', () => {
    fc.assert(
      fc.property(letters, letters, letters, (text, part, by) => {
        fc.pre(part !== '')
        const replaced = valueOf('replace(text, part, by)', given(text, part, by))
        expect(JSON.parse(replaced)).toBe(text.split(part).join(by))
      }),
    )
  })

  test('what is cut in two at a position is whole when joined', () => {
    fc.assert(
      fc.property(letters, fc.integer({ min: -5, max: 25 }), (text, at) => {
        const joined = valueOf(
          `substring(text, 0, ${at}) + substring(text, ${at})`,
          given(text, '', ''),
        )
        expect(JSON.parse(joined)).toBe(text)
      }),
    )
  })
})
