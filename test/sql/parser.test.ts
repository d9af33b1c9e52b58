import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Expression } from '../../src/sql/parser/ast.ts'
import { parseExpressionAt, parseStatement } from '../../src/sql/parser/statement.ts'
import { arbitraryExpression } from './arbitrary-expression.ts'
import { printExpression, withoutOffsets } from './expression-printer.ts'

function parse(text: string): Expression {
  const { expression, end } = parseExpressionAt(text, 0)
  expect(end).toBe(text.length)
  return expression
}

/** The order in which operators apply, made visible. */
function grouped(text: string): string {
  let printed = printExpression(parse(text), 'all')
  while (/\(\w+\)/.test(printed)) printed = printed.replaceAll(/\((\w+)\)/g, '$1')
  return printed
}

describe('operators apply in order of precedence, from the left', () => {
  test.for([
    ['a + b * c', '(a + (b * c))'],
    ['a - b - c', '((a - b) - c)'],
    ['a / b * c % d', '(((a / b) * c) % d)'],
    ['- a * b', '((- a) * b)'],
    ['a - - b', '(a - (- b))'],
    ['a + b = c - d', '((a + b) = (c - d))'],
    ['a < b = c', '((a < b) = c)'],
    ['NOT a = b', '(NOT (a = b))'],
    ['NOT a AND b', '((NOT a) AND b)'],
    ['NOT NOT a', '(NOT (NOT a))'],
    ['a = 1 OR b = 2 AND c = 3', '((a = 1) OR ((b = 2) AND (c = 3)))'],
    ['a AND b OR c AND d', '((a AND b) OR (c AND d))'],
    ['a IN b AND c NOT IN d', '((a IN b) AND (c NOT IN d))'],
    ['a + b IN c', '((a + b) IN c)'],
    ['a != b', '(a <> b)'],
    ['(a + b) * c', '((a + b) * c)'],
    ['a * (b + c)', '(a * (b + c))'],
    ['a OR (b OR c)', '(a OR (b OR c))'],
  ] as const)('%s', ([text, order]) => {
    expect(grouped(text)).toBe(order)
  })
})

describe('a tree is the same however many brackets it is written with', () => {
  test.for(['fewest', 'all'] as const)('%s', (brackets) => {
    fc.assert(
      fc.property(arbitraryExpression(3), (expression) => {
        const text = printExpression(expression, brackets)
        expect(withoutOffsets(parse(text))).toEqual(withoutOffsets(expression))
      }),
      { numRuns: 400 },
    )
  })
})

describe('words are keywords only where the grammar needs them', () => {
  test.for([
    "SELECT value, unit FROM 'a'",
    "SELECT value FROM 'a'",
    "SELECT value - 32 AS x FROM 'a'",
    "SELECT value * 2 AS x FROM 'a'",
    "SELECT value.a AS x FROM 'a'",
    "SELECT value IN list AS x FROM 'a'",
    "SELECT exists, int, time, date, set, cast, case, end, when FROM 'a' WHERE exists = true",
    "SELECT a.from, a.select.where AS select1 FROM 'a'",
    "SELECT a AS value, b AS end FROM 'a'",
    "SELECT CASE end WHEN then THEN else ELSE end END AS x FROM 'a'",
    "SELECT a, FROM 'a'",
    "SELECT [1, 2,] AS x, {'a': 1,} AS y FROM 'a'",
    'SELECT *',
    'set @a = 1 select @a as a where @a = 1',
  ])('%s', (text) => {
    expect(parseStatement(text).selection.kind).toBe('items')
  })

  test.for([
    "SELECT VALUE * FROM 'a'",
    "SELECT VALUE -5 FROM 'a'",
    "SELECT VALUE (a) FROM 'a'",
    "SELECT VALUE value FROM 'a'",
    "SELECT VALUE [a] FROM 'a'",
    "SELECT VALUE NOT a FROM 'a'",
  ])('%s', (text) => {
    expect(parseStatement(text).selection.kind).toBe('value')
  })
})

describe('an item without alias goes by the last name in it, or by its text', () => {
  test.for([
    ['a.b.c', 'c'],
    ['@v', 'v'],
    ['@v.x', 'x'],
    ['clientId()', 'clientId'],
    ['get(a, 0).x', 'x'],
    ['(a.b)', 'b'],
    ['cast(a AS Int)', 'cast'],
    ['a  + 1', 'a  + 1'],
    ["'text'", "'text'"],
  ] as const)('%s', ([item, name]) => {
    const { selection } = parseStatement(`SELECT ${item} , x FROM 'a'`)
    expect(selection).toMatchObject({ items: [{ kind: 'named', target: [name] }, {}] })
  })
})

describe('an expression inside a longer text ends before what cannot belong to it', () => {
  test.for([
    ['x${a}y', 3, 4],
    ["${'}'}", 2, 5],
    ['${ a . b } rest', 2, 9],
    ["${get({'k': 'v'}, 'k')}'", 2, 22],
    ['${a}--`#', 2, 3],
  ] as const)('%s', ([text, start, end]) => {
    expect(parseExpressionAt(text, start).end).toBe(end)
  })
})
