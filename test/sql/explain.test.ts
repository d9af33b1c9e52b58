import { describe, expect, test } from 'vitest'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { WherePart } from '../../src/sql/sql.ts'

const callsNothing = { accountId: '123456789012', newUuid: () => 'u', callExternal: fail }
function fail(): never {
  throw new Error('an external function was called')
}

function explain(where: string, payload: string) {
  const statement = compileStatement(`SELECT * FROM 'a' WHERE ${where}`, '2016-03-23')
  const message = { topic: 'a', payload: Buffer.from(payload), timestampMs: 0 }
  const part = statement.explainWhere(createDocument(message, callsNothing))
  return part && linesOf(part)
}

function linesOf({ text, value, note, parts }: WherePart): string[] {
  const line = `${text} -> ${value.json ?? value.type}${note === undefined ? '' : ` (${note})`}`
  return [line, ...parts.flatMap(linesOf)]
}

describe('a WHERE that is not true', () => {
  const rows: readonly [where: string, payload: string, lines: readonly string[]][] = [
    ['temp > 50', '{"temp": 20}', ['temp > 50 -> false', 'temp -> 20']],
    [
      'tmp > 50',
      '{"temp": 60}',
      [
        'tmp > 50 -> Undefined (Undefined, because tmp is Undefined)',
        'tmp -> Undefined (the payload has no member tmp)',
      ],
    ],
    [
      "temp > 50 AND (site.name = 'x' OR NOT on)",
      '{"temp": 60, "on": true, "site": {}}',
      [
        "temp > 50 AND (site.name = 'x' OR NOT on) -> Undefined (Undefined, because (site.name = 'x' OR NOT on) is Undefined)",
        'temp > 50 -> true',
        'temp -> 60',
        "(site.name = 'x' OR NOT on) -> Undefined (Undefined, because site.name = 'x' is Undefined)",
        "site.name = 'x' -> Undefined (Undefined, because site.name is Undefined)",
        'site.name -> Undefined (site has no member name)',
        'NOT on -> false',
        'on -> true',
      ],
    ],
    ["upper(a) = 'B'", '{"a": "a"}', ["upper(a) = 'B' -> false", 'upper(a) -> "A"']],
    ['a', '{"a": 1}', ['a -> 1']],
    [
      'a = 1',
      'no json',
      [
        'a = 1 -> Undefined (Undefined, because a is Undefined)',
        'a -> Undefined (the payload is not JSON)',
      ],
    ],
    [
      'a AND b',
      '{"a": 1, "b": true}',
      ['a AND b -> Undefined (a is no Boolean)', 'a -> 1', 'b -> true'],
    ],
    [
      "get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/r') = a",
      '{"a": 1}',
      [
        "get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/r') = a -> Unknown (calls an external function, which is not called again)",
        "get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/r') -> Unknown (calls an external function, which is not called again)",
        'a -> 1',
      ],
    ],
  ]
  test.each(rows)('is explained part by part: %s', (where, payload, lines) => {
    expect(explain(where, payload)).toEqual(lines)
  })

  test('says where each part stands', () => {
    const statement = compileStatement("SELECT * FROM 'a'\nWHERE a = 1\n  AND b = 2", '2016-03-23')
    const message = { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 }
    const part = statement.explainWhere(createDocument(message, callsNothing))
    expect(part?.parts).toMatchObject([
      { text: 'a = 1', line: 2, column: 7 },
      { text: 'b = 2', line: 3, column: 7 },
    ])
  })

  test('is explained within bounds', () => {
    const long = explain(Array.from({ length: 500 }, (_, n) => `a${n} = 1`).join(' AND '), '{}')
    expect(long).toHaveLength(1)
    const [, value] = explain('a = 1', JSON.stringify({ a: 'x'.repeat(1_000) })) ?? []
    expect(value).toMatch(/^a -> "x{199}\.\.\.$/)
  })
})

test('a statement without WHERE has nothing to explain', () => {
  const statement = compileStatement("SELECT * FROM 'a'", '2016-03-23')
  const message = { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 }
  expect(statement.explainWhere(createDocument(message, callsNothing))).toBeUndefined()
})
