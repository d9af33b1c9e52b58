/** Parses `[SET @a = x, ...] SELECT ... [FROM 'topic filter'] [WHERE condition]`. */
import type { Assignment, Expression, Statement } from './ast.ts'
import type { Cursor, Grammar, SourceRanges } from './cursor.ts'
import { createCursor } from './cursor.ts'
import { readToken } from './token.ts'
import { parseExpression, parseExpressionOrStar } from './expressions.ts'
import { parseQuery, parseSelection, parseWhere } from './queries.ts'

const grammar: Grammar = {
  expression: parseExpression,
  expressionOrStar: parseExpressionOrStar,
  query: parseQuery,
}

/**
 * @param read the lexer; a test counts with another one what is read
 * @param ranges gets the places of expressions
 * @throws SluiceError SqlParseException
 */
export function parseStatement(
  text: string,
  read: typeof readToken = readToken,
  ranges?: SourceRanges,
): Statement {
  const cursor = createCursor(text, 0, grammar, read, ranges)
  const assignments = parseAssignments(cursor)
  const selection = parseSelection(cursor)
  if (cursor.peek().keyword === 'WHERE' && comesLater(cursor, 'FROM')) {
    cursor.fail(cursor.peek().start, 'WHERE comes after FROM')
  }
  const topicFilter = parseFrom(cursor)
  const where = parseWhere(cursor)
  if (cursor.peek().kind !== 'end') {
    if (cursor.peek().keyword === 'FROM') cursor.fail(cursor.peek().start, 'a second FROM')
    if (topicFilter !== undefined && cursor.peek().keyword === ',') {
      cursor.fail(cursor.peek().start, 'FROM takes one topic filter')
    }
    const before = topicFilter === undefined ? "',', FROM, WHERE or " : ''
    cursor.unexpected(
      before + (where === undefined && before === '' ? 'WHERE or ' : '') + 'the end',
    )
  }
  return { assignments, selection, topicFilter, where }
}

/** Parses an expression inside a longer text; `end` is the offset of the token after it. */
export function parseExpressionAt(
  text: string,
  start: number,
): { expression: Expression; end: number } {
  const cursor = createCursor(text, start, grammar)
  const expression = parseExpressionOrStar(cursor)
  return { expression, end: cursor.peek().start }
}

function parseAssignments(cursor: Cursor): Assignment[] {
  if (cursor.peek().keyword !== 'SET') return []
  cursor.next()
  const assignments: Assignment[] = []
  do assignments.push(parseAssignment(cursor))
  while (cursor.accept(',') !== undefined)
  if (cursor.peek().keyword === 'SET') {
    cursor.fail(cursor.peek().start, 'SET stands once: separate the assignments by commas')
  }
  return assignments
}

function parseAssignment(cursor: Cursor): Assignment {
  const token = cursor.peek()
  if (token.kind !== 'variable') cursor.unexpected('a variable such as @name')
  cursor.next()
  cursor.expect('=', "'=' after the variable")
  return { at: token.start, name: token.text, value: parseExpressionOrStar(cursor) }
}

function parseFrom(cursor: Cursor): Statement['topicFilter'] {
  if (cursor.accept('FROM') === undefined) return undefined
  const token = cursor.peek()
  // The guide has single quotes only, but deployed rules have double quotes too.
  if (token.kind !== 'string') {
    if (token.kind === 'end' || token.kind === 'invalid') cursor.unexpected('a topic filter')
    cursor.fail(token.start, "the topic filter after FROM stands in quotes: FROM 'a/b'")
  }
  cursor.next()
  return { text: token.text, at: token.start }
}

/** Whether the rest of the text has a keyword. Called only after a syntax error. */
function comesLater(cursor: Cursor, keyword: string): boolean {
  for (let ahead = 1; ; ahead++) {
    const token = cursor.peek(ahead)
    if (token.keyword === keyword) return true
    if (token.kind === 'end' || token.kind === 'invalid') return false
  }
}
