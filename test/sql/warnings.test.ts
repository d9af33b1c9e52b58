import { expect, test } from 'vitest'
import { compileStatement } from '../../src/sql/sql.ts'

test.each([
  ['a statement as it should be', "SELECT upper(a) AS a FROM 'a/b'"],
  ['any number where any is taken', "SELECT concat(a, b, c, d) AS a FROM 'a/b'"],
])('no warning: %s', (_what, sql) => {
  expect(compileStatement(sql, '2016-03-23').warnings).toEqual([])
})

test.each<[string, string, RegExp]>([
  [
    'too many arguments',
    "SELECT upper(a, b) AS a FROM 'a/b'",
    /^upper\(\) takes 1 arguments?; with 2 it is Undefined \(line 1, column 8\)\n.*\n {9}\^$/,
  ],
  [
    'too few arguments',
    "SELECT a FROM 'a/b' WHERE startswith(a)",
    /^startswith\(\) takes 2 arguments; with 1 .*column 27/,
  ],
  ['one of several counts', "SELECT substring(a) AS a FROM 'a/b'", /takes 2 to 3 arguments/],
  [
    'a pattern that Java refuses',
    "SELECT regexp_matches(a, '[') AS a FROM 'a/b'",
    /line 1, column \d+/,
  ],
])('%s', (_what, sql, expected) => {
  const { warnings } = compileStatement(sql, '2016-03-23')
  expect(warnings).toEqual([expect.stringMatching(expected)])
})

test('those of a template stand with those of its statement', () => {
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  statement.compileExpression('x${upper()}', 3)
  expect(statement.warnings).toEqual([expect.stringMatching(/^upper\(\) takes 1 .*column 4/)])
})
