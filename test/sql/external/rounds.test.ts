/** Suspending and resuming: what is asked, how often, and what comes of failures. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ExternalRequest } from '../../../src/sql/sql.ts'
import {
  compileStatement,
  createDocument,
  failureOf,
  resolveExternals,
} from '../../../src/sql/sql.ts'
import { evaluateExternally, valueOf } from './evaluate-externally.ts'

const role = 'arn:aws:iam::123456789012:role/r'
const inputOf = (request: ExternalRequest) =>
  request.function === 'aws_lambda' ? request.inputJson : ''
/** Answers with its own input. */
const echo = { answer: inputOf }
const fail = {
  answer: () => {
    throw new Error('no such thing')
  },
}

describe('results', () => {
  test('have members, and numbers of all digits', async () => {
    const { output } = await valueOf(`get_thing_shadow('t', '${role}').state`, {
      answer: () => '{"state":{"n":12345678901234567890.10}}',
    })
    expect(output).toBe('{"n":12345678901234567890.10}')
  })

  test('Undefined is left out, Null is Null', async () => {
    const select = `SELECT get_thing_shadow('t', '${role}') AS s, 1 AS one FROM 'a/b'`
    expect((await evaluateExternally(select, { answer: () => '' })).output).toBe('{"one":1}')
    const withNull = await evaluateExternally(select, { answer: () => 'null' })
    expect(withNull.output).toBe('{"s":null,"one":1}')
  })

  test('are arguments of further calls, one round each', async () => {
    const nested = "aws_lambda('f', {'b': aws_lambda('f', {'a': 1})})"
    const { output, requests, rounds } = await valueOf(nested, echo)
    expect(output).toBe('{"b":{"a":1}}')
    expect(requests.map(inputOf)).toEqual(['{"a":1}', '{"b":{"a":1}}'])
    expect(rounds).toBe(3)
  })

  test('are asked for once at each place, whatever the number of rounds', async () => {
    const sql = `SET @a = aws_lambda('f', {'v': 1})
      SELECT @a.v AS x, aws_lambda('f', {'w': @a.v}).w AS y, @a.v AS z
      FROM 'a/b' WHERE aws_lambda('f', {'v': 1}).v = 1`
    const { output, requests } = await evaluateExternally(sql, {
      ...echo,
      templates: ["${@a.v}-${aws_lambda('f', {'t': @a.v}).t}"],
    })
    expect(output).toBe('{"x":1,"y":1,"z":1}')
    expect(requests.map(inputOf)).toEqual(['{"v":1}', '{"v":1}', '{"w":1}', '{"t":1}'])
  })

  test('of one place and the same arguments are shared by the elements of a nested query', async () => {
    const payload = '{"a":[1,2,1,2]}'
    const nested = "(SELECT VALUE aws_lambda('f', {'v': e}).v FROM a AS e)"
    const { output, requests } = await valueOf(nested, { ...echo, payload })
    expect(output).toBe('[1,2,1,2]')
    expect(requests.map(inputOf)).toEqual(['{"v":1}', '{"v":2}'])
  })

  test('templates see them, and those of the statement', async () => {
    const sql = `SET @s = get_thing_shadow('t', '${role}') SELECT * FROM 'a/b'`
    const { templates, requests } = await evaluateExternally(sql, {
      answer: () => '{"k":"v"}',
      templates: ['${@s.k}', 'x-${upper(@s.k)}', '${topic()}'],
    })
    expect(templates).toEqual(['v', 'x-V', 'a/b'])
    expect(requests).toHaveLength(1)
  })
})

/** Answered with `value` by `echo`. */
const call = (value: string) => `aws_lambda('f', {'v': ${value}}).v`

describe('what waits for no other result is asked for at once', () => {
  test.for([
    ['items of SELECT', `SELECT ${call('1')} AS a, ${call('2')} AS b FROM 'a/b'`],
    ['items beside the payload', `SELECT *, ${call('1')} AS a, ${call('2')} AS b FROM 'a/b'`],
    ['operands', `SELECT ${call('1')} + 1 + ${call('2')} AS a FROM 'a/b'`],
    ['arguments', `SELECT concat('x', ${call('1')}, ${call('2')}) AS a FROM 'a/b'`],
    [
      'one argument of two',
      `SELECT get_or_default(${call('1')}, 0) = ${call('2')} AS a FROM 'a/b'`,
    ],
    ['items of an array', `SELECT [${call('1')}, ${call('2')}] AS a FROM 'a/b'`],
    ['members of an object', `SELECT {'k': ${call('1')}, 'l': ${call('2')}} AS a FROM 'a/b'`],
    [
      'elements of a nested query',
      `SELECT (SELECT VALUE ${call('e')} FROM r AS e) AS a FROM 'a/b'`,
    ],
    ['variables', `SET @a = ${call('1')}, @b = ${call('2')} SELECT @a AS a, @b AS b FROM 'a/b'`],
    [
      'a later variable alone',
      `SET @a = ${call('1')}, @b = ${call('2')} SELECT @b AS b FROM 'a/b'`,
    ],
  ])('%s', async ([, sql = '']) => {
    const { requests, rounds, failure } = await evaluateExternally(sql, {
      ...echo,
      payload: '{"r":[1,2]}',
    })
    expect(failure).toBeUndefined()
    expect(requests.map(inputOf)).toEqual(['{"v":1}', '{"v":2}'])
    expect(rounds).toBe(2)
  })

  test('64 elements of a nested query take one round of calls', async () => {
    const payload = JSON.stringify({ a: Array.from({ length: 64 }, (_, index) => index) })
    const { output, requests, rounds } = await valueOf(`(SELECT VALUE ${call('e')} FROM a AS e)`, {
      ...echo,
      payload,
    })
    expect(requests).toHaveLength(64)
    expect(rounds).toBe(2)
    expect(JSON.parse(output ?? '')).toHaveLength(64)
  })

  test('templates of all actions', async () => {
    const templates = [`\${${call('1')}}`, `\${${call('2')}}`]
    const { requests, rounds } = await evaluateExternally("SELECT * FROM 'a/b'", {
      ...echo,
      templates,
    })
    expect(requests).toHaveLength(2)
    expect(rounds).toBe(2)
  })
})

describe('nothing is asked that is not needed', () => {
  const shadow = `get_thing_shadow('t', '${role}').a`

  test.for([
    ['WHERE decides before', `SELECT * FROM 'a/b' WHERE n > 1 AND ${shadow} = 1`],
    ['WHERE does not let pass', `SELECT ${shadow} AS v FROM 'a/b' WHERE n > 1`],
    [
      'a branch of CASE that is not taken',
      `SELECT CASE n WHEN 1 THEN 0 ELSE ${shadow} END AS v FROM 'a/b'`,
    ],
    ['a variable that is not read', `SET @a = 1, @b = ${shadow} SELECT @a AS v FROM 'a/b'`],
  ])('%s', async ([, sql = '']) => {
    const { requests, isSynchronous, failure } = await evaluateExternally(sql, {
      payload: '{"n":1}',
    })
    expect(requests).toEqual([])
    expect(isSynchronous).toBe(true)
    expect(failure).toBeUndefined()
  })

  test('a statement without external functions has one round and no state', () => {
    const statement = compileStatement("SELECT newuuid() AS id FROM 'a/b'", '2016-03-23')
    expect(statement.usesExternalFunctions).toBe(false)
    const message = { topic: 'a/b', payload: Buffer.from('{}'), timestampMs: 0 }
    const document = createDocument(message, { accountId: '1', newUuid: () => 'u' })
    const scope = statement.openScope(document)
    expect(resolveExternals(scope, () => statement.evaluate(scope))).toMatchObject({
      matched: true,
    })
    expect(scope.state.external).toBeUndefined()
  })
})

describe('what is random stays as it was first drawn', () => {
  test.for([
    ['in an argument', "SELECT aws_lambda('f', {'id': newuuid()}).id AS a, 1 AS b FROM 'a/b'"],
    [
      'in a variable',
      "SET @id = newuuid() SELECT @id AS a, aws_lambda('f', {'id': @id}).id = @id AS b FROM 'a/b'",
    ],
    [
      'beside a call',
      "SELECT newuuid() AS a, aws_lambda('f', {'n': rand()}).n < 1 AS b FROM 'a/b'",
    ],
    [
      'at two places',
      "SET @r = aws_lambda('f', {'id': newuuid()}) SELECT @r.id AS a, @r.id <> newuuid() AS b FROM 'a/b'",
    ],
  ])('%s', async ([, sql = '']) => {
    const { requests, output, failure } = await evaluateExternally(sql, echo)
    expect(failure).toBeUndefined()
    expect(requests).toHaveLength(1)
    expect(output).toMatch(/^\{"a":"[0-9a-f-]{36}","b":(1|true)\}$/)
  })

  test('whatever comes in first, an element keeps its value', async () => {
    // In the first round only the second element goes on to what is drawn.
    const nested =
      "(SELECT VALUE aws_lambda('f', {'id': newuuid()}).id FROM a AS e " +
      "WHERE e = 2 OR aws_lambda('f', {'e': e}).e = 1)"
    const { requests, output } = await valueOf(nested, { ...echo, payload: '{"a":[1,2]}' })
    expect(requests).toHaveLength(3)
    const drawn = requests.map(inputOf).filter((input) => input.includes('id'))
    const [first, second] = JSON.parse(output ?? '') as string[]
    expect(drawn).toEqual([`{"id":"${second}"}`, `{"id":"${first}"}`])
  })

  test('one place in a nested query draws a value for each element', async () => {
    const nested = "(SELECT VALUE aws_lambda('f', {'id': newuuid()}).id FROM a)"
    const { requests, output } = await valueOf(nested, { ...echo, payload: '{"a":[{},{},{}]}' })
    expect(requests).toHaveLength(3)
    expect(new Set(JSON.parse(output ?? '') as string[]).size).toBe(3)
  })
})

describe('a failure', () => {
  const item = `get_dynamodb('t', 'k', 'v', '${role}')`

  test.for([
    ['in SELECT', `SELECT 1 AS a, ${item} AS v FROM 'a/b'`],
    ['in WHERE', `SELECT * FROM 'a/b' WHERE isUndefined(${item})`],
    ['in SET', `SET @v = ${item} SELECT @v AS v FROM 'a/b'`],
    ['in a nested query', `SELECT (SELECT ${item} AS v FROM a) AS v FROM 'a/b'`],
  ])('%s ends the rule', async ([, sql = '']) => {
    const { output, failure } = await evaluateExternally(sql, { ...fail, payload: '{"a":[{}]}' })
    expect(output).toBeUndefined()
    expect(failure).toBe('no such thing')
  })

  test('in a template ends the rule, too', async () => {
    const templates = [`\${${item}.a}`]
    const { failure } = await evaluateExternally("SELECT * FROM 'a/b'", { ...fail, templates })
    expect(failure).toBe('no such thing')
  })

  test.for([
    ['in SELECT', `SELECT get_or_default(${item}, 'd') AS v FROM 'a/b'`],
    ['in SELECT, deep', `SELECT get_or_default(concat('x', ${item}.a), 'd') AS v FROM 'a/b'`],
    ['in SET', `SET @v = get_or_default(${item}, 'd') SELECT @v AS v FROM 'a/b'`],
    ['of a variable', `SET @v = ${item} SELECT get_or_default(@v, 'd') AS v FROM 'a/b'`],
    ['in WHERE', `SELECT 'd' AS v FROM 'a/b' WHERE get_or_default(${item}, 'd') = 'd'`],
  ])('%s gives the default of get_or_default', async ([, sql = '']) => {
    const { output, failure } = await evaluateExternally(sql, fail)
    expect(failure).toBeUndefined()
    expect(output).toBe('{"v":"d"}')
  })

  test('in a template gives the default of get_or_default', async () => {
    const templates = [`\${get_or_default(${item}.a, 'd')}`, `\${get_or_default(${item})}`]
    const outcome = await evaluateExternally("SELECT * FROM 'a/b'", { ...fail, templates })
    expect(outcome.failure).toBeUndefined()
    expect(outcome.templates).toEqual(['d', ''])
  })

  test('a second get_dynamodb ends the rule, even within get_or_default', async () => {
    const other = item.replace("'v'", "'w'")
    const sql = `SELECT ${item} AS a, get_or_default(${other}, 'd') AS b FROM 'a/b'`
    const { output, failure, requests } = await evaluateExternally(sql)
    expect(output).toBeUndefined()
    expect(failure).toBe('called twice in the statement')
    expect(requests).toHaveLength(1)
  })

  test('templates may call get_dynamodb each', async () => {
    const templates = [`\${${item}.a}`, `\${${item.replace("'v'", "'w'")}.a}`]
    const { failure, requests } = await evaluateExternally(`SELECT ${item} AS a FROM 'a/b'`, {
      answer: () => '{}',
      templates,
    })
    expect(failure).toBeUndefined()
    expect(requests).toHaveLength(3)
  })

  test('two templates that call get_registry_data end the rule', async () => {
    const templates = ['x', 'y'].map(
      (name) => `\${get_registry_data('DescribeThing', '${name}', 'r').a}`,
    )
    const { failure } = await evaluateExternally("SELECT * FROM 'a/b'", { templates })
    expect(failure).toBe('called twice in the rule')
  })

  test('too many calls end the rule', async () => {
    const payload = JSON.stringify({ a: Array.from({ length: 100 }, (_, index) => index) })
    const nested = "(SELECT VALUE aws_lambda('f', {'v': e}).v FROM a AS e)"
    const { failure, requests } = await valueOf(nested, { ...echo, payload })
    expect(failure).toBe('more than 64 calls')
    expect(requests).toHaveLength(64)
  })

  test('there is one where nothing can carry the function out', () => {
    const statement = compileStatement("SELECT aws_lambda('f', *) AS v FROM 'a'", '2016-03-23')
    const message = { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 }
    const document = createDocument(message, { accountId: '1', newUuid: () => 'u' })
    const scope = statement.openScope(document)
    expect(resolveExternals(scope, () => statement.evaluate(scope))).toEqual({ matched: false })
    expect(failureOf(scope)).toEqual({
      code: 'ExternalFunctionFailed',
      where: 'aws_lambda()',
      reason: 'this engine has no way to call it',
    })
  })

  test('gives up the calls that are still under way', async () => {
    const statement = compileStatement("SELECT * FROM 'a'", '2016-03-23')
    const compile = (text: string) => statement.compileExpression(text, 0).expression
    const slow = compile("aws_lambda('slow', *)")
    const bad = compile(`get_secret('s', 'SecretString', '${role}')`)
    const message = { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 }
    let signalOfSlow: AbortSignal | undefined
    const document = createDocument(message, {
      accountId: '1',
      newUuid: () => 'u',
      callExternal: (request, signal) => {
        if (request.function !== 'aws_lambda') return Promise.reject(new Error('refused'))
        signalOfSlow ??= signal
        return request.inputJson === '{}' ? Promise.resolve(null) : new Promise(() => {})
      },
    })
    const scope = statement.openScope(document)
    const after = compile("aws_lambda('slow', {'then': aws_lambda('slow', *)})")
    await resolveExternals(scope, () => [slow, after, bad].map((each) => each.expandText(scope)))
    expect(failureOf(scope)?.reason).toBe('refused')
    expect(signalOfSlow?.aborted).toBe(true)
  })
})

test('the outcome does not depend on when results come in', async () => {
  const sql = `SET @a = aws_lambda('f', {'v': x}), @b = aws_lambda('f', {'v': @a.v + 1})
    SELECT @b.v AS b, aws_lambda('f', {'v': 7}).v + @a.v AS c FROM 'a/b' WHERE @a.v > 0`
  const expected = '{"b":4,"c":10}'
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }), async (delays) => {
      const turns = [...delays]
      const answer = async (request: ExternalRequest) => {
        for (let turn = turns.shift() ?? 0; turn > 0; turn--) await Promise.resolve()
        return inputOf(request)
      }
      const { output } = await evaluateExternally(sql, { answer, payload: '{"x":3}' })
      expect(output).toBe(expected)
    }),
    { numRuns: 50 },
  )
})
