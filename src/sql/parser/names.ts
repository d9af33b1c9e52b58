/** Names in paths and aliases, and the words that cannot be one. */
import type { Expression } from './ast.ts'
import type { Token } from './lexer.ts'
import type { Cursor } from './cursor.ts'

/** Words that end or join operands: an attribute of such a name needs `get(*, 'name')`. */
const reservedAsAttribute: ReadonlySet<string> = new Set(
  'SELECT FROM WHERE AS AND OR NOT IN'.split(' '),
)
const reservedAsAlias: ReadonlySet<string> = new Set('SELECT FROM WHERE AS'.split(' '))

/** What can follow a complete operand and cannot begin one. */
const afterOperand: ReadonlySet<string> = new Set(
  ', ) ] } . / % = <> != < <= > >= FROM WHERE AS AND OR IN'.split(' '),
)

export function canBeAttribute(token: Token): boolean {
  return token.kind === 'word' && !reservedAsAttribute.has(token.keyword)
}

/** Whether an operand is complete before this token: tells a keyword from an attribute. */
export function endsOperand(token: Token): boolean {
  return token.kind === 'end' || afterOperand.has(token.keyword)
}

/** Whether `.*` comes next: all members of the object before it, as an item of SELECT. */
export function isAllMembers(cursor: Cursor): boolean {
  return cursor.peek().keyword === '.' && cursor.peek(1).keyword === '*'
}

/** Names of one path, or of one alias: objects are as deep as that. */
const namesMax = 64

/**
 * `.a.b` after what has been read, up to `.*`; any word may be a member's name.
 *
 * @param names those that have been read of the path; more are added
 */
export function parseMemberNames(cursor: Cursor, ...names: string[]): string[] {
  while (!isAllMembers(cursor) && cursor.accept('.') !== undefined) {
    const token = cursor.peek()
    if (token.kind === 'number') {
      cursor.fail(token.start, `a name cannot begin with a digit: write get(..., '${token.text}')`)
    }
    if (token.kind !== 'word') cursor.unexpected("a name after '.'")
    if (names.length === namesMax) {
      cursor.fail(token.start, `a path or an alias has more than ${namesMax} names`)
    }
    names.push(cursor.next().text)
  }
  return names
}

/** The object itself, or a member of it when `.names` follow. */
export function parseMembers(cursor: Cursor, object: Expression): Expression {
  const names = parseMemberNames(cursor)
  return names.length === 0 ? object : { kind: 'member', at: object.at, object, names }
}

/** What follows AS: `name` or `name.name...`. */
export function parseAlias(cursor: Cursor): string[] {
  const token = cursor.peek()
  if (token.kind === 'string') {
    cursor.fail(token.start, "an alias has no quotes; for other keys select {'key': value}")
  }
  if (token.kind !== 'word' || reservedAsAlias.has(token.keyword)) {
    cursor.unexpected('a name after AS')
  }
  return parseMemberNames(cursor, cursor.next().text)
}
