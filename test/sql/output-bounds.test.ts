import { expect, test } from 'vitest'
import { compileStatement } from '../../src/sql/sql.ts'
import type { StatementResult } from '../../src/sql/sql.ts'
import { documentOf, messageWith } from '../helpers/messages.ts'

function evaluate(sql: string, payload: unknown): StatementResult {
  const statement = compileStatement(sql, '2016-03-23')
  return statement.evaluate(statement.openScope(documentOf(messageWith({ payload }))))
}

const longText = 'x'.repeat(100_000)

test.each([
  ['items', `SELECT ${Array.from({ length: 20 }, (_, n) => `a AS a${n}`).join(', ')} FROM 'a/b'`],
  ['an array', `SELECT VALUE [${Array(10_000).fill('a').join(', ')}] FROM 'a/b'`],
  ['an object', `SELECT {'k': [${Array(5_000).fill('a').join(', ')}]} AS o FROM 'a/b'`],
  ['all and more', `SELECT *, [${Array(5_000).fill('a').join(', ')}] AS o FROM 'a/b'`],
])('an output that names a long text again and again is none: %s', (_what, sql) => {
  expect(evaluate(sql, { a: longText })).toEqual({
    matched: false,
    problem: 'the output is longer than 1048576 characters',
  })
})

test('an output within the limit is written', () => {
  const sql = "SELECT a AS a1, a AS a2, [a, a] AS a3 FROM 'a/b'"
  expect(evaluate(sql, { a: longText })).toMatchObject({ matched: true })
})

test('queries inside each other look at a bounded number of elements', () => {
  const numbers = Array.from({ length: 20_000 }, (_, n) => n)
  const nested =
    'SET @xs = xs SELECT isUndefined((SELECT VALUE (SELECT VALUE (SELECT VALUE 1 FROM @xs AS c) ' +
    "FROM @xs AS b) FROM @xs AS a)) AS gone FROM 'a/b'"
  const result = evaluate(nested, { xs: numbers })
  expect(result.matched && result.output.toString()).toBe('{"gone":true}')
})
