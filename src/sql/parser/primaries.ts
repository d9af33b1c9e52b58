/** Parses operands: literals, names, calls, CASE, and expressions in brackets. */
import type { CaseBranch, Expression } from './ast.ts'
import type { Token } from './token.ts'
import type { Cursor } from './cursor.ts'
import { unreachable } from '../../base/unreachable.ts'
import { canBeAttribute, endsOperand, parseMemberNames, parseMembers } from './names.ts'

/** Parses an operand. @throws SluiceError SqlParseException when no operand begins here */
export function parsePrimary(cursor: Cursor): Expression {
  const token = cursor.peek()
  const at = token.start
  switch (token.kind) {
    case 'number':
      return { kind: 'number', at, text: cursor.next().text }
    case 'string':
      return { kind: 'constant', at, value: cursor.next().text }
    case 'variable':
      return parseMembers(cursor, { kind: 'variable', at, name: cursor.next().text })
    case 'symbol':
      return parseBracketed(cursor, token)
    case 'word':
      return parseWord(cursor, token)
    case 'invalid':
    case 'end':
      return cursor.unexpected('a value')
    default:
      return unreachable(token.kind)
  }
}

function parseBracketed(cursor: Cursor, opening: Token): Expression {
  switch (opening.keyword) {
    case '(':
      return parseMembers(cursor, parseRound(cursor))
    case '[':
      return parseArray(cursor)
    case '{':
      return parseObject(cursor)
    case '*':
      return cursor.fail(opening.start, "'*' stands only for a whole item, value or argument")
    default:
      return cursor.unexpected('a value')
  }
}

function parseRound(cursor: Cursor): Expression {
  const opening = cursor.next()
  return cursor.nested(opening, () => {
    const inside = parseArgument(cursor)
    if (cursor.peek().keyword === ',') {
      cursor.fail(cursor.peek().start, 'a list stands in square brackets: [x, y]')
    }
    cursor.expect(')', `')' for the '(' before it`)
    return inside
  })
}

/** An expression, `*`, or a nested query, which needs no further brackets. */
function parseArgument(cursor: Cursor): Expression {
  const token = cursor.peek()
  return token.keyword === 'SELECT'
    ? parseSubselect(cursor)
    : cursor.grammar.expressionOrStar(cursor)
}

function parseSubselect(cursor: Cursor): Expression {
  const query = cursor.grammar.query(cursor)
  return { kind: 'subselect', at: query.at, query }
}

function parseArray(cursor: Cursor): Expression {
  const opening = cursor.next()
  return cursor.nested(opening, () => {
    const items: Expression[] = []
    while (cursor.peek().keyword !== ']') {
      items.push(parseArgument(cursor))
      if (cursor.accept(',') === undefined) break
    }
    cursor.expect(']', "',' or ']' in the array")
    return { kind: 'array', at: opening.start, items }
  })
}

function parseObject(cursor: Cursor): Expression {
  const opening = cursor.next()
  return cursor.nested(opening, () => {
    const entries: { key: string; value: Expression }[] = []
    while (cursor.peek().keyword !== '}') {
      if (cursor.peek().kind !== 'string') cursor.unexpected('a key in quotes')
      const key = cursor.next().text
      cursor.expect(':', "':' after the key")
      entries.push({ key, value: parseArgument(cursor) })
      if (cursor.accept(',') === undefined) break
    }
    cursor.expect('}', "',' or '}' in the object")
    return { kind: 'object', at: opening.start, entries }
  })
}

function parseWord(cursor: Cursor, token: Token): Expression {
  const at = token.start
  switch (token.keyword) {
    case 'TRUE':
    case 'FALSE':
      cursor.next()
      return { kind: 'constant', at, value: token.keyword === 'TRUE' }
    case 'NULL':
      cursor.next()
      return { kind: 'constant', at, value: null }
    case 'CASE':
      if (!endsOperand(cursor.peek(1))) return parseCase(cursor)
      break
    default:
  }
  if (cursor.peek(1).keyword === '(' && canBeAttribute(token)) return parseCall(cursor)
  if (!canBeAttribute(token)) return cursor.unexpected('a value')
  return { kind: 'path', at, names: parseMemberNames(cursor, cursor.next().text) }
}

function parseCall(cursor: Cursor): Expression {
  const name = cursor.next()
  const opening = cursor.next()
  return cursor.nested(opening, () => {
    if (name.keyword === 'CAST') return parseMembers(cursor, parseCast(cursor, name))
    if (name.keyword === 'EXISTS') return parseExists(cursor, name)
    const values: Expression[] = []
    if (cursor.peek().keyword !== ')') {
      do values.push(parseArgument(cursor))
      while (cursor.accept(',') !== undefined)
    }
    cursor.expect(')', `',' or ')' in the call of ${name.text}`)
    return parseMembers(cursor, {
      kind: 'call',
      at: name.start,
      name: name.text,
      arguments: values,
    })
  })
}

function parseCast(cursor: Cursor, name: Token): Expression {
  const value = parseArgument(cursor)
  cursor.expect('AS', 'AS and a type')
  const type = cursor.peek()
  if (type.kind !== 'word') cursor.unexpected('a type after AS')
  cursor.next()
  cursor.expect(')', "')' after the type")
  return { kind: 'cast', at: name.start, value, type: type.text, typeAt: type.start }
}

function parseExists(cursor: Cursor, name: Token): Expression {
  if (cursor.peek().keyword !== 'SELECT') cursor.unexpected('a nested query (SELECT ...)')
  const query = cursor.grammar.query(cursor)
  cursor.expect(')', "')' after the nested query")
  return { kind: 'exists', at: name.start, query }
}

function parseCase(cursor: Cursor): Expression {
  const opening = cursor.next()
  return cursor.nested(opening, () => {
    if (cursor.peek().keyword === 'WHEN' && cursor.peek(1).keyword !== 'WHEN') {
      cursor.fail(cursor.peek().start, 'CASE compares one value: write CASE value WHEN ...')
    }
    const subject = cursor.grammar.expression(cursor)
    const branches: CaseBranch[] = []
    while (cursor.accept('WHEN') !== undefined) {
      const when = cursor.grammar.expression(cursor)
      cursor.expect('THEN', 'THEN')
      branches.push({ when, result: cursor.grammar.expression(cursor) })
    }
    if (branches.length === 0) cursor.unexpected('WHEN')
    const otherwise =
      cursor.accept('ELSE') === undefined ? undefined : cursor.grammar.expression(cursor)
    cursor.expect('END', otherwise === undefined ? 'WHEN, ELSE or END' : 'END')
    return { kind: 'case', at: opening.start, subject, branches, otherwise }
  })
}
