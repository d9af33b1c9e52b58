import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonSlice } from '../../src/base/json-slice.ts'

describe('jsonSlice', () => {
  test.each<[string, (string | number)[], string | undefined]>([
    ['{"a": 12345678901234567890}', ['a'], '12345678901234567890'],
    ['{"a":1.50 }', ['a'], '1.50'],
    ['{ "a" : { "b" : [ 1 , 2 ] } }', ['a'], '{ "b" : [ 1 , 2 ] }'],
    ['{ "a" : { "b" : [ 1 , 2 ] } }', ['a', 'b', 1], '2'],
    ['[[], {"x": null}]', [1, 'x'], 'null'],
    ['{"a": "]}\\"\\\\", "b": true}', ['b'], 'true'],
    ['{"a": ["}", {"c": "["}], "b": "\\u00e9"}', ['b'], '"\\u00e9"'],
    ['{"\\u0061": 1}', ['a'], '1'],
    ['{"a": 1, "a": 2}', ['a'], '2'],
    ['{"__proto__": 1}', ['__proto__'], '1'],
    ['\n 7 \t', [], '7'],
    ['{}', ['a'], undefined],
    ['[]', [0], undefined],
    ['{"0": 1}', [0], undefined],
    ['["a"]', ['0'], undefined],
    ['{"a": 1}', ['a', 'b'], undefined],
    ['"a"', ['a'], undefined],
  ])('%s at %j: %s', (text, path, slice) => {
    expect(jsonSlice(text, path)).toBe(slice)
  })

  test('gives the text that JSON.parse reads the same value from', () => {
    const indent = fc.constantFrom('', ' ', '\t', '\r\n ')
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), indent, (value, other, blank) => {
        const text = JSON.stringify(
          { other, list: [other, { value }], more: other },
          undefined,
          blank,
        )
        const slice = jsonSlice(text, ['list', 1, 'value'])
        expect(JSON.parse(slice ?? 'undefined')).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('takes texts that are nested deep, or long, without running out of stack', () => {
    const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    expect(jsonSlice(`{"a":${nested},"b":1}`, ['a'])).toBe(nested)
    const long = JSON.stringify('\n'.repeat(300_000))
    expect(jsonSlice(`{"a":[${long}],"b":1}`, ['b'])).toBe('1')
  })
})
