import type { Expression, Query } from './ast.ts'
import { readToken } from './token.ts'
import type { Token } from './token.ts'
import { syntaxError } from './syntax-error.ts'
import { createOperatorReader } from './operators.ts'
import type { OperatorReader } from './operators.ts'

/** The greatest depth of brackets, calls, literals with brackets, CASE and nested queries. */
const depthMax = 64

/**
 * Words of other SQL dialects that people try. The error message names them.
 */
const foreignWords: ReadonlySet<string> = new Set(
  (
    'GROUP ORDER LIMIT OFFSET JOIN INNER LEFT RIGHT FULL CROSS ON USING HAVING UNION INTERSECT ' +
    'EXCEPT LIKE ILIKE RLIKE BETWEEN DISTINCT IS OVER PARTITION WINDOW WITH INSERT UPDATE DELETE ' +
    'CREATE DROP INTO'
  ).split(' '),
)

/** Offsets in the text. Brackets around an expression belong to it. */
export type SourceRanges = Map<Expression, { readonly start: number; readonly end: number }>

/** The grammar rules that contain each other. The cursor makes them available to every file. */
export interface Grammar {
  expression(cursor: Cursor): Expression
  /** Parses an expression, or `*` where the whole payload may stand as a value. */
  expressionOrStar(cursor: Cursor): Expression
  query(cursor: Cursor): Query
}

/** A position in a text that moves only forward. */
export interface Cursor {
  readonly text: string
  readonly grammar: Grammar
  readonly operators: OperatorReader
  /** The token `ahead` tokens after the next one, without taking it. */
  peek(ahead?: number): Token
  next(): Token
  /** Records where an expression stands, up to the token taken last, when ranges are wanted. */
  mark(expression: Expression, start: number): void
  /** Takes the next token if it is this keyword or symbol. */
  accept(keyword: string): Token | undefined
  /** Takes this keyword or symbol, or fails naming what is missing: "')' to close the call". */
  expect(keyword: string, wanted: string): Token
  /** Runs `parse` one level deeper. @throws SluiceError when the text nests too deeply */
  nested<T>(opening: Token, parse: () => T): T
  /** Reports that the next token is not the expected one. @throws SluiceError always */
  unexpected(wanted: string): never
  /** @throws SluiceError always */
  fail(at: number, problem: string): never
}

/**
 * A cursor over `text` from `start` on. Each character is read once.
 *
 * @param read the lexer; a test counts with another one what is read
 * @param ranges gets the place of each operand and of each run of operators
 */
export function createCursor(
  text: string,
  start: number,
  grammar: Grammar,
  read: typeof readToken = readToken,
  ranges?: SourceRanges,
): Cursor {
  let takenEnd = start
  const waiting: Token[] = []
  let offset = start
  let depth = 0

  function peek(ahead = 0): Token {
    while (waiting.length <= ahead) {
      const token = read(text, offset)
      offset = token.end
      waiting.push(token)
    }
    return waiting[ahead] as Token
  }
  function next(): Token {
    const token = peek()
    if (token.kind === 'invalid') fail(token.start, token.text)
    waiting.shift()
    takenEnd = token.end
    return token
  }
  const mark = (expression: Expression, from: number): void => {
    ranges?.set(expression, { start: from, end: takenEnd })
  }
  function accept(keyword: string): Token | undefined {
    return peek().keyword === keyword ? next() : undefined
  }
  function expect(keyword: string, wanted: string): Token {
    return accept(keyword) ?? unexpected(wanted)
  }
  function nested<T>(opening: Token, parse: () => T): T {
    if (++depth > depthMax) fail(opening.start, `nested more than ${depthMax} levels deep`)
    const result = parse()
    depth--
    return result
  }
  function unexpected(wanted: string): never {
    const token = peek()
    if (token.kind === 'invalid') fail(token.start, token.text)
    if (token.kind === 'end') fail(token.start, `the text ends where ${wanted} is expected`)
    if (token.kind === 'word' && foreignWords.has(token.keyword)) {
      fail(token.start, `${token.keyword} is not part of AWS IoT SQL${adviceFor(token.keyword)}`)
    }
    if (token.keyword === '.' && peek(1).keyword === '*') {
      fail(token.start, "'.*' stands only at the end of an item of SELECT, after a name or a call")
    }
    fail(token.start, `expected ${wanted}, found ${describe(token)}${hintFor(token)}`)
  }
  function fail(at: number, problem: string): never {
    throw syntaxError(text, at, problem)
  }
  const operators = createOperatorReader()
  return { text, grammar, operators, peek, next, mark, accept, expect, nested, unexpected, fail }
}

function adviceFor(foreignWord: string): string {
  switch (foreignWord) {
    case 'IS':
      return ': use isNull() or isUndefined()'
    case 'LIKE':
      return ': use startswith(), indexof() or regexp_matches()'
    case 'BETWEEN':
      return ': write a >= low AND a <= high'
    default:
      return ''
  }
}

function hintFor(token: Token): string {
  if (token.keyword === '[') return ': items of an array are read by get(array, index)'
  return token.keyword === '.' ? ': a number has digits on both sides of its point' : ''
}

function describe(token: Token): string {
  if (token.kind === 'string') return 'a string'
  return token.kind === 'variable' ? `@${token.text}` : `'${token.text}'`
}
