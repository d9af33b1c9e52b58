/** Random trees of expressions, in the normal forms that `ast.ts` describes. */
import * as fc from 'fast-check'
import type { BinaryOperator, BinaryStep, Expression, Query } from '../../src/sql/parser/ast.ts'

const at = 0
const names = fc.constantFrom('a', 'b1', '_c', 'value', 'int', 'exists', 'time', 'end', 'größe')
const someNames = fc.array(names, { minLength: 1, maxLength: 3 })
const binaryOperators = fc.constantFrom<BinaryOperator[]>(
  '+',
  '-',
  '*',
  '/',
  '%',
  '=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  'IN',
  'NOT IN',
)

const leaf: fc.Arbitrary<Expression> = fc.oneof(
  fc.constantFrom('0', '1', '2.50', '1E3', '12345678901234567890').map((text) => ({
    kind: 'number' as const,
    at,
    text,
  })),
  fc
    .oneof(fc.constantFrom('', "it's", 'x"y', '\\d', 'SELECT'), fc.boolean(), fc.constant(null))
    .map((value) => ({ kind: 'constant' as const, at, value })),
  someNames.map((path) => ({ kind: 'path' as const, at, names: path })),
  fc.constant({ kind: 'variable' as const, at, name: '1st' }),
)

/** @param depthMax kinds of nodes within one another */
export function arbitraryExpression(depthMax: number): fc.Arbitrary<Expression> {
  if (depthMax <= 0) return leaf
  const inner = fc.oneof(
    { weight: 1, arbitrary: leaf },
    fc.constant(0).chain(() => arbitraryExpression(depthMax - 1)),
  )
  const step: fc.Arbitrary<BinaryStep> = fc.record({ operator: binaryOperators, operand: inner })
  const steps = fc.array(step, { minLength: 1, maxLength: 3 })
  return fc.oneof(
    leaf,
    fc.record({
      kind: fc.constant('array' as const),
      at: fc.constant(at),
      items: fc.array(inner, { maxLength: 3 }),
    }),
    fc
      .array(fc.record({ key: fc.constantFrom('k', 'a-b', '__proto__'), value: inner }), {
        maxLength: 2,
      })
      .map((entries) => ({ kind: 'object' as const, at, entries })),
    fc.tuple(inner, someNames).map(([object, path]) => memberOf(object, path)),
    fc.record({
      kind: fc.constant('call' as const),
      at: fc.constant(at),
      name: fc.constantFrom('upper', 'concat', 'any'),
      arguments: fc.array(fc.oneof(inner, fc.constant({ kind: 'star' as const, at })), {
        maxLength: 3,
      }),
    }),
    inner.map((value) => ({ kind: 'cast' as const, at, value, type: 'Int', typeAt: at })),
    fc
      .record({
        operator: fc.constantFrom('-' as const, '+' as const, 'NOT' as const),
        operand: inner,
      })
      .map((unary) => ({ kind: 'unary' as const, at, ...unary })),
    fc.tuple(inner, steps).map(([first, rest]) => binary(first, rest)),
    fc
      .tuple(
        fc.constantFrom('AND' as const, 'OR' as const),
        inner,
        fc.array(inner, { minLength: 1, maxLength: 3 }),
      )
      .map(([operator, first, rest]): Expression =>
        first.kind === 'logical' && first.operator === operator
          ? { ...first, operands: [...first.operands, ...rest] }
          : { kind: 'logical', at, operator, operands: [first, ...rest] },
      ),
    fc.record({
      kind: fc.constant('case' as const),
      at: fc.constant(at),
      subject: inner,
      branches: fc.array(fc.record({ when: inner, result: inner }), { minLength: 1, maxLength: 2 }),
      otherwise: fc.option(inner, { nil: undefined }),
    }),
    fc
      .tuple(fc.constantFrom('subselect' as const, 'exists' as const), queryOf(inner))
      .map(([kind, query]) => ({ kind, at, query })),
  )
}

function memberOf(object: Expression, path: string[]): Expression {
  return object.kind === 'member'
    ? { ...object, names: [...object.names, ...path] }
    : { kind: 'member', at, object, names: path }
}

function binary(first: Expression, steps: BinaryStep[]): Expression {
  return first.kind === 'binary'
    ? { ...first, steps: [...first.steps, ...steps] }
    : { kind: 'binary', at, first, steps }
}

function queryOf(inner: fc.Arbitrary<Expression>): fc.Arbitrary<Query> {
  return fc.record({
    at: fc.constant(at),
    selection: fc.oneof(
      inner.map((expression) => ({ kind: 'value' as const, expression })),
      fc.tuple(inner, someNames).map(([expression, target]) => ({
        kind: 'items' as const,
        items: [
          { kind: 'all' as const, at },
          { kind: 'named' as const, at, expression, target },
        ],
      })),
    ),
    source: fc.oneof(
      fc.constant({ kind: 'star' as const, at }),
      someNames.map((path) => ({ kind: 'path' as const, at, names: path })),
    ),
    alias: fc.option(fc.constantFrom('x', 'value'), { nil: undefined }),
    where: fc.option(inner, { nil: undefined }),
  })
}
