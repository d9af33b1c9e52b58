import { describe, expect, test } from 'vitest'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { SqlVersion, StatementOptions } from '../../src/sql/sql.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

function output(
  sql: string,
  payload: string,
  version: SqlVersion = '2015-10-08',
  options: StatementOptions = { firstVersion: 'aws' },
): string | undefined {
  const statement = compileStatement(sql, version, options)
  const message = messageWith({ payload: Buffer.from(payload) })
  const document = createDocument(message, testEnvironment)
  const result = statement.evaluate(statement.openScope(document))
  return result.matched ? result.output.toString() : result.problem?.code
}

const nested = '{"a":1,"b":{"c":2,"d":{"e":[3],"f":4}},"g":[5,{"h":6}],"i":null}'

describe('SLUICE_SQL_2015=aws', () => {
  test.each([
    ['SELECT *', nested, '{"a":1,"c":2,"f":4,"i":null}'],
    ['SELECT VALUE *', nested, '{"a":1,"c":2,"f":4,"i":null}'],
    ['SELECT *, a AS z', nested, '{"a":1,"c":2,"f":4,"i":null,"z":1}'],
    ['SELECT b, g, a AS x.y', nested, '{"c":2,"f":4,"y":1}'],
    ['SELECT VALUE b', nested, '{"c":2,"f":4}'],
    ['SELECT VALUE g', nested, 'OutputNotAllowed'],
    ['SELECT VALUE a', nested, '1'],
    ['SELECT *', '[1,{"a":2}]', '[]'],
    ['SELECT *', '{}', '{}'],
    ['SELECT *', '{"a":1,"b":{"a":2}}', '{"a":2}'],
    ['SELECT *', '{"a":1.50,"b":12345678901234567890}', '{"a":1.50,"b":12345678901234567890}'],
    ['SELECT *', 'not JSON', 'not JSON'],
    ['SELECT *', '', ''],
    ['SELECT *, a AS b', 'not JSON', 'not JSON'],
    ['SELECT g AS g, b.c AS c', nested, '{"c":2}'],
  ])('%s of %s is %s', (select, payload, expected) => {
    expect(output(`${select} FROM 'a/#'`, payload)).toBe(expected)
  })

  test('WHERE sees the payload unchanged', () => {
    expect(output("SELECT a FROM 'a/#' WHERE b.d.f = 4 AND get(g, 0) = 5", nested)).toBe('{"a":1}')
  })

  test('other versions, and the default, pass nested values on', () => {
    expect(output("SELECT * FROM 'a/#'", nested, '2016-03-23')).toBe(nested)
    expect(output("SELECT * FROM 'a/#'", nested, '2015-10-08', { firstVersion: 'same' })).toBe(
      nested,
    )
    expect(output("SELECT b FROM 'a/#'", nested, '2015-10-08', {})).toBe(
      '{"b":{"c":2,"d":{"e":[3],"f":4}}}',
    )
  })
})
