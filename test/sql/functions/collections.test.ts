import { describe, expect, test } from 'vitest'
import { refusalOf, valueOf, valuesByType } from './value.ts'

describe('get_or_default', () => {
  test.for([
    ['get_or_default(x, 9)', '7 -2.5 "7.5" "abc" true [1] {"a":1} 9 9'],
    ['get_or_default(x)', '7 -2.5 "7.5" "abc" true [1] {"a":1} - -'],
    ['get_or_default(nope, x)', '7 -2.5 "7.5" "abc" true [1] {"a":1} null -'],
    ["get_or_default(decode(x, 'base64'), 0)", '0 0 0 0 0 0 0 0 0'],
  ])('%s', ([expression = '', values]) => {
    expect(valuesByType(expression)).toBe(values)
  })

  test('values that are there, but empty, are kept', () => {
    const payload = '{"zero":0,"empty":"","no":false,"list":[],"object":{}}'
    const names = ['zero', 'empty', 'no', 'list', 'object']
    const calls = names.map((name) => `get_or_default(${name}, 1)`).join(', ')
    expect(valueOf(`[${calls}]`, { payload })).toBe('[0,"",false,[],{}]')
  })

  test('a binary payload as a whole is not there', () => {
    expect(valueOf('get_or_default(*, 1)', { payload: 'binary' })).toBe('1')
    expect(valueOf('get_or_default(*, 1)', { payload: '{"a":2}' })).toBe('{"a":2}')
  })

  test('the wrong number of arguments is Undefined, the wrong version refused', () => {
    expect(valueOf('get_or_default()')).toBe('')
    expect(valueOf('get_or_default(1, 2, 3)')).toBe('')
    expect(refusalOf('get_or_default(a)', '2015-10-08')).toContain('needs SQL version')
  })
})

/** As many empty objects with the text added as `count` says. */
const enrich = (text: string, count: number) =>
  valueOf("transform('enrichArray', {'k': text}, list)", {
    payload: JSON.stringify({ text, list: Array.from({ length: count }, () => ({})) }),
  })

describe('transform', () => {
  const payload = JSON.stringify({
    attributes: { data1: 1, data2: null },
    values: [{ a: 3 }, { data1: 4, b: 5 }],
    mixed: [{ a: 1 }, 2],
    empty: [],
    mode: 'enrichArray',
  })

  test.for([
    ['attributes, values', '[{"a":3,"data1":1,"data2":null},{"data1":1,"b":5,"data2":null}]'],
    ["{'k': nope}, values", '[{"a":3},{"data1":4,"b":5}]'],
    ["{'__proto__': 1}, [{}]", '[{"__proto__":1}]'],
    ['attributes, empty', '[]'],
    ['attributes, mixed', ''],
    ['attributes, attributes', ''],
    ['values, values', ''],
    ['attributes, nope', ''],
    ['NULL, values', ''],
    ['attributes', ''],
  ])("transform('enrichArray', %s) is %s", ([parameters = '', expected]) => {
    expect(valueOf(`transform('enrichArray', ${parameters})`, { payload })).toBe(expected)
  })

  test.for(["'other'", "'enricharray'", 'NULL', '5'])(
    'of another mode, %s, is Undefined',
    (mode) => {
      expect(valueOf(`transform(${mode}, attributes, values)`, { payload })).toBe('')
    },
  )

  test('the mode is a constant: no attribute and no variable', () => {
    expect(refusalOf('transform(mode, attributes, values)')).toBe(
      'the first argument of transform() must be a constant (line 1, column 18)',
    )
    expect(refusalOf('transform(topic(), attributes, values)')).toContain('must be a constant')
    expect(refusalOf("transform('enrichArray', a, b)", '2015-10-08')).toContain('needs SQL version')
  })

  test('a result of up to 128 KiB is given, a larger one is Undefined', () => {
    const bytes = 128 * 1024
    const largest = enrich('€'.repeat((bytes - '[{"k":""}]'.length) / 3), 1)
    expect(Buffer.byteLength(largest)).toBeGreaterThan(bytes - 3)
    expect(enrich('x'.repeat(bytes - '[{"k":""}]'.length), 1)).toHaveLength(bytes)
    expect(enrich('x'.repeat(bytes - '[{"k":""}]'.length + 1), 1)).toBe('')
    expect(enrich('x'.repeat(60_000), 10_000)).toBe('')
  })
})
