import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { readToken } from '../../src/sql/parser/token.ts'
import { parseStatement } from '../../src/sql/parser/statement.ts'

/** Tokens read, and characters that they span, until the statement is read or refused. */
function workOf(sql: string): { tokens: number; characters: number; accepted: boolean } {
  let tokens = 0
  let characters = 0
  const counting = (text: string, offset: number) => {
    const token = readToken(text, offset)
    tokens += 1
    characters += token.end - offset
    return token
  }
  try {
    parseStatement(sql, counting)
    return { tokens, characters, accepted: true }
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return { tokens, characters, accepted: false }
  }
}

const repeated = (text: string, times: number) => Array<string>(times).fill(text)
const shapes: Readonly<Record<string, (size: number) => string>> = {
  'a long sum': (size) => `SELECT ${repeated('a', size).join(' + ')} AS s FROM 'x'`,
  'a long OR': (size) => `SELECT * FROM 'x' WHERE ${repeated('a = 1', size).join(' OR ')}`,
  'many items': (size) => `SELECT ${repeated('a.b', size).join(', ')} FROM 'x'`,
  'a wide array': (size) => `SELECT [${repeated('{"k": 1}', size).join(', ')}] AS s FROM 'x'`,
  'brackets beside each other': (size) =>
    `SELECT ${repeated('(a + (b * c))', size).join(' - ')} AS s FROM 'x'`,
  'nested to the limit, again and again': (size) =>
    `SELECT ${repeated(`${'('.repeat(60)}a${')'.repeat(60)}`, size).join(', ')} FROM 'x'`,
  'calls never closed': (size) => `SELECT ${'upper('.repeat(size)}`,
  'brackets never closed': (size) => `SELECT ${'('.repeat(size)}a FROM 'x'`,
  'CASE never ended': (size) => `SELECT ${'CASE a WHEN 1 THEN '.repeat(size)}`,
  'nested queries': (size) => `SELECT ${'(SELECT a FROM '.repeat(size)}b`,
  'a string never closed': (size) => `SELECT '${'x'.repeat(size)}`,
  'WHERE before FROM': (size) => `SELECT * WHERE ${repeated('a = 1', size).join(' AND ')} FROM 'x'`,
}

describe('a statement of any size has each character read once', () => {
  test.each(Object.entries(shapes))('%s', (_name, shape) => {
    for (const size of [1, 10, 100, 1_000]) {
      const sql = shape(size)
      const { tokens, characters } = workOf(sql)
      expect(characters).toBeLessThanOrEqual(sql.length)
      // The end is a token, too, and may be looked at more than once.
      expect(tokens).toBeLessThanOrEqual(sql.length + 2)
    }
  })

  test('broken at any place', () => {
    const statement =
      'SET @a = upper(b) SELECT *, (SELECT VALUE x FROM y WHERE x > 1) AS z, CASE a WHEN 1 THEN [2] ' +
      "ELSE {'k': @a} END AS c FROM 'a/+/#' WHERE EXISTS (SELECT * FROM q) AND NOT a IN [1, 2]"
    fc.assert(
      fc.property(fc.nat(statement.length), fc.nat(statement.length), (from, to) => {
        const sql = statement.slice(0, from) + statement.slice(to)
        expect(workOf(sql).characters).toBeLessThanOrEqual(sql.length)
      }),
    )
    expect(workOf(statement).accepted).toBe(true)
  })
})
