/**
 * Parses SELECT, of the statement and of nested queries, and nested queries as a whole.
 */
import type { Expression, Item, Query, Selection } from './ast.ts'
import type { Token } from './token.ts'
import type { Cursor } from './cursor.ts'
import { endsOperand, isAllMembers, parseAlias } from './names.ts'
import { parsePrimary } from './primaries.ts'

/** Parses `SELECT [VALUE] item, ...`. A comma after the last item is allowed. */
export function parseSelection(cursor: Cursor): Selection {
  cursor.expect('SELECT', 'SELECT')
  if (isValueKeyword(cursor)) {
    cursor.next()
    const expression = cursor.grammar.expressionOrStar(cursor)
    if (cursor.peek().keyword === ',') {
      cursor.fail(cursor.peek().start, 'SELECT VALUE takes one value')
    }
    if (cursor.peek().keyword === 'AS') {
      cursor.fail(cursor.peek().start, 'the value of SELECT VALUE has no name: leave the alias out')
    }
    return { kind: 'value', expression }
  }
  if (cursor.peek().keyword === 'DISTINCT' && beginsName(cursor.peek(1))) {
    cursor.unexpected('an item')
  }
  const items = [parseItem(cursor)]
  while (cursor.accept(',') !== undefined && cursor.peek().keyword !== 'FROM') {
    items.push(parseItem(cursor))
  }
  return { kind: 'items', items }
}

/**
 * Whether VALUE is the keyword: it is when a value follows, and an attribute otherwise. Before a
 * sign or a star both are possible: in `VALUE -x` and `VALUE *` it is the keyword, in `value - x`
 * an attribute.
 */
function isValueKeyword(cursor: Cursor): boolean {
  const [word, following] = [cursor.peek(), cursor.peek(1)]
  if (word.keyword !== 'VALUE' || endsOperand(following)) return false
  if (following.keyword === '*') return endsOperand(cursor.peek(2))
  if (following.keyword === '-' || following.keyword === '+') {
    return following.start > word.end && cursor.peek(2).start === following.end
  }
  return true
}

/** Whether two words in a row cannot be an attribute and its continuation. */
function beginsName(token: Token): boolean {
  return (token.kind === 'word' || token.kind === 'variable') && !endsOperand(token)
}

function parseItem(cursor: Cursor): Item {
  const first = cursor.peek()
  const at = first.start
  const expression = cursor.grammar.expressionOrStar(cursor)
  const end = cursor.peek().start
  if (isAllMembers(cursor) && hasMembers(expression)) return parseAllMembers(cursor, expression)
  if (cursor.accept('AS') !== undefined) {
    return { kind: 'named', at, expression, target: parseAlias(cursor) }
  }
  if (expression.kind === 'star') return { kind: 'all', at }
  if (expression.kind === 'object' && first.keyword === '{')
    return { kind: 'spread', at, expression }
  const name = nameOf(expression) ?? cursor.text.slice(at, end).trim()
  return { kind: 'named', at, expression, target: [name] }
}

/** Expressions that `.*` may follow. Deployed rules use it, although the guide does not name it. */
function hasMembers({ kind }: Expression): boolean {
  return kind === 'path' || kind === 'member' || kind === 'variable' || kind === 'call'
}

function parseAllMembers(cursor: Cursor, object: Expression): Item {
  cursor.expect('.', "'.*'")
  cursor.expect('*', "'.*'")
  if (cursor.peek().keyword === 'AS') {
    cursor.fail(cursor.peek().start, "'.*' has no name of its own: leave out the alias or the '.*'")
  }
  return { kind: 'spread', at: object.at, expression: object }
}

/** The name of an item without alias: its last name, or the text of the expression. */
function nameOf(expression: Expression): string | undefined {
  if (expression.kind === 'path' || expression.kind === 'member') return expression.names.at(-1)
  if (expression.kind === 'variable' || expression.kind === 'call') return expression.name
  return expression.kind === 'cast' ? 'cast' : undefined
}

/** Parses `SELECT ... FROM source [AS alias] [WHERE condition]` inside an expression. */
export function parseQuery(cursor: Cursor): Query {
  const at = cursor.peek().start
  const selection = parseSelection(cursor)
  cursor.expect('FROM', "',' or FROM")
  const source = parseSource(cursor)
  const alias = cursor.accept('AS') === undefined ? undefined : parseElementAlias(cursor)
  return { at, selection, source, alias, where: parseWhere(cursor) }
}

function parseSource(cursor: Cursor): Expression {
  const token: Token = cursor.peek()
  if (token.kind === 'string') {
    cursor.fail(token.start, 'a nested query reads FROM an attribute, not from a topic filter')
  }
  return token.keyword === '*' ? cursor.grammar.expressionOrStar(cursor) : parsePrimary(cursor)
}

function parseElementAlias(cursor: Cursor): string {
  const at = cursor.peek().start
  const [name, ...more] = parseAlias(cursor)
  if (name === undefined || more.length > 0) cursor.fail(at, 'the name of an element has no dots')
  return name
}

/** Parses `[WHERE condition]`. */
export function parseWhere(cursor: Cursor): Expression | undefined {
  if (cursor.accept('WHERE') === undefined) return undefined
  if (cursor.peek().keyword === 'EXISTS' && cursor.peek(1).kind === 'end') {
    cursor.next() // more likely an unfinished condition than an attribute alone
    cursor.unexpected('a nested query after EXISTS')
  }
  return cursor.grammar.expression(cursor)
}
