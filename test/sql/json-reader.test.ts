import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonDepthMax, readJson } from '../../src/sql/values/json-reader.ts'
import { jsonText } from '../helpers/json-text.ts'
import type { Dialect } from '../../src/sql/values/dialect.ts'

const dialect: Dialect = {
  version: '2015-10-08',
  isSecondVersion: false,
  wholeDecimalsAreInts: false,
}

/** `JSON.parse`, in the form that can be compared with a reading: written again. */
function reference(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return undefined
  }
}

function reading(text: string): string | undefined {
  const value = readJson(text)
  return value === undefined ? undefined : JSON.stringify(JSON.parse(jsonText(value, dialect)))
}

describe('JSON is read as JSON.parse reads it', () => {
  test('any document', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(reading(text)).toBe(reference(text))
      }),
      { numRuns: 500 },
    )
  })

  test('any document with blanks anywhere', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(1, 4, '\t', '\r\n'), (value, indent) => {
        const text = ` \r\n\t${JSON.stringify(value, null, indent)}\n`
        expect(reading(text)).toBe(reference(text))
      }),
    )
  })

  test('any text that was JSON until something happened to it', () => {
    const damage = fc.tuple(
      fc.json(),
      fc.nat(),
      fc.nat(3),
      fc.constantFrom(
        '',
        '"',
        ',',
        '}',
        ']',
        '{',
        '\\',
        '\\u12',
        '0',
        '-',
        '.',
        'e',
        ' ',
        '\n',
        'x',
      ),
    )
    fc.assert(
      fc.property(damage, ([text, place, removed, added]) => {
        const at = place % (text.length + 1)
        const damaged = text.slice(0, at) + added + text.slice(at + removed)
        expect(reading(damaged)).toBe(reference(damaged))
      }),
      { numRuns: 2000 },
    )
  })

  test('a special character at each place of strings of each length', () => {
    const differing: string[] = []
    for (let length = 0; length <= 70; length++) {
      for (let place = 0; place <= length; place++) {
        for (const special of [
          '\\',
          '\\\\',
          '\\"',
          '"',
          '\n',
          '\u007f',
          '\\u00e9',
          '\ud800',
          '\\u12',
        ]) {
          const string = `"${'x'.repeat(place)}${special}${'y'.repeat(length - place)}"`
          for (const text of [`[${string}]`, `[${string}`, `{"a":${string},"b":1}`]) {
            if (reading(text) !== reference(text)) differing.push(text)
          }
        }
      }
    }
    expect(differing).toEqual([])
  })

  test('any text at all', () => {
    const pieces = fc.constantFrom(
      ...'{}[]:,"\\ \t\n0123456789.-+eEtrufalsn\u0000\u001f\u2028\ud800x'.split(''),
    )
    fc.assert(
      fc.property(fc.string({ unit: pieces, maxLength: 12 }), (text) => {
        expect(reading(text)).toBe(reference(text))
      }),
      { numRuns: 3000 },
    )
  })

  test.for([
    '',
    ' ',
    '\ufeff{}',
    '{}x',
    "{'a':1}",
    '{a:1}',
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '01',
    '1.',
    '.5',
    '+1',
    '- 1',
    '1e',
    '1e+',
    'NaN',
    'Infinity',
    'nul',
    'truee',
    '"\n"',
    '"\\x"',
    '"\\u00g0"',
    '"a',
    '"a\\',
    '[1 2]',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '\u00a0[]',
  ])('not JSON: %j', (text) => {
    expect(readJson(text)).toBeUndefined()
  })
})

describe('nothing is lost', () => {
  test.for([
    '12345678901234567890',
    '1E+400',
    '-0.0',
    '0.1234567890123456789012345678901234',
    '18.899999618530273',
    '2.50',
    '1e3',
  ])('%s keeps its text', (text) => {
    expect(readJson(text)).toMatchObject({ source: text })
  })

  test('keys stay in order, whatever they are called', () => {
    const text = '{"b":1,"2":2,"__proto__":3,"a":4,"1":5,"constructor":6,"":7}'
    expect(jsonText(readJson(text), dialect)).toBe(text)
  })

  test('of a key that comes twice the last value counts, in the first place', () => {
    expect(jsonText(readJson('{"a":1,"b":2,"a":3}'), dialect)).toBe('{"a":3,"b":2}')
  })

  test('half of a surrogate pair survives as an escape', () => {
    expect(jsonText(readJson('"\\ud83d"'), dialect)).toBe('"\\ud83d"')
    expect(jsonText(readJson('"\\ud83d\\ude00"'), dialect)).toBe('"😀"')
  })
})

describe('depth', () => {
  test.for([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const)('%s is read up to the limit and not beyond', ([open, close]) => {
    const nested = (depth: number) => `${open.repeat(depth - 1)}[]${close.repeat(depth - 1)}`
    expect(jsonText(readJson(nested(jsonDepthMax)), dialect)).toBe(nested(jsonDepthMax))
    expect(readJson(nested(jsonDepthMax + 1))).toBeUndefined()
    expect(readJson(open.repeat(20_000))).toBeUndefined()
  })

  test('the limit is on nesting, not on the number of arrays', () => {
    const wide = `[${Array(3000).fill('[]').join(',')}]`
    expect(jsonText(readJson(wide), dialect)).toBe(wide)
  })
})
