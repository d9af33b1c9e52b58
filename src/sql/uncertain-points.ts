import { isConstant } from './parser/constant.ts'
import type {
  Binary,
  BinaryStep,
  Call,
  Expression,
  Item,
  Logical,
  Query,
  Selection,
  Statement,
} from './parser/ast.ts'
import type { Dialect } from './values/dialect.ts'

/**
 * The parts of a statement that rest on a choice, because the AWS IoT developer guide is silent on
 * them or contradicts itself: "Warnings" of docs/SQL.md. Only what stands in the statement counts.
 */
export interface UncertainPoint {
  /** The offset in the text of the statement. */
  readonly at: number
  /** The point and the choice, without a full stop. */
  readonly problem: string
}

interface Search {
  readonly text: string
  readonly dialect: Dialect
  readonly found: UncertainPoint[]
}

export function uncertainPointsOf(
  { assignments, selection, topicFilter, where }: Statement,
  text: string,
  dialect: Dialect,
): readonly UncertainPoint[] {
  const search: Search = { text, dialect, found: [] }
  for (const { value } of assignments) visit(value, search)
  visitSelection(selection, search)
  if (topicFilter !== undefined && text[topicFilter.at] === '"') {
    note(search, topicFilter.at, 'FROM has double quotes', 'they are read as single quotes')
  }
  if (where !== undefined) visit(where, search)
  return search.found
}

/** The same for an expression in a template. */
export function uncertainPointsOfExpression(
  expression: Expression,
  text: string,
  dialect: Dialect,
): readonly UncertainPoint[] {
  const search: Search = { text, dialect, found: [] }
  visit(expression, search)
  return search.found
}

function note({ found }: Search, at: number, point: string, choice: string): void {
  found.push({ at, problem: `${point}, on which AWS's guide is not clear: here ${choice}` })
}

function visitSelection(selection: Selection, search: Search): void {
  if (selection.kind === 'value') return visit(selection.expression, search)
  const names = new Set<string>()
  for (const item of selection.items) {
    noteItem(item, names, search)
    if (item.kind !== 'all') visit(item.expression, search)
  }
}

function noteItem(item: Item, names: Set<string>, search: Search): void {
  if (item.kind === 'spread' && item.expression.kind !== 'object') {
    note(search, item.at, 'an item ends with .*', 'the members of that object are inserted')
  }
  if (item.kind !== 'named') return
  const name = item.target.join('.')
  if (names.has(name)) {
    note(search, item.at, `two items are named ${name}`, 'the later one wins')
  }
  names.add(name)
}

/** The recursion is as deep as the brackets of the text, which the parser bounds. */
function visit(expression: Expression, search: Search): void {
  const all = (parts: readonly Expression[]) => {
    for (const part of parts) visit(part, search)
  }
  switch (expression.kind) {
    case 'number':
    case 'path':
    case 'star':
    case 'variable':
      return
    case 'constant':
      return noteBackslash(expression.value, expression.at, search)
    case 'array':
      return all(expression.items)
    case 'object':
      return all(expression.entries.map(({ value }) => value))
    case 'member':
      return visit(expression.object, search)
    case 'call':
      noteCall(expression, search)
      return all(withoutPattern(expression))
    case 'cast':
      return visit(expression.value, search)
    case 'unary':
      return visit(expression.operand, search)
    case 'binary':
      noteSteps(expression, search)
      return all([expression.first, ...expression.steps.map(({ operand }) => operand)])
    case 'logical':
      noteLogical(expression, search)
      return all(expression.operands)
    case 'case':
      for (const { when } of expression.branches) noteWhen(when, search)
      all([expression.subject])
      all(expression.branches.flatMap(({ when, result }) => [when, result]))
      return expression.otherwise === undefined ? undefined : all([expression.otherwise])
    case 'exists':
    case 'subselect':
      return visitQuery(expression.query, search)
  }
}

function visitQuery(query: Query, search: Search): void {
  if (query.source.kind === 'star') {
    const choice = 'the result is an array, of one element for an object'
    note(search, query.at, 'a nested query reads FROM *', choice)
  }
  visit(query.source, search)
  visitSelection(query.selection, search)
  if (query.where !== undefined) visit(query.where, search)
}

/** A backslash in a pattern is what everybody writes, and its meaning there is that of Java. */
function withoutPattern({ name, arguments: values }: Call): readonly Expression[] {
  return /^regexp_/i.test(name) ? values.slice(0, 1) : values
}

function noteBackslash(value: string | boolean | null, at: number, search: Search): void {
  if (typeof value !== 'string' || !value.includes('\\')) return
  note(search, at, 'a String holds a backslash', 'it is a plain character and escapes nothing')
}

function noteWhen(when: Expression, search: Search): void {
  if (isConstant(when)) return
  note(search, when.at, 'a value after WHEN is no constant', 'it may be any expression')
}

/** `x AND false`, `x OR true`: the operand on the right decides. */
function noteLogical({ operator, operands }: Logical, search: Search): void {
  const deciding = operator === 'OR'
  for (const operand of operands.slice(1)) {
    if (operand.kind !== 'constant' || operand.value !== deciding) continue
    const point = `the right operand of ${operator} is always ${deciding}`
    const choice = 'the result is Undefined where the left operand is no Boolean'
    note(search, operand.at, point, choice)
  }
}

function noteSteps({ first, steps }: Binary, search: Search): void {
  let left: Expression | undefined = first
  for (const step of steps) {
    noteStep(left, step, search)
    // What the steps so far give is no literal.
    left = undefined
  }
}

function noteStep(
  left: Expression | undefined,
  { operator, operand }: BinaryStep,
  search: Search,
): void {
  const either = (test: (each: Expression) => boolean) =>
    test(operand) || (left !== undefined && test(left))
  switch (operator) {
    case '/':
    case '%':
      if (isZero(operand)) return note(search, operand.at, `${operator} by 0`, 'it is Undefined')
      if (operator === '/' && either(isWhole) && !either(isFraction)) {
        const choice = 'two Ints give an Int, so that 75 / 2 is 37'
        note(search, operand.at, 'a division with a whole number', choice)
      }
      return
    case '+':
      if (!either(isNull)) return
      return note(search, operand.at, 'Null under +', 'the result is Undefined')
    case '=':
    case '<>':
      if (either(isNull)) {
        note(search, operand.at, `NULL under ${operator}`, 'Null equals Null and nothing else')
      } else if (operator === '<>' && either(({ kind }) => kind === 'array')) {
        note(search, operand.at, '<> of arrays', 'it is true where = is false')
      }
      return
    case '-':
    case '*':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case 'IN':
    case 'NOT IN':
  }
}

const isNull = (each: Expression) => each.kind === 'constant' && each.value === null
const isZero = (each: Expression) => each.kind === 'number' && Number(each.text) === 0
const isWhole = (each: Expression) => each.kind === 'number' && Number.isInteger(Number(each.text))
const isFraction = (each: Expression) => each.kind === 'number' && !isWhole(each)

function noteCall({ name, at, arguments: values }: Call, search: Search): void {
  const [first, second] = values
  switch (name.toLowerCase()) {
    case 'bitnot':
      return note(search, at, 'bitnot()', "it is two's complement, so that bitnot(13) is -14")
    case 'concat':
      if (values.length === 1) {
        note(search, at, 'concat() of one argument', 'it stays what it is')
      } else if (values.some(isNull)) {
        note(search, at, 'concat() with NULL', 'the result is Undefined')
      }
      return
    case 'indexof':
      return note(search, at, 'indexof() of a text that is not there', 'it is -1')
    case 'regexp_substr':
      return note(search, at, 'regexp_substr() without a match', 'it is Undefined')
    case 'isnull':
      if (search.dialect.isSecondVersion) return
      return note(search, at, 'isNull() under 2015-10-08', 'it is allowed')
    case 'get':
      return notePosition(second, search)
    case 'topic':
      return notePosition(first, search)
    default:
  }
}

function notePosition(position: Expression | undefined, search: Search): void {
  if (position === undefined || !isFraction(position)) return
  note(search, position.at, 'a position with a fraction', 'it is rounded to the nearest')
}
