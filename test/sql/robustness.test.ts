/** Whatever a statement and a payload are: a result or a refusal with a code, nothing else. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { SqlVersion } from '../../src/sql/sql.ts'
import { arbitraryExpression } from './arbitrary-expression.ts'
import { printExpression } from './expression-printer.ts'

const versions = fc.constantFrom<SqlVersion[]>('2015-10-08', '2016-03-23', 'beta')
const payloads = fc.oneof(
  fc.json(),
  fc.jsonValue().map((a) => JSON.stringify({ a, b1: [a, 1, '2'], _c: { value: a } })),
  fc.string(),
)

/** Runs a statement as far as it goes. @returns whether it was accepted @throws what must not be */
function run(sql: string, version: SqlVersion, payload: string | Uint8Array): boolean {
  let statement
  try {
    statement = compileStatement(sql, version)
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code === 'SqlParseException') return false
    throw thrown
  }
  const document = createDocument(
    { topic: 'a/b', payload: Buffer.from(payload), timestampMs: 0 },
    { accountId: '000000000000', newUuid: () => '' },
  )
  const result = statement.evaluate(statement.openScope(document))
  if (result.matched && result.outputIsJson()) JSON.parse(result.output.toString())
  return true
}

describe('the only outcomes are a result and a refusal', () => {
  test('statements of random expressions', () => {
    const accepted: boolean[] = []
    fc.assert(
      fc.property(
        arbitraryExpression(3),
        arbitraryExpression(2),
        versions,
        payloads,
        (item, where, version, payload) => {
          const text = printExpression(item, 'fewest').replaceAll('any(', 'concat(')
          const condition = printExpression(where, 'fewest').replaceAll('any(', 'get(')
          const sql = `SET @1st = a SELECT ${text} AS v, a, * FROM 'a/b'`
          accepted.push(run(sql, version, payload))
          run(`${sql} WHERE ${condition} OR true`, version, payload)
        },
      ),
      { numRuns: 500 },
    )
    expect(accepted).toContain(true)
  })

  test('statements of random tokens', () => {
    const tokens = fc.constantFrom(
      ...(
        'SELECT FROM WHERE AS SET VALUE CASE WHEN THEN ELSE END AND OR NOT IN EXISTS cast Int ' +
        'upper get a b1 @v \'a/b\' "x" 1 2.5 1e400 true null ( ) [ ] { } , . : * + - / % = <> < >= ?'
      ).split(' '),
    )
    fc.assert(
      fc.property(
        fc.array(tokens, { maxLength: 15 }),
        versions,
        payloads,
        (words, version, payload) => {
          expect(run(`SELECT ${words.join(' ')}`, version, payload)).toBeTypeOf('boolean')
          expect(run(words.join(''), version, payload)).toBeTypeOf('boolean')
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('random text and random bytes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.uint8Array(),
        versions,
        (text, bytes, version) => {
          expect(run(text, version, bytes)).toBeTypeOf('boolean')
          run("SELECT *, a AS b FROM 'a/b'", version, bytes)
          run(`SELECT '${text}' AS a FROM 'a/b'`, version, bytes)
        },
      ),
    )
  })
})

describe('size', () => {
  test.for([
    ['opening brackets', (count: number) => '('.repeat(count)],
    ['closed brackets', (count: number) => `${'('.repeat(count)}1${')'.repeat(count)}`],
    ['calls', (count: number) => 'upper('.repeat(count)],
    ['arrays', (count: number) => '['.repeat(count)],
    ['objects', (count: number) => "{'a':".repeat(count)],
    ['CASEs', (count: number) => 'CASE '.repeat(count)],
    ['queries', (count: number) => '(SELECT '.repeat(count)],
    ['minus signs', (count: number) => `${'- '.repeat(count)}1`],
    ['dots', (count: number) => `a${'.a'.repeat(count)}`],
    ['sums', (count: number) => `a${' + a'.repeat(count)}`],
    ['mixed operators', (count: number) => `a${' + a * a < a'.repeat(count)}`],
    ['quotes', (count: number) => `'${"''".repeat(count)}`],
    ['names', (count: number) => 'a '.repeat(count)],
    ['commas', (count: number) => ','.repeat(count)],
  ] as const)(
    'a statement full of %s has a result or is refused, and takes no stack',
    ([, fill]) => {
      for (const count of [10, 100, 1000, 2500]) {
        const accepted = run(`SELECT ${fill(count)} FROM 'a/b'`, '2016-03-23', '{"a":1}')
        expect(accepted).toBeTypeOf('boolean')
      }
    },
  )

  test('a deep payload is compared and written without running out of stack', () => {
    const deep = `{"a":${'[1,'.repeat(998)}1${']'.repeat(998)}}`
    expect(run("SELECT a, a = a AS b, [[a]] = [[a]] AS c FROM 'a/b'", '2016-03-23', deep)).toBe(
      true,
    )
  })
})
