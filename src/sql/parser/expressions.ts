/**
 * Parses expressions: OR and AND by descent, and tighter operators with `operators.ts`.
 *
 *   expression := conjunction { OR conjunction }
 *   conjunction := run { AND run }
 *   run := { NOT } operand { binary-operator operand }      operand := { - | + } primary
 */
import type { BinaryOperator, Expression, LogicalOperator, UnaryOperator } from './ast.ts'
import type { RunPart } from './operators.ts'
import type { Token } from './token.ts'
import type { Cursor } from './cursor.ts'
import { parsePrimary } from './primaries.ts'
import { parseMembers } from './names.ts'

/** The most NOTs and signs in a row. */
const prefixesMax = 64

const binaryOperators: ReadonlyMap<string, BinaryOperator> = new Map<string, BinaryOperator>([
  ['+', '+'],
  ['-', '-'],
  ['*', '*'],
  ['/', '/'],
  ['%', '%'],
  ['=', '='],
  ['<>', '<>'],
  ['!=', '<>'],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
  ['IN', 'IN'],
])

/** @throws SluiceError SqlParseException */
export function parseExpression(cursor: Cursor): Expression {
  return parseLogical(cursor, 'OR', () => parseLogical(cursor, 'AND', () => parseRun(cursor)))
}

/** @throws SluiceError SqlParseException */
export function parseExpressionOrStar(cursor: Cursor): Expression {
  const star = cursor.accept('*')
  return star === undefined
    ? parseExpression(cursor)
    : parseMembers(cursor, { kind: 'star', at: star.start })
}

function parseLogical(
  cursor: Cursor,
  operator: LogicalOperator,
  parseSide: () => Expression,
): Expression {
  const start = cursor.peek().start
  const first = parseSide()
  const at = cursor.peek().start
  if (cursor.peek().keyword !== operator) return first
  const operands =
    first.kind === 'logical' && first.operator === operator ? [...first.operands] : [first]
  while (cursor.accept(operator) !== undefined) operands.push(parseSide())
  const logical: Expression = { kind: 'logical', at, operator, operands }
  cursor.mark(logical, start)
  return logical
}

function parseRun(cursor: Cursor): Expression {
  const start = cursor.peek().start
  const run: RunPart[] = []
  takePrefixes(cursor, run, 'NOT')
  parseOperand(cursor, run)
  for (;;) {
    const operator = takeBinaryOperator(cursor)
    if (operator === undefined) break
    run.push(operator)
    if (cursor.peek().keyword === 'NOT') {
      cursor.fail(cursor.peek().start, 'NOT after an operator needs brackets of its own')
    }
    parseOperand(cursor, run)
  }
  const only = run[0]
  if (run.length === 1 && only?.kind === 'operand') return only.expression
  const ordered = cursor.operators(run)
  if (!ordered) return cursor.fail(start, 'the operators here cannot be put in order')
  cursor.mark(ordered, start)
  return ordered
}

function parseOperand(cursor: Cursor, run: RunPart[]): void {
  takePrefixes(cursor, run, '-', '+')
  const { start } = cursor.peek()
  const expression = parsePrimary(cursor)
  cursor.mark(expression, start)
  run.push({ kind: 'operand', expression })
}

function takePrefixes(cursor: Cursor, run: RunPart[], ...operators: UnaryOperator[]): void {
  for (let count = 1; ; count++) {
    const token = cursor.peek()
    const operator = operators.find((candidate) => candidate === token.keyword)
    if (operator === undefined) return
    if (count > prefixesMax) cursor.fail(token.start, `more than ${prefixesMax} signs in a row`)
    cursor.next()
    run.push({ kind: 'prefix', operator, at: token.start })
  }
}

function takeBinaryOperator(cursor: Cursor): RunPart | undefined {
  const token: Token = cursor.peek()
  if (token.keyword === 'NOT' && cursor.peek(1).keyword === 'IN') {
    cursor.next()
    cursor.next()
    return { kind: 'operator', operator: 'NOT IN', at: token.start }
  }
  const operator = binaryOperators.get(token.keyword)
  if (operator === undefined) return undefined
  cursor.next()
  return { kind: 'operator', operator, at: token.start }
}
