import { describe, expect, test } from 'vitest'
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

const never = (filter: string): RegExp =>
  new RegExp(
    `^no message has such a topic: .*\\n.*${filter.replaceAll(/[$+]/g, String.raw`\$&`)}`,
    's',
  )

test.each([
  '$aws/things/+/shadow/update/accepted',
  '$aws/things/t/shadow/name/+/update/documents',
  '$aws/things/+/shadow/#',
  '$aws/events/presence/+/+',
  '$aws/events/#',
  '$aws/things/+/jobs/start-next',
  '#',
])('no warning of a rule on %s', (filter) => {
  expect(compileStatement(`SELECT a FROM '${filter}'`, '2016-03-23').warnings).toEqual([])
})

test.each<[string, RegExp]>([
  ['$aws/events/jobExecution/+/succeeded', /^no message has such a topic here, because/],
  ['$aws/things/+/shadow/update/refused', never('$aws/things/+/shadow/update/refused')],
  ['$aws/things/t/shadow', never('$aws/things/t/shadow')],
  ['$SYS/+', never('$SYS/+')],
  ['$aws/rules/r/#', /^a message of Basic Ingest goes to the rule that its topic names/],
])('a warning of a rule on %s', (filter, expected) => {
  const { warnings } = compileStatement(`SELECT a FROM '${filter}'`, '2016-03-23')
  expect(warnings).toEqual([expect.stringMatching(expected)])
})

test('those of a template stand with those of its statement', () => {
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  statement.compileExpression('x${upper()}', 3)
  expect(statement.warnings).toEqual([expect.stringMatching(/^upper\(\) takes 1 .*column 4/)])
})

describe('a point on which the guide is not clear is told, with the choice', () => {
  test.each<[string, RegExp]>([
    [
      'SELECT temp / 10 AS t FROM "a"',
      /^FROM has double quotes, .*: here .*single quotes.*column 28/,
    ],
    ["SELECT bitnot(a) AS t FROM 'a'", /^bitnot\(\), .*-14 \(line 1, column 8\)/],
    ["SELECT concat(a) AS t FROM 'a'", /^concat\(\) of one argument, /],
    ["SELECT concat(a, NULL) AS t FROM 'a'", /^concat\(\) with NULL, .*Undefined/],
    ["SELECT indexof(a, 'x') AS t FROM 'a'", /^indexof\(\) .*: here it is -1/],
    ["SELECT regexp_substr(a, 'x') AS t FROM 'a'", /^regexp_substr\(\) .*Undefined/],
    ["SELECT get(a, 1.9) AS t FROM 'a'", /^a position with a fraction, .*nearest .*column 15/],
    ["SELECT topic(1.9) AS t FROM 'a'", /^a position with a fraction, /],
    ["SELECT 75 / x AS t FROM 'a'", /^a division with a whole number, .*75 \/ 2 is 37/],
    ["SELECT a * 5 / 9 AS t FROM 'a'", /^a division with a whole number, /],
    ["SELECT a % 0 AS t FROM 'a'", /^% by 0, .*Undefined/],
    ["SELECT a + NULL AS t FROM 'a'", /^Null under \+, .*Undefined/],
    ["SELECT a FROM 'a' WHERE a = NULL", /^NULL under =, /],
    ["SELECT a FROM 'a' WHERE a <> [1]", /^<> of arrays, /],
    ["SELECT a FROM 'a' WHERE a OR true", /^the right operand of OR is always true, .*Undefined/],
    ["SELECT a FROM 'a' WHERE a AND b AND false", /^the right operand of AND is always false, /],
    ["SELECT a, b AS a FROM 'a'", /^two items are named a, .*later one wins .*column 11/],
    ["SELECT a.b.* FROM 'a'", /^an item ends with \.\*, /],
    ["SELECT 'a\\b' AS t FROM 'a'", /^a String holds a backslash, /],
    ["SELECT (SELECT v FROM *) AS t FROM 'a'", /^a nested query reads FROM \*, .*array/],
    ["SELECT CASE a WHEN b THEN 1 END AS t FROM 'a'", /^a value after WHEN is no constant, /],
    ["SET @v = bitnot(a) SELECT @v AS t FROM 'a'", /^bitnot/],
    ["SELECT a FROM 'a' WHERE EXISTS (SELECT v FROM x WHERE bitnot(v) > 1)", /^bitnot/],
  ])('%s', (sql, expected) => {
    const { warnings } = compileStatement(sql, '2016-03-23')
    expect(warnings.filter((warning) => expected.test(warning))).toHaveLength(1)
  })

  test('isNull() under the first version', () => {
    const sql = "SELECT isNull(a) AS n FROM 'a'"
    expect(compileStatement(sql, '2015-10-08').warnings).toEqual([
      expect.stringMatching(/^isNull\(\) under 2015-10-08, /),
    ])
    expect(compileStatement(sql, '2016-03-23').warnings).toEqual([])
  })

  test.each([
    "SELECT a, b.c AS d, topic(2) AS device FROM 'dt/+/x' WHERE a > 50 AND b.c <> 'off'",
    // The guide's page on SET compares with true, and so do rules that run on AWS.
    "SELECT a FROM 'a' WHERE (isUndefined(b) = true OR b > 0) AND false <> c",
    "SELECT a / 1.8 AS t, a / b AS ratio, round(a) AS r FROM 'a' WHERE a = 1 OR startswith(b, 'x')",
    "SELECT regexp_replace(a, '\\d+', '\\$') AS t FROM 'a' WHERE regexp_matches(a, '^\\w+$')",
    "SELECT CASE a WHEN 1 THEN 'x' ELSE b END AS t, (SELECT v FROM vs) AS w FROM 'a'",
    "SELECT *, a AS b, concat(a, '-', b) AS c, get(a, 1) AS d FROM 'a'",
  ])('and nothing about %s', (sql) => {
    expect(compileStatement(sql, '2016-03-23').warnings).toEqual([])
  })
})

test('templates that are compiled against a rule again and again leave one warning', () => {
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  for (let count = 0; count < 3; count += 1) statement.compileExpression('x${upper()}', 3)
  for (let count = 0; count < 300; count += 1)
    statement.compileExpression(`\${bitnot(${count})}`, 2)
  expect(statement.warnings).toHaveLength(100)
})
