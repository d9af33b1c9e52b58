/** Names in paths and aliases, and the words that cannot be names. */
import type { Expression } from './ast.ts'
import type { Token } from './token.ts'
import type { Cursor } from './cursor.ts'

/** Words that end or join operands. An attribute with such a name needs `get(*, 'name')`. */
const reservedAsAttribute: ReadonlySet<string> = new Set(
  'SELECT FROM WHERE AS AND OR NOT IN'.split(' '),
)
const reservedAsAlias: ReadonlySet<string> = new Set('SELECT FROM WHERE AS'.split(' '))

/** Tokens that can follow a complete operand and cannot begin one. */
const afterOperand: ReadonlySet<string> = new Set(
  ', ) ] } . / % = <> != < <= > >= FROM WHERE AS AND OR IN'.split(' '),
)

export function canBeAttribute(token: Token): boolean {
  return token.kind === 'word' && !reservedAsAttribute.has(token.keyword)
}

/** Whether an operand is complete before this token, which distinguishes keyword and attribute. */
export function endsOperand(token: Token): boolean {
  return token.kind === 'end' || afterOperand.has(token.keyword)
}

/** Whether `.*` comes next: an item of SELECT with all members of the object before it. */
export function isAllMembers(cursor: Cursor): boolean {
  return cursor.peek().keyword === '.' && cursor.peek(1).keyword === '*'
}

/** The most names of one path or alias, which bounds the depth of objects. */
const namesMax = 64

/**
 * Reads `.a.b` up to `.*`. Any word may be the name of a member.
 *
 * @param names the names of the path so far; further ones are appended
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

/** The object itself, or a member of it when `.name` follows. */
export function parseMembers(cursor: Cursor, object: Expression): Expression {
  const names = parseMemberNames(cursor)
  return names.length === 0 ? object : { kind: 'member', at: object.at, object, names }
}

/** Reads the alias after AS: `name` or `name.name...`. */
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
