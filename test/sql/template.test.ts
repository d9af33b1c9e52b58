import { describe, expect, test } from 'vitest'
import { compileStatement } from '../../src/sql/sql.ts'
import { compileTemplate } from '../../src/sql/template.ts'
import { messageWith, scopeOf } from '../helpers/messages.ts'

const statement = compileStatement("SELECT a FROM 'a/b'", '2016-03-23')
const message = messageWith({
  topic: 'dt/7/x',
  payload: { a: 'x}y', n: 1.5, o: { k: [1] }, z: null },
})

test.each([
  ['no expression at all', 'plain', 'plain'],
  ['the empty text', '', ''],
  ['one expression', '${topic()}', 'dt/7/x'],
  ['several, with text around them', '<${topic(1)}-${topic(2)}>', '<dt-7>'],
  ['blanks within the braces', '${ topic(2) }', '7'],
  ['a closing brace inside a String', "${concat('}', topic(2))}", '}7'],
  ['an object literal', "${ {'k': n} }", '{"k":1.5}'],
  ['operators', '${n + 1}', '2.5'],
  ['the original payload, not what SELECT made of it', '${n}', '1.5'],
  ['a value that looks like an expression is text', '${a}', 'x}y'],
  ['Undefined leaves nothing', '[${nope}]', '[]'],
  ['Null is the text null', '${z}', 'null'],
  ['an object is compact JSON', '${o}', '{"k":[1]}'],
  ['a dollar without a brace is text', '$5 and $', '$5 and $'],
  ['a brace without a dollar is text', '{a}', '{a}'],
])('%s: %s', (_what, template, expected) => {
  expect(compileTemplate(template, statement).expand(scopeOf(message))).toBe(expected)
})

test('variables of SET are visible', () => {
  const sql = "SET @k = upper(topic(2)) SELECT a FROM 'a/b'"
  const template = compileTemplate('${@k}', compileStatement(sql, '2016-03-23'))
  expect(template.expand(scopeOf(messageWith({ topic: 'a/xyz' }), sql))).toBe('XYZ')
})

test('a text without an expression is known to be constant', () => {
  expect(compileTemplate('plain', statement).constant).toBe('plain')
  expect(compileTemplate('${topic()}', statement).constant).toBeUndefined()
})

describe('a template that cannot be read is a SqlParseException that says where', () => {
  test.each([
    ['no closing brace', 'x${topic()', /no "}" .*line 1, column 2/],
    ['no closing brace after text', '${a b}', /line 1, column \d/],
    ['an unknown function', '${nonsense()}', /unknown function nonsense\(\).*line 1, column 3/],
    ['a variable that is not set', '${@x}', /@x/],
    ['nothing between the braces', '${}', /line 1, column \d/],
    ["the form of InfluxDB's action", 'a @{b}', /@\{\.\.\.\}.*line 1, column 3/],
    ['an unclosed String', "${'x}", /line 1, column \d/],
  ])('%s', (_what, text, expected) => {
    expect(() => compileTemplate(text, statement)).toThrow(
      expect.objectContaining({
        code: 'SqlParseException',
        message: expect.stringMatching(expected) as string,
      }) as Error,
    )
  })
})
