import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { printable, printableJson, printableLine } from '../../src/telemetry/printable.ts'

test.each([
  ['a\u001B[2Jb', 'a\\x1b[2Jb'],
  ['a\u0007\u007F\u009B\r', 'a\\x07\\x7f\\x9b\\x0d'],
  ['a\u202Eb\u2066\u2028', 'a\\u202eb\\u2066\\u2028'],
  ['Größe 温度 🌡 \\x1b', 'Größe 温度 🌡 \\x1b'],
  ['a\n\tb', 'a\n\tb'],
])('%j is printed as %j', (text, expected) => {
  expect(printable(text)).toBe(expected)
})

test('one line stays one line', () => {
  expect(printableLine('a\nb\tc\u001B')).toBe('a\\x0ab\\x09c\\x1b')
})

/** Nothing but line feeds and tabs below the blank, and no character that turns text around. */
const safe = /^[\n\t\u0020-\u007E\u00A0-\u2027\u202F-\u2065\u206A-\uFFFF]*$/
const anyText = oneof(
  string({ unit: 'binary' }),
  array(constantFrom('\\', 'u001b', '\u001B', '\r', '\b', '\n', 'x', '\u009B')).map((parts) =>
    parts.join(''),
  ),
)

test('a line of JSON stays JSON, and its texts are safe', () => {
  assert(
    property(anyText, (text) => {
      const { msg } = JSON.parse(printableJson(JSON.stringify({ msg: text }))) as { msg: string }
      expect(msg).toMatch(safe)
      expect(printable(text)).toMatch(safe)
      // What is safe already stays as it is.
      expect(safe.test(text) ? [msg, printable(text)] : [text, text]).toEqual([text, text])
    }),
  )
})
