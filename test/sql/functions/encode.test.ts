import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusalOf, valueOf, valuesByType } from './value.ts'

const encoded = (text: string | Buffer) => Buffer.from(text).toString('base64')

describe('encode', () => {
  test('by the type of x', () => {
    expect(valuesByType("encode(x, 'base64')")).toBe(
      [
        ...['7', '-2.5', '7.5', 'abc', 'true', '[1]', '{"a":1}'].map(
          (text) => `"${encoded(text)}"`,
        ),
        '- -',
      ].join(' '),
    )
  })

  test('* stands for the bytes of the payload, whatever they are', () => {
    const payloads = [
      Buffer.from([0, 1, 2, 255, 254]),
      Buffer.from(''),
      Buffer.from('80'),
      Buffer.from(' { "a" : 1.0 }\n'),
      Buffer.from('\ufeff{}'),
    ]
    for (const payload of payloads) {
      expect(valueOf("encode(*, 'base64')", { payload })).toBe(`"${encoded(payload)}"`)
      expect(valueOf("encode((*), 'base64')", { payload })).toBe(`"${encoded(payload)}"`)
    }
  })

  test('* of a nested query is its element', () => {
    const payload = '{"list": [{ "a": 1 }, [2]]}'
    expect(valueOf("(SELECT VALUE encode(*, 'base64') FROM list)", { payload })).toBe(
      JSON.stringify(['{"a":1}', '[2]'].map(encoded)),
    )
  })

  test('the result has no line breaks', () => {
    const payload = JSON.stringify({ s: 'x'.repeat(500) })
    expect(valueOf("encode(s, 'base64')", { payload })).toBe(`"${encoded('x'.repeat(500))}"`)
  })
})

describe('decode', () => {
  test('by the type of x: a String is base64 or Null', () => {
    expect(valuesByType("decode(x, 'base64')")).toBe('null null null null null null null null -')
  })

  test.for([
    ['hello', '"hello"'],
    ['', '""'],
    ['{"a":[1,2.50]}', '{"a":[1,2.50]}'],
    ['[1,2]', '[1,2]'],
    ['80', '80'],
    ['true', 'true'],
    ['null', 'null'],
    ['"text"', '"text"'],
    ['{not json', '"{not json"'],
    [' {"n": 12345678901234567890} ', '{"n":12345678901234567890}'],
    ['\ufeff{"a":1}', '{"a":1}'],
    ['\ufefftext', '"\ufefftext"'],
    ['a€😀', '"a€😀"'],
  ])('%j gives %s', ([text = '', expected]) => {
    const payload = JSON.stringify({ s: encoded(text) })
    expect(valueOf("decode(s, 'base64')", { payload })).toBe(expected)
  })

  test('an object can be looked into', () => {
    const payload = JSON.stringify({ s: encoded('{"temperature": 33}') })
    expect(valueOf("decode(s, 'base64').temperature", { payload })).toBe('33')
  })

  test.for([
    ['aGVsbG8', '"hello"', 'padding left out'],
    ['aGVsbG9=', '"hello"', 'bits that do not count'],
    ['aGVsbG8==', 'null', 'too much padding'],
    ['aGVsb', 'null', 'half a byte'],
    ['aGVs=bG8', 'null', 'padding inside'],
    ['aGVsbG8=\n', 'null', 'a line break'],
    ['_-8=', 'null', 'the alphabet of URLs'],
    ['/w==', 'null', 'bytes that are not UTF-8'],
    ['=', 'null', 'padding alone'],
    ['!!!', 'null', 'other characters'],
  ])('%j gives %s: %s', ([s, expected]) => {
    expect(valueOf("decode(s, 'base64')", { payload: JSON.stringify({ s }) })).toBe(expected)
  })

  test('* stands for the text of the payload', () => {
    expect(valueOf("decode(*, 'base64')", { payload: encoded('[80]') })).toBe('[80]')
    expect(valueOf("decode(*, 'base64')", { payload: '{}' })).toBe('null')
  })

  test('gives back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (s) => {
        const payload = JSON.stringify({ s: `-${s}` })
        expect(valueOf("decode(encode(s, 'base64'), 'base64') = s", { payload })).toBe('true')
      }),
    )
  })

  test('a text payload comes to JSON by both', () => {
    const expression = "decode(encode(*, 'base64'), 'base64')"
    expect(valueOf(expression, { payload: 'a plain string' })).toBe('"a plain string"')
    expect(valueOf(expression, { payload: '80' })).toBe('80')
    expect(valueOf(expression, { payload: Buffer.from([0xff]) })).toBe('null')
  })
})

describe('schemes', () => {
  test.for(["'hex'", "'BASE64'", '5', 'NULL'])('%s is refused where it stands', (scheme) => {
    for (const name of ['encode', 'decode']) {
      expect(refusalOf(`${name}(a, ${scheme})`)).toBe(
        `the scheme of ${name}() must be 'base64'${name === 'decode' ? " or 'proto'" : ''} (line 1, column 18)`,
      )
    }
  })

  test('one that the message names is Undefined unless it exists', () => {
    const payload = '{"s":"YQ==","good":"base64","bad":"hex"}'
    expect(valueOf('decode(s, good)', { payload })).toBe('"a"')
    expect(valueOf('decode(s, bad)', { payload })).toBe('')
    expect(valueOf('encode(s, nope)', { payload })).toBe('')
    expect(valueOf('encode(*, bad)', { payload })).toBe('')
  })

  test('the wrong number of arguments is Undefined, the wrong version refused', () => {
    expect(valueOf("encode('a')")).toBe('')
    expect(valueOf('decode()')).toBe('')
    expect(valueOf("encode(*, 'base64', 1)")).toBe('')
    expect(refusalOf("encode(a, 'base64')", '2015-10-08')).toContain('needs SQL version')
  })
})
