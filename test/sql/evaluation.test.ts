import { describe, expect, test, vi } from 'vitest'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { SqlVersion } from '../../src/sql/sql.ts'
import { expanded, output } from './evaluate.ts'

/** The JSON of one expression, or '' when it is Undefined. */
function value(expression: string, payload = '{}', version: SqlVersion = '2016-03-23'): string {
  const text = output(`SELECT ${expression} AS v FROM 'a/b'`, payload, version) ?? 'no match'
  return text === '{}' ? '' : text.slice('{"v":'.length, -1)
}

describe('what SELECT makes', () => {
  const payload = '{"a":{"b":1,"c":[1,2]},"d":null,"e":"x"}'
  test.for([
    ['SELECT a.b AS x.y, a.c AS x.z', '{"x":{"y":1,"z":[1,2]}}'],
    ['SELECT 1 AS x.y, 2 AS x', '{"x":2}'],
    ['SELECT a AS x, 5 AS x.b', '{"x":{"b":5,"c":[1,2]}}'],
    ["SELECT {'k': e, 'n': nope}, d", '{"k":"x","d":null}'],
    ["SELECT VALUE {'k': e}", '{"k":"x"}'],
    ['SELECT *, e AS d', '{"a":{"b":1,"c":[1,2]},"d":"x","e":"x"}'],
    ['SELECT * AS all', `{"all":${payload}}`],
    ['SELECT *.a.b AS v', '{"v":1}'],
    ['SELECT a.*, 2 AS b', '{"b":2,"c":[1,2]}'],
    ['SELECT 2 AS b, a.*', '{"b":1,"c":[1,2]}'],
    ["SELECT get(*, 'a').*, e.*, *.a.*", '{"b":1,"c":[1,2]}'],
    ['SELECT (SELECT x.* FROM a AS x) AS v', '{"v":{"b":1,"c":[1,2]}}'],
    ['SELECT nope, a.nope.nope', '{}'],
    ['SELECT VALUE nope', ''],
    ['SELECT VALUE e', '"x"'],
    ['SELECT (SELECT VALUE c FROM a) AS v', '{"v":[1,2]}'],
    ['SELECT (SELECT b FROM a).b AS v', '{"v":1}'],
    ['SELECT (SELECT * FROM d) AS v', '{}'],
    ['SELECT (SELECT VALUE x + y.b FROM a.c AS x WHERE x > 1) AS v', '{"v":[]}'],
    ['SELECT (SELECT VALUE (SELECT VALUE o.b + i FROM o.c AS i) FROM * AS w) AS v', '{"v":[]}'],
    [
      'SELECT (SELECT VALUE (SELECT VALUE w.a.b + i FROM w.a.c AS i) FROM * AS w) AS v',
      '{"v":[[2,3]]}',
    ],
  ] as const)('%s', ([sql, expected]) => {
    expect(output(`${sql} FROM 'a/b'`, payload)).toBe(expected)
  })

  test('the payload itself is never changed by a rule', () => {
    const statement = compileStatement("SELECT a AS x, 5 AS x.b FROM 'a'", '2016-03-23')
    const document = createDocument(
      { topic: 'a', payload: Buffer.from(payload), timestampMs: 0 },
      { accountId: '', newUuid: () => '' },
    )
    statement.evaluate(statement.openScope(document))
    const all = compileStatement("SELECT a, 1 AS one FROM 'a'", '2016-03-23')
    const result = all.evaluate(all.openScope(document))
    expect(result.matched && result.output.toString()).toBe('{"a":{"b":1,"c":[1,2]},"one":1}')
  })

  test('SELECT * hands on the very bytes, and reads them only when asked', () => {
    const payload2 = Buffer.from('{ "a" : 1.0 }')
    const statement = compileStatement("SELECT * FROM '#' WHERE topic(1) = 'a'", '2016-03-23')
    const document = createDocument(
      { topic: 'a', payload: payload2, timestampMs: 0 },
      { accountId: '', newUuid: () => '' },
    )
    const read = vi.spyOn(document, 'payload')
    const result = statement.evaluate(statement.openScope(document))
    expect(result.matched && result.output).toBe(payload2)
    expect(read).not.toHaveBeenCalled()
    expect(result.matched && result.outputIsJson()).toBe(true)
  })

  test('a payload is read once for all rules and templates', () => {
    const document = createDocument(
      { topic: 'a', payload: Buffer.from('{"a":{}}'), timestampMs: 0 },
      { accountId: '', newUuid: () => '' },
    )
    expect(document.payload()).toBe(document.payload())
  })

  test.for([
    ['[1,2]', '[1,2]'],
    ['\u0000\u0001', '\u0000\u0001'],
    ['80', '80'],
    ['{"a":1', '{"a":1'],
    ['', '{"t":"a/b"}'],
    ['{}', '{"t":"a/b"}'],
  ] as const)('SELECT *, x over the payload %j', ([payload3, expected]) => {
    expect(output("SELECT *, topic() AS t FROM 'a/b'", payload3)).toBe(expected)
  })
})

describe('only true lets a message pass', () => {
  test.for([
    ['true', true],
    ["'true'", false],
    ['1', false],
    ['NULL', false],
    ['nope', false],
    ['nope = nope', false],
    ['NOT nope', false],
    ['3 NOT IN [1, 2]', true],
    ['3 NOT IN nope', false],
    ['EXISTS (SELECT * FROM a)', true],
    ['EXISTS (SELECT * FROM a WHERE a > 5)', false],
    ['EXISTS (SELECT VALUE nope FROM a)', false],
  ] as const)('%s', ([condition, passes]) => {
    const fired = output(`SELECT 1 AS v FROM 'a/b' WHERE ${condition}`, '{"a":[1]}')
    expect(fired !== undefined).toBe(passes)
  })
})

describe('numbers', () => {
  const payload =
    '{"big":12345678901234567890,"huge":1E+400,"t":18.899999618530273,"w":10.0,"e":1e3,"z":-0.0,' +
    '"d":0.1234567890123456789012345678901234,"p":2.50,"tiny":1E-900,"beyond":1E99999}'
  test.for([
    ['big', '12345678901234567890', '12345678901234567890'],
    ['huge', '1E+400', '1E+400'],
    ['t', '18.899999618530273', '18.899999618530273'],
    ['w', '10', '10.0'],
    ['e', '1000', '1e3'],
    ['z', '0', '-0.0'],
    ['d', '0.1234567890123456789012345678901234', '0.1234567890123456789012345678901234'],
    ['p', '2.50', '2.50'],
    ['tiny', '1E-900', '1E-900'],
    ['007', '7', '7'],
    ['-5', '-5', '-5'],
    ['0.1 + 0.2', '0.3', '0.3'],
    ['1.5 + 2.5', '4', '4.0'],
    ['7 / 2', '3', '3'],
    ['-7 / 2', '-3', '-3'],
    ['7 / 2.0', '3', '3.5'],
    ["'7' / 2", '3.5', '3.5'],
    ['-7 % 3', '-1', '-1'],
    ['big + 1', '12345678901234567891', '12345678901234567891'],
    ['t * 2', '37.799999237060546', '37.799999237060546'],
    ['1E999 * 10', '', ''],
    ['1E-999 / 10', '', ''],
    ['beyond + 1', '', ''],
    ['beyond % 7', '', ''],
    ['big > 12345678901234567889', 'true', 'true'],
    ['beyond > huge', 'true', 'true'],
    ['t = 18.899999618530273', 'true', 'true'],
    ['t = 18.89999961853027300', 'true', 'true'],
    ['t < 18.8999996185302731', 'true', 'true'],
    ['w = 10', 'true', 'true'],
    ["'x' + w", '"x10"', '"x10.0"'],
    ['-w', '-10', '-10.0'],
    ['- nope', '', ''],
    ["- 'x'", '', ''],
  ] as const)('%s', ([expression, second, first]) => {
    expect(value(expression, payload)).toBe(second)
    expect(value(expression, payload, '2015-10-08')).toBe(first)
  })

  test('a product of more than 34 digits is rounded to 34', () => {
    expect(value('big * big', payload)).toBe('1.524157875323883675019051998750191E+38')
  })

  test.each([
    ["cast('1e34' AS Int)", ''],
    ['cast(1e34 AS Int)', ''],
    ['cast(-1e34 AS Int)', ''],
    [`cast('${'9'.repeat(35)}' AS Int)`, ''],
    [`cast('${'9'.repeat(34)}' AS Int)`, '9'.repeat(34)],
    ['cast(1.5e33 AS Int)', `15${'0'.repeat(32)}`],
    ['cast(1e34 AS Decimal)', '1E+34'],
  ])('an Int has at most 34 digits and no exponent: %s', (expression, expected) => {
    expect(value(expression, payload).toUpperCase().replace('1E34', '1E+34')).toBe(expected)
  })

  test('work on a number with very many digits has a bound', () => {
    const bestMs = (digits: number) => {
      const message = `{"n":0.${'7'.repeat(digits)}}`
      const turns = Array.from({ length: 5 }, () => {
        const startMs = performance.now()
        expect(value('n * n', message)).toMatch(/^0\.\d{34}$/)
        return performance.now() - startMs
      })
      return Math.min(...turns)
    }
    bestMs(10_000)
    // Without the bound a product costs the square of the digits: a hundred times as much.
    expect(bestMs(100_000) / bestMs(10_000)).toBeLessThan(40)
    expect(value("n % '3'", `{"n":"1e999999"}`)).toBe('')
  })
})

describe('keys are data', () => {
  const payload = '{"__proto__":{"x":1},"constructor":2,"toString":3,"hasOwnProperty":4,"2":5}'
  test.for([
    ['__proto__', '{"x":1}'],
    ['__proto__.x', '1'],
    ['constructor', '2'],
    ['toString', '3'],
    ["get(*, '2')", '5'],
    ['valueOf', ''],
    ['a.__proto__', ''],
    ["{'__proto__': 1}", '{"__proto__":1}'],
  ] as const)('%s', ([expression, expected]) => {
    expect(value(expression, payload)).toBe(expected)
  })

  test('also as names of what comes out', () => {
    expect(output("SELECT *, 1 AS __proto__.y FROM 'a/b'", payload)).toBe(
      payload.replace('{"x":1}', '{"x":1,"y":1}'),
    )
  })
})

describe('variables', () => {
  test('each is evaluated once a message and rule, templates included', () => {
    const newUuid = vi.fn<() => string>(() => 'uuid')
    const statement = compileStatement(
      "SET @u = newuuid(), @v = @u + '!' SELECT @u AS a, @v AS b FROM 'a'",
      '2016-03-23',
    )
    const document = createDocument(
      { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 },
      { accountId: '', newUuid },
    )
    const scope = statement.openScope(document)
    const { expression } = statement.compileExpression('@v', 0)
    expect(expression.expandText(scope)).toBe('uuid!')
    const result = statement.evaluate(scope)
    expect(result.matched && result.output.toString()).toBe('{"a":"uuid","b":"uuid!"}')
    expect(newUuid).toHaveBeenCalledTimes(1)
  })

  test('a value beyond 128 KiB, alone or with those before it, is Undefined', () => {
    const sql = "SET @a = a, @b = a + a, @c = 1 SELECT @a = a AS a, @b = 1 AS b, @c AS c FROM 'a/b'"
    expect(output(sql, `{"a":"${'x'.repeat(60_000)}"}`)).toBe('{"a":true,"c":1}')
    expect(output(sql, `{"a":"${'x'.repeat(20_000)}"}`)).toBe('{"a":true,"b":false,"c":1}')
  })
})

describe('the text that a template puts in the place of an expression', () => {
  const payload = '{"s":"a\\"b","n":null,"o":{"k":[1,2.50]},"b":true,"w":10.0}'
  test.for([
    ['s', 'a"b'],
    ['n', 'null'],
    ['nope', ''],
    ['o', '{"k":[1,2.50]}'],
    ['o.k', '[1,2.50]'],
    ['b', 'true'],
    ['w', '10'],
    ['timestamp()', '0'],
    ['*', payload.replace('10.0', '10')],
  ] as const)('%s', ([expression, text]) => {
    expect(expanded(expression, payload)).toBe(text)
  })

  test.for([
    ["'a'", true],
    ['1 + 2 * 3', true],
    ["CASE 1 WHEN 1 THEN [1, {'a': NOT true}] ELSE cast('1' AS Int) END", true],
    ['a', false],
    ['*', false],
    ['newuuid()', false],
    ["'a' + topic()", false],
  ] as const)('%s is constant: %s', ([expression, isConstant]) => {
    const statement = compileStatement('SELECT *', '2016-03-23')
    expect(statement.compileExpression(expression, 0).expression.isConstant).toBe(isConstant)
  })
})

function chain(operator: string, of: (index: number) => string): string {
  return Array.from({ length: 900 }, (_, index) => of(index)).join(` ${operator} `)
}

test('a chain of hundreds of operators is folded, not nested', () => {
  expect(value(chain('+', () => '1'))).toBe('900')
  expect(
    value(
      chain('OR', (index) => `a = ${index}`),
      '{"a":899}',
    ),
  ).toBe('true')
  expect(
    value(
      chain('AND', (index) => `a <> ${index}`),
      '{"a":900}',
    ),
  ).toBe('true')
  expect(value(chain('=', () => 'true'))).toBe('true')
})
