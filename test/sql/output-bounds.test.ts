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
    problem: {
      code: 'OutputTooLong',
      reason: 'the output is longer than 1048576 characters',
    },
  })
})

test('an output within the limit is written', () => {
  const sql = "SELECT a AS a1, a AS a2, [a, a] AS a3 FROM 'a/b'"
  expect(evaluate(sql, { a: longText })).toMatchObject({ matched: true })
})

test('under 2015-10-08 an array as the output says why there is none', () => {
  const statement = compileStatement("SELECT VALUE a FROM 'a/b'", '2015-10-08')
  const scope = statement.openScope(documentOf(messageWith({ payload: { a: [1] } })))
  expect(statement.evaluate(scope)).toEqual({
    matched: false,
    problem: {
      code: 'OutputNotAllowed',
      reason: 'under SQL version 2015-10-08 the output of a rule cannot be an array',
    },
  })
})
