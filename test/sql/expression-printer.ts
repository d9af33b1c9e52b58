/** Writes trees of expressions as SQL: with the fewest brackets that keep the tree, or with all. */
import type { BinaryOperator, Expression, Item, Query } from '../../src/sql/parser/ast.ts'

export type Brackets = 'fewest' | 'all'

/** How tightly what an expression is made of holds together; a looser one inside needs brackets. */
const levels = {
  or: 1,
  and: 2,
  not: 3,
  comparison: 4,
  sum: 5,
  product: 6,
  sign: 7,
  primary: 8,
} as const

export function printExpression(expression: Expression, brackets: Brackets, atLeast = 0): string {
  const { text, level } = print(expression, brackets)
  if (level === levels.primary && brackets === 'fewest') return text
  return level < atLeast || brackets === 'all' ? `(${text})` : text
}

function primary(text: string): { text: string; level: number } {
  return { text, level: levels.primary }
}

function levelOf(operator: BinaryOperator): number {
  if (operator === '+' || operator === '-') return levels.sum
  if (operator === '*' || operator === '/' || operator === '%') return levels.product
  return levels.comparison
}

function print(expression: Expression, brackets: Brackets): { text: string; level: number } {
  const inner = (part: Expression, atLeast = 0) => printExpression(part, brackets, atLeast)
  switch (expression.kind) {
    case 'number':
      return primary(expression.text)
    case 'constant':
      return primary(
        typeof expression.value === 'string'
          ? `'${expression.value.replaceAll("'", "''")}'`
          : String(expression.value),
      )
    case 'array':
      return primary(`[${expression.items.map((item) => inner(item)).join(', ')}]`)
    case 'object':
      return primary(
        `{${expression.entries.map(({ key, value }) => `"${key}": ${inner(value)}`).join(', ')}}`,
      )
    case 'path':
      return primary(expression.names.join('.'))
    case 'star':
      return primary('*')
    case 'variable':
      return primary(`@${expression.name}`)
    case 'member': {
      const needsNone = ['variable', 'call', 'cast'].includes(expression.object.kind)
      const object = inner(expression.object)
      const closed = needsNone || brackets === 'all' ? object : `(${object})`
      return primary([closed, ...expression.names].join('.'))
    }
    case 'call':
      return primary(`${expression.name}(${expression.arguments.map((a) => inner(a)).join(', ')})`)
    case 'cast':
      return primary(`cast(${inner(expression.value)} AS ${expression.type})`)
    case 'unary': {
      const level = expression.operator === 'NOT' ? levels.not : levels.sign
      return { text: `${expression.operator} ${inner(expression.operand, level)}`, level }
    }
    case 'binary': {
      let text = inner(expression.first, levelOf(expression.steps[0]?.operator ?? '='))
      let level: number = levels.primary
      for (const [index, { operator, operand }] of expression.steps.entries()) {
        const operatorLevel = levelOf(operator)
        const isLoose = level < operatorLevel || (brackets === 'all' && index > 0)
        const left = isLoose ? `(${text})` : text
        text = `${left} ${operator} ${inner(operand, operatorLevel + 1)}`
        level = operatorLevel
      }
      return { text, level }
    }
    case 'logical': {
      const level = expression.operator === 'OR' ? levels.or : levels.and
      const [first, ...rest] = expression.operands.map((operand, index) =>
        inner(operand, index === 0 ? level : level + 1),
      )
      const text = rest.reduce((left, right, index) => {
        const closed = brackets === 'all' && index > 0 ? `(${left})` : left
        return `${closed} ${expression.operator} ${right}`
      }, first ?? '')
      return { text, level }
    }
    case 'case': {
      const branches = expression.branches.map(
        ({ when, result }) => ` WHEN ${inner(when)} THEN ${inner(result)}`,
      )
      const otherwise =
        expression.otherwise === undefined ? '' : ` ELSE ${inner(expression.otherwise)}`
      return primary(`CASE ${inner(expression.subject)}${branches.join('')}${otherwise} END`)
    }
    case 'exists':
      return primary(`EXISTS (${printQuery(expression.query, brackets)})`)
    case 'subselect':
      return { text: printQuery(expression.query, brackets), level: -1 }
    default:
      return expression
  }
}

function printQuery({ selection, source, alias, where }: Query, brackets: Brackets): string {
  // In brackets, because in `VALUE - a` the first word would be an attribute.
  const selected =
    selection.kind === 'value'
      ? `VALUE (${printExpression(selection.expression, brackets)})`
      : selection.items.map((item) => printItem(item, brackets)).join(', ')
  const from = source.kind === 'path' ? source.names.join('.') : '*'
  const condition = where === undefined ? '' : ` WHERE ${printExpression(where, brackets)}`
  return `SELECT ${selected} FROM ${from}${alias === undefined ? '' : ` AS ${alias}`}${condition}`
}

function printItem(item: Item, brackets: Brackets): string {
  if (item.kind === 'all') return '*'
  const text = printExpression(item.expression, brackets)
  return item.kind === 'spread' ? text : `${text} AS ${item.target.join('.')}`
}

/** The tree without the offsets of its nodes: what two texts of the same tree share. */
export function withoutOffsets(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutOffsets)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => key !== 'at' && key !== 'typeAt')
      .map(([key, value]) => [key, withoutOffsets(value)]),
  )
}
