import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../../src/base/errors.ts'
import { compileStatement, createDocument } from '../../../src/sql/sql.ts'
import type { StatementOptions } from '../../../src/sql/sql.ts'

/** The value of an expression as JSON.parse gives it; undefined for Undefined. */
function evaluateExpression(
  expression: string,
  payload: object,
  options?: StatementOptions,
): unknown {
  const sql = `SELECT ${expression} AS v FROM 'a/b'`
  const statement = compileStatement(sql, '2016-03-23', options)
  const document = createDocument(
    { topic: 'a/b', payload: Buffer.from(JSON.stringify(payload)), timestampMs: 0 },
    { accountId: '123456789012', newUuid: () => '' },
  )
  const result = statement.evaluate(statement.openScope(document))
  if (!result.matched) throw new Error(`no match: ${expression}`)
  return (JSON.parse(result.output.toString()) as { readonly v?: unknown }).v
}

function errorOf(sql: string, options?: StatementOptions): SluiceError | undefined {
  try {
    compileStatement(sql, '2016-03-23', options)
    return undefined
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
    throw thrown
  }
}

describe('patterns that come with the message', () => {
  test.each([
    ['regexp_matches(s, p)', { s: 'a1', p: '^\\w\\d$' }, true],
    ['regexp_substr(s, p)', { s: 'key=value', p: '=(.*)' }, '=value'],
    ['regexp_substr(s, p)', { s: 'abc', p: 'x' }, undefined],
    ['regexp_replace(s, p, r)', { s: 'a-b', p: '(\\w)-(\\w)', r: '$2-$1' }, 'b-a'],
    ['regexp_matches(s, p)', { s: 'a', p: '(' }, undefined],
    ['regexp_matches(s, p)', { s: 'ab', p: 'a(?=b)' }, undefined],
    ['regexp_matches(s, p)', { s: 'a', p: '((a{1000}){1000}){1000}' }, undefined],
    ['regexp_replace(s, p, r)', { s: 'a', p: 'a', r: '$1' }, undefined],
    ['regexp_replace(s, p, r)', { s: 'a', p: 'a', r: null }, undefined],
    ['regexp_replace(s, p, r)', { s: 'a', p: 'b', r: '$1' }, 'a'],
    ['regexp_matches(s, p)', { s: true, p: 'ru' }, true],
    ['regexp_matches(s, p)', { s: [1, 2], p: '1,2' }, true],
  ])('%s of %j is %j', (expression, payload, value) => {
    expect(evaluateExpression(expression, payload)).toEqual(value)
  })

  test('more of them than are kept', () => {
    const calls = Array.from({ length: 50 }, (_, index) => `regexp_matches('x7x', p + '${index}')`)
    expect(evaluateExpression(`[${calls.join(', ')}]`, { p: '' })).toEqual(
      calls.map((_, index) => index === 7),
    )
  })
})

describe('written patterns', () => {
  test('one that must go back is refused, with the place inside it', () => {
    const error = errorOf(`SELECT regexp_matches(s, 'foo(?!bar)') AS v FROM 'a/b'`)
    expect(error?.code).toBe('SqlParseException')
    expect(error?.details).toEqual({ line: 1, column: 30 })
    expect(error?.message).toContain('a look-ahead, which takes SLUICE_REGEX=backtracking')
  })

  test('behind a quote, which may be doubled, the place is where the literal begins', () => {
    const error = errorOf(`SELECT regexp_matches(s, '''(?!b)') AS v FROM 'a/b'`)
    expect(error?.details).toEqual({ line: 1, column: 26 })
  })

  test('the setting allows it', () => {
    const sql = `SELECT regexp_matches(s, 'foo(?!bar)') AS v FROM 'a/b'`
    expect(errorOf(sql, { regex: 'backtracking' })).toBeUndefined()
    const expression = `regexp_replace(s, '(?<=a)b', '-')`
    expect(evaluateExpression(expression, { s: 'ab b' }, { regex: 'backtracking' })).toBe('a- b')
  })

  test.each([['\\X'], ['a{20000}'], ['(?i)(a)\\1']])('%s is refused whatever is set', (pattern) => {
    const sql = `SELECT regexp_substr(s, '${pattern}') AS v FROM 'a/b'`
    expect(errorOf(sql, { regex: 'backtracking' })?.code).toBe('SqlParseException')
  })

  test('one that Java refuses is Undefined', () => {
    expect(evaluateExpression(`regexp_matches(s, '[a')`, { s: 'a' })).toBeUndefined()
    expect(evaluateExpression(`regexp_matches(s, '*')`, { s: '*' })).toBeUndefined()
  })

  test('a number is its digits', () => {
    expect(evaluateExpression('regexp_substr(s, 23)', { s: 1234 })).toBe('23')
  })
})
