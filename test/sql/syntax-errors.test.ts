import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import type { SqlVersion } from '../../src/sql/sql.ts'

function refusal(sql: string, version: SqlVersion = '2016-03-23'): SluiceError {
  try {
    compileStatement(sql, version)
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
    throw thrown
  }
  throw new Error(`accepted: ${sql}`)
}

describe('a refusal says what is wrong and points to it', () => {
  /** The `^` in the second line stands under the character that the message is about. */
  test.for([
    ['', '', 'the text ends where SELECT is expected'],
    ['hello world', '^', "expected SELECT, found 'hello'"],
    ["SELECT uppr(a) FROM 'a'", '       ^', 'unknown function uppr(): did you mean upper()?'],
    ["SELECT frobnicate(a) FROM 'a'", '       ^', 'unknown function frobnicate()'],
    [
      "SELECT cast(a AS Intt) FROM 'a'",
      '                 ^',
      'unknown type Intt: did you mean int?',
    ],
    ["SELECT a FROM 'a/#/b'", '                 ^', "'#' is the last level of a topic filter"],
    [
      "SELECT a FROM 'a+/b'",
      '               ^',
      "'+' and '#' stand alone in a level of the topic filter",
    ],
    ["SELECT a FROM ''", '               ^', 'the topic filter is empty'],
    [
      "SELECT a FROM 'a/b/c/d/e/f/g/h/i'",
      '               ^',
      'the topic filter has more than 7 slashes',
    ],
    ['SELECT a FROM "a/#/b"', '                 ^', "'#' is the last level of a topic filter"],
    [
      'SELECT a FROM a/b',
      '              ^',
      "the topic filter after FROM stands in quotes: FROM 'a/b'",
    ],
    [
      "SELECT a.b.* AS c FROM 'a'",
      '             ^',
      "'.*' has no name of its own: leave out the alias or the '.*'",
    ],
    [
      "SELECT upper(a.*) FROM 'a'",
      '              ^',
      "'.*' stands only at the end of an item of SELECT, after a name or a call",
    ],
    [
      "SELECT a + b.* FROM 'a'",
      '            ^',
      "'.*' stands only at the end of an item of SELECT, after a name or a call",
    ],
    [
      "SELECT VALUE a.* FROM 'a'",
      '              ^',
      "'.*' stands only at the end of an item of SELECT, after a name or a call",
    ],
    ["SELECT a FROM 'a', 'b'", '                 ^', 'FROM takes one topic filter'],
    ["SELECT a FROM 'a' FROM 'b'", '                  ^', 'a second FROM'],
    ["SELECT a WHERE b = 1 FROM 'a'", '         ^', 'WHERE comes after FROM'],
    ["SELECT a b FROM 'a'", '         ^', "expected ',', FROM, WHERE or the end, found 'b'"],
    ["SELECT a AS FROM 'a'", '            ^', "expected a name after AS, found 'FROM'"],
    [
      "SELECT a AS 'x' FROM 'a'",
      '            ^',
      "an alias has no quotes; for other keys select {'key': value}",
    ],
    ["SELECT 1 + FROM 'a'", '           ^', "expected a value, found 'FROM'"],
    ["SELECT * 2 FROM 'a'", '         ^', "expected ',', FROM, WHERE or the end, found '2'"],
    [
      "SELECT (1 + 2 FROM 'a'",
      '              ^',
      "expected ')' for the '(' before it, found 'FROM'",
    ],
    [
      "SELECT upper(a FROM 'a'",
      '               ^',
      "expected ',' or ')' in the call of upper, found 'FROM'",
    ],
    ["SELECT [1 FROM 'a'", '          ^', "expected ',' or ']' in the array, found 'FROM'"],
    [
      "SELECT a[0] FROM 'a'",
      '        ^',
      "expected ',', FROM, WHERE or the end, found '[': items of an array are read by get(array, index)",
    ],
    [
      "SELECT .5 FROM 'a'",
      '       ^',
      "expected a value, found '.': a number has digits on both sides of its point",
    ],
    ["SELECT a IN (1, 2) FROM 'a'", '              ^', 'a list stands in square brackets: [x, y]'],
    [
      "SELECT count(*) FROM 'a'",
      '       ^',
      'count() is not part of AWS IoT SQL: a rule sees one message at a time',
    ],
    ["SELECT 'x FROM", '       ^', "the string that opens here has no closing '"],
    [
      "SELECT a. FROM 'a'",
      '               ^',
      "expected ',', FROM, WHERE or the end, found a string",
    ],
    ["SELECT a.+b FROM 'a'", '         ^', "expected a name after '.', found '+'"],
    ["SELECT a.2b FROM 'a'", '         ^', "a name cannot begin with a digit: write get(*, '2b')"],
    [
      "SELECT a.0.b FROM 'a'",
      '         ^',
      "a name cannot begin with a digit: write get(..., '0')",
    ],
    ["SELECT a FROM 'a' GROUP BY a", '                  ^', 'GROUP is not part of AWS IoT SQL'],
    ["SELECT a FROM 'a' ORDER BY a", '                  ^', 'ORDER is not part of AWS IoT SQL'],
    ["SELECT a FROM 'a' LIMIT 1", '                  ^', 'LIMIT is not part of AWS IoT SQL'],
    ["SELECT a FROM 'a' JOIN 'b'", '                  ^', 'JOIN is not part of AWS IoT SQL'],
    ["SELECT a FROM 'a' HAVING a", '                  ^', 'HAVING is not part of AWS IoT SQL'],
    ["SELECT a FROM 'a' UNION SELECT b", '                  ^', 'UNION is not part of AWS IoT SQL'],
    [
      "SELECT a FROM 'a' WHERE a LIKE 'x'",
      '                          ^',
      'LIKE is not part of AWS IoT SQL: use startswith(), indexof() or regexp_matches()',
    ],
    [
      "SELECT a FROM 'a' WHERE a BETWEEN 1 AND 2",
      '                          ^',
      'BETWEEN is not part of AWS IoT SQL: write a >= low AND a <= high',
    ],
    [
      "SELECT a FROM 'a' WHERE a IS NULL",
      '                          ^',
      'IS is not part of AWS IoT SQL: use isNull() or isUndefined()',
    ],
    ["SELECT DISTINCT a FROM 'a'", '       ^', 'DISTINCT is not part of AWS IoT SQL'],
    ["SELECT a -- b FROM 'a'", '         ^', 'comments are not part of AWS IoT SQL'],
    ["SELECT a /* b */ FROM 'a'", '         ^', 'comments are not part of AWS IoT SQL'],
    [
      "SELECT a FROM 'a';",
      '                 ^',
      "';' is not part of AWS IoT SQL: a rule is one statement",
    ],
    ["SELECT a == 1 FROM 'a'", '         ^', "'==' is not part of AWS IoT SQL: equality is '='"],
    [
      "SELECT a = NOT b FROM 'a'",
      '           ^',
      'NOT after an operator needs brackets of its own',
    ],
    ["SELECT \u00a0 FROM 'a'", '       ^', 'the character U+00A0 cannot stand here'],
    ["SELECT @b FROM 'a'", '       ^', 'the variable @b is not set before its use'],
    [
      "SET @temp = 1 SELECT @tmp FROM 'a'",
      '                     ^',
      'the variable @tmp is not set before its use: did you mean @temp?',
    ],
    [
      "SET @b = @a, @a = 1 SELECT @b FROM 'a'",
      '         ^',
      'the variable @a is not set before its use',
    ],
    ["SET @a = 1, @a = 2 SELECT @a FROM 'a'", '            ^', '@a is set twice'],
    [
      "SET @a = 1 SET @b = 2 SELECT @a FROM 'a'",
      '           ^',
      'SET stands once: separate the assignments by commas',
    ],
    ["SET a = 1 SELECT a FROM 'a'", '    ^', "expected a variable such as @name, found 'a'"],
    ["SELECT VALUE a, b FROM 'a'", '              ^', 'SELECT VALUE takes one value'],
    [
      "SELECT CASE WHEN a > 1 THEN 2 END FROM 'a'",
      '            ^',
      'CASE compares one value: write CASE value WHEN ...',
    ],
    ["SELECT CASE a ELSE 1 END FROM 'a'", '              ^', "expected WHEN, found 'ELSE'"],
    [
      "SELECT (SELECT a FROM 'b') FROM 'a'",
      '                      ^',
      'a nested query reads FROM an attribute, not from a topic filter',
    ],
    ["SELECT (SELECT a) FROM 'a'", '                ^', "expected ',' or FROM, found ')'"],
    [
      "SELECT * FROM 'a' WHERE EXISTS",
      '                              ^',
      'the text ends where a nested query after EXISTS is expected',
    ],
    [
      "SELECT EXISTS (a) FROM 'a'",
      '               ^',
      "expected a nested query (SELECT ...), found 'a'",
    ],
  ] as const)('%s', ([sql, caret, problem]) => {
    const { message, details } = refusal(sql)
    const column = sql === '' ? 1 : caret.length
    expect(message.split('\n')).toEqual([
      `${problem} (line 1, column ${column})`,
      `  ${sql.replaceAll('\u00a0', ' ')}`,
      `  ${sql === '' ? '^' : caret}`,
    ])
    expect(details).toEqual({ line: 1, column })
  })
})

describe('version 2015-10-08 does not have what came later', () => {
  test.for([
    ["SELECT [1] FROM 'a'", 'an array literal needs SQL version 2016-03-23'],
    ["SELECT {'a': 1} FROM 'a'", 'an object literal needs SQL version 2016-03-23'],
    ["SELECT (SELECT a FROM b) FROM 'a'", 'a nested query needs SQL version 2016-03-23'],
    ["SELECT * FROM 'a' WHERE EXISTS (SELECT * FROM b)", 'a nested query needs SQL version'],
    ["SELECT sourceip() FROM 'a'", 'sourceip() needs SQL version 2016-03-23'],
    ["SELECT cast(a AS Boolean) FROM 'a'", 'the type Boolean needs SQL version 2016-03-23'],
  ] as const)('%s', ([sql, problem]) => {
    expect(refusal(sql, '2015-10-08').message).toContain(problem)
    expect(compileStatement(sql, 'beta').version).toBe('beta')
  })

  test('an unknown version is refused', () => {
    expect(refusal('SELECT *', '2017-01-01' as SqlVersion).message).toContain('unknown SQL version')
  })
})

describe('the place of a fault', () => {
  test('lines are counted, and only the line at fault is shown', () => {
    const { message, details } = refusal("SELECT a,\n\tb +,\n c FROM 'a'")
    expect(message.split('\n')).toEqual([
      "expected a value, found ',' (line 2, column 5)",
      '   b +,',
      '      ^',
    ])
    expect(details).toEqual({ line: 2, column: 5 })
  })

  test('a long line is cut around it', () => {
    const sql = `SELECT ${'a, '.repeat(100)}?, ${'a, '.repeat(100)}b FROM 'a'`
    const [, line = '', caret = ''] = refusal(sql).message.split('\n')
    expect(line.length).toBeLessThan(120)
    expect(line.charAt(caret.indexOf('^'))).toBe('?')
  })

  test('characters outside the basic plane take one column of the caret line', () => {
    const [, line = '', caret = ''] = refusal("SELECT '😀😀' ? FROM 'a'").message.split('\n')
    expect(Array.from(line).at(caret.indexOf('^'))).toBe('?')
  })

  test('a fault in a template is placed in the text of the template', () => {
    const statement = compileStatement("SET @a = 1 SELECT * FROM 'a'", '2016-03-23')
    expect(() => statement.compileExpression('x/${@b}', 4)).toThrow('(line 1, column 5)')
    expect(() => statement.compileExpression('x/${}', 4)).toThrow("expected a value, found '}'")
  })
})

function ofSize(bytes: number): string {
  return `SELECT '${'é'.repeat((bytes - 20) / 2)}' AS x FROM 'a'`
}

function setting(count: number): string {
  return `SET ${Array.from({ length: count }, (_, index) => `@v${index} = 1`).join(', ')} SELECT *`
}

function named(length: number): string {
  return `SET @${'a'.repeat(length)} = 1 SELECT *`
}

describe('limits', () => {
  const nestings = [
    ['brackets', '(', 'a', ')'],
    ['calls', 'upper(', 'a', ')'],
    ['arrays', '[', 'a', ']'],
    ['objects', "{'k': ", 'a', '}'],
    ['casts', 'cast(', 'a', ' AS String)'],
    ['CASEs', 'CASE ', 'a', ' WHEN 1 THEN 2 END'],
    ['queries', '(SELECT VALUE ', 'a', ' FROM b)'],
  ] as const
  test.for(nestings)('%s nest 64 levels deep and no deeper', ([, open, middle, close]) => {
    const nested = (depth: number) =>
      `SELECT ${open.repeat(depth)}${middle}${close.repeat(depth)} AS x FROM 'a'`
    expect(compileStatement(nested(64), '2016-03-23').topicFilter).toBe('a')
    expect(refusal(nested(65)).message).toContain('nested more than 64 levels deep')
    expect(refusal(nested(700)).message).toContain('nested more than 64 levels deep')
  })

  test.for([
    ['signs', '- '],
    ['NOTs', 'NOT '],
  ] as const)('%s', ([, prefix]) => {
    const refused = refusal(`SELECT ${prefix.repeat(5000)}a FROM 'a'`)
    expect(refused.message).toContain('more than 64 signs in a row')
  })

  test('a statement has at most 32 KiB of UTF-8', () => {
    const most = ofSize(32 * 1024 - 4)
    expect(Buffer.byteLength(most)).toBeLessThanOrEqual(32 * 1024)
    expect(compileStatement(most, '2016-03-23').topicFilter).toBe('a')
    expect(refusal(ofSize(32 * 1024 + 10)).message).toContain('longer than 32768 bytes')
  })

  test('a statement sets at most 10 variables, of 64 characters each', () => {
    expect(compileStatement(setting(10), '2016-03-23').topicFilter).toBeUndefined()
    expect(refusal(setting(11)).message).toContain('at most 10 variables')
    expect(compileStatement(named(64), '2016-03-23').topicFilter).toBeUndefined()
    expect(refusal(named(65)).message).toContain('at most 64 characters')
  })
})

test.for([
  ['a path', 'SELECT a', 63],
  ['an alias', 'SELECT 1 AS a', 63],
  ['members of a value', 'SELECT get(*, 0)', 64],
  ['members of the payload', 'SELECT *', 64],
] as const)(
  '%s of more than 64 names is refused, at the name that is too many',
  ([, head, more]) => {
    const sql = (count: number) => `${head}${'.b'.repeat(count)} FROM 'a'`
    expect(compileStatement(sql(more), '2016-03-23').topicFilter).toBe('a')
    const { code, message, details } = refusal(sql(more + 1))
    expect(code).toBe('SqlParseException')
    expect(message).toContain('a path or an alias has more than 64 names')
    expect(details).toEqual({ line: 1, column: `${head}${'.b'.repeat(more)}.b`.length })
  },
)
