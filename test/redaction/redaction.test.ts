import { describe, expect, test } from 'vitest'
import { createRedaction } from '../../src/redaction/redaction.ts'

const redactionOf = (payload?: string, names = ['ssn', 'E-Mail']) => {
  const redaction = createRedaction(names)
  if (redaction === undefined) throw new Error('there are no names')
  return { ...redaction, ...redaction.of(payload === undefined ? undefined : Buffer.from(payload)) }
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('without names there is no redaction', () => {
  expect(createRedaction([])).toBeUndefined()
})

describe('JSON', () => {
  test.each([
    ['{"ssn":"123"}', '{"ssn":"[redacted]"}'],
    ['{ "SSN" : 12.50 , "n":1.0}', '{ "SSN" : "[redacted]" , "n":1.0}'],
    [
      '{"ssn":{"a":[1,{"b":"}"}]},"n":12345678901234567890}',
      '{"ssn":"[redacted]","n":12345678901234567890}',
    ],
    [
      '[{"e-mail":null},{"x":{"E-MAIL":true}}]',
      '[{"e-mail":"[redacted]"},{"x":{"E-MAIL":"[redacted]"}}]',
    ],
    [String.raw`{"\u0073sn":"a","n":"\u0061"}`, String.raw`{"\u0073sn":"[redacted]","n":"\u0061"}`],
    ['{"ssn":1,"ssn":2}', '{"ssn":"[redacted]","ssn":"[redacted]"}'],
    ['{"a":"ssn","b":["ssn"]}', '{"a":"ssn","b":["ssn"]}'],
    ['"ssn"', '"ssn"'],
    ['{"text":"{\\"ssn\\":\\"123\\"}"}', '{"text":"{\\"ssn\\":\\"[redacted]\\"}"}'],
    [`{"data":"${base64('{"ssn":"123"}')}"}`, `{"data":"${base64('{"ssn":"[redacted]"}')}"}`],
    [`{"data":"${base64('{"n":123}')}"}`, `{"data":"${base64('{"n":123}')}"}`],
  ])('%s is shown as %s', (given, shown) => {
    const redaction = redactionOf()
    expect(redaction.json(given)).toBe(shown)
    expect(redaction.bytes(Buffer.from(given))).toEqual(Buffer.from(shown))
  })

  test.each(['', '{', '{"ssn":"123"', 'ssn=123', '\uFEFF{}'])('%j is none', (given) => {
    expect(redactionOf().json(given)).toBeUndefined()
  })

  test('bytes that are not UTF-8 are none', () => {
    expect(redactionOf().bytes(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined()
  })

  test.each([
    ['deep', `${'[{"ssn":'.repeat(14_000)}1${'}]'.repeat(14_000)}`, '[{"ssn":"[redacted]"}]'],
    ['deeper', `${'['.repeat(65_000)}${']'.repeat(65_000)}`, undefined],
    ['full of escapes', `{"a":"${'\\\\'.repeat(60_000)}"}`, undefined],
    [
      'full of secrets',
      `[${'{"ssn":"12345"},'.repeat(7_000)}0]`,
      `[${'{"ssn":"[redacted]"},'.repeat(7_000)}0]`,
    ],
    ['full of strings', `[${'"{\\"a\\":1}",'.repeat(9_000)}0]`, undefined],
  ])('a document of 128 KiB that is %s', (_, given, shown = given) => {
    expect(redactionOf(given).json(given)).toBe(shown)
  })

  test('what is embedded too deeply is searched by its value alone', () => {
    let text = '{"ssn":"123-45-6789"}'
    for (let depth = 0; depth < 6; depth++) text = JSON.stringify({ text })
    expect(redactionOf('{"ssn":"123-45-6789"}').json(text)).not.toContain('6789')
  })
})

describe('what a message contains', () => {
  const payload = '{"ssn":"123-45","e-mail":{"to":"a&b@x"},"pin":1,"n":4711,"list":[{"SSN":4711}]}'
  test.each([
    ['123-45', '[redacted]'],
    ['dt/123-45/x', 'dt/[redacted]/x'],
    ['mail=a%26b%40x', 'mail=[redacted]'],
    [base64('a&b@x'), '[redacted]'],
    ['{"x":"123-45","y":4711,"z":47110}', '{"x":"[redacted]","y":"[redacted]","z":47110}'],
    ['{"123-45":1}', '{"[redacted]":1}'],
    ['pump', 'pump'],
  ])('the text %s is shown as %s', (given, shown) => {
    expect(redactionOf(payload).text(given)).toBe(shown)
  })

  test('a short one is found where a text is nothing else', () => {
    const { text, json } = redactionOf('{"ssn":1}')
    expect([text('1'), text('n 1'), json('[1,11]')]).toEqual([
      '[redacted]',
      'n 1',
      '["[redacted]",11]',
    ])
  })

  test('of too many, no text is shown', () => {
    const many = Array.from({ length: 101 }, (_, n) => ({ ssn: `secret-${n}` }))
    const { text, json } = redactionOf(JSON.stringify(many))
    expect([text('pump'), json('["pump", 1]')]).toEqual([
      '[redacted]',
      '["[redacted]", "[redacted]"]',
    ])
  })

  test('values in the parameters of a call', () => {
    const { value } = redactionOf(payload)
    const given = {
      Item: { ssn: { S: '9' }, id: { N: '4711' } },
      Key: 'a/123-45',
      Body: '{"ssn":1}',
      n: 4711,
      t: true,
    }
    expect(value(given)).toEqual({
      Item: { ssn: '[redacted]', id: { N: '[redacted]' } },
      Key: 'a/[redacted]',
      Body: '{"ssn":"[redacted]"}',
      n: '[redacted]',
      t: true,
    })
  })
})

test.each([
  ['${ssn}', true],
  ['a/${upper(x.SSN)}/b', true],
  ["${get(*, 'e-mail')}", true],
  ['ssn/${ssnr}', false],
  ['${', false],
])('%s names a member that is not shown: %s', (template, isNamed) => {
  expect(redactionOf().isNamedInTemplates(template)).toBe(isNamed)
})

test.each([
  ['got {"ssn":"1 2","n":1}', 'got {"ssn":[redacted],"n":1}'],
  ["{ ssn: '1\\'2', 'e-mail': a@b }", "{ ssn: [redacted], 'e-mail': [redacted] }"],
  ['ssn=12 SSN: 3, ssnr: 4', 'ssn=[redacted] SSN: [redacted], ssnr: 4'],
  [String.raw`{\"ssn\":\"12\"}`, String.raw`{\"ssn\":[redacted]}`],
])('the line %s is logged as %s', (given, shown) => {
  expect(redactionOf().line(given)).toBe(shown)
})
