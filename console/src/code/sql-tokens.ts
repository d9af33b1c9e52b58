import { functions, types } from 'virtual:sql-words'
import type { SqlFunctionWords } from 'virtual:sql-words'
import { readToken } from '../../../src/sql/parser/token.ts'
import type { Token } from '../../../src/sql/parser/token.ts'

/** A whole statement, or a text with `${...}` in it. */
export type SqlForm = 'statement' | 'template'

/** What a token is to its reader. */
export type Role =
  | 'keyword'
  | 'function'
  | 'type'
  | 'string'
  | 'filter'
  | 'number'
  | 'variable'
  | 'name'
  | 'symbol'
  | 'bracket'
  | 'invalid'

export interface SqlToken extends Pick<Token, 'start' | 'end' | 'text' | 'keyword'> {
  readonly role: Role
}

/** The words of the grammar. As names of members they are none: `a.value`. */
export const keywords: readonly string[] =
  'SELECT VALUE FROM WHERE SET AS AND OR NOT IN EXISTS CASE WHEN THEN ELSE END CAST TRUE FALSE NULL'.split(
    ' ',
  )

const keywordSet = new Set(keywords)
const functionsByName = new Map(functions.map((each) => [each.name.toLowerCase(), each]))
const typeSet = new Set(types)

/** Longer texts are refused by the engine, and stay without colours. */
const charactersMax = 65_536

/** The function of this name, in any letter case. */
export function functionNamed(name: string): SqlFunctionWords | undefined {
  return functionsByName.get(name.toLowerCase())
}

/** Reads a text with the lexer of the engine. */
export function tokensOf(text: string, form: SqlForm): readonly SqlToken[] {
  if (text.length > charactersMax) return []
  if (form === 'statement') return readTokens(text, 0, false).tokens
  const tokens: SqlToken[] = []
  let position = 0
  for (;;) {
    const open = text.indexOf('${', position)
    if (open < 0) return tokens
    tokens.push(bracket(open, open + 2, '${'))
    const inside = readTokens(text, open + 2, true)
    tokens.push(...inside.tokens)
    position = inside.end
    if (text[position] === '}') tokens.push(bracket(position, ++position, '}'))
  }
}

const bracket = (start: number, end: number, text: string): SqlToken => ({
  start,
  end,
  text,
  keyword: text,
  role: 'bracket',
})

/** Reads up to the end, or up to the `}` of a template. */
function readTokens(
  text: string,
  from: number,
  isTemplate: boolean,
): { readonly tokens: readonly SqlToken[]; readonly end: number } {
  const tokens: SqlToken[] = []
  let depth = 0
  let position = from
  for (;;) {
    const token = readToken(text, position)
    if (token.kind === 'end') return { tokens, end: token.end }
    if (token.keyword === '{') depth++
    if (token.keyword === '}' && depth-- === 0 && isTemplate) return { tokens, end: token.start }
    const { start, end, text: content, keyword } = token
    const isCall = token.kind === 'word' && readToken(text, end).keyword === '('
    tokens.push({ start, end, text: content, keyword, role: roleOf(token, tokens, isCall) })
    position = end
  }
}

function roleOf(
  { kind, keyword, text }: Token,
  before: readonly SqlToken[],
  isCall: boolean,
): Role {
  const previous = before.at(-1)?.keyword
  if (kind === 'string') return previous === 'FROM' ? 'filter' : 'string'
  if (kind !== 'word') return kind === 'end' ? 'symbol' : kind
  if (previous === '.') return 'name'
  if (isCall && functionNamed(text)) return 'function'
  if (previous === 'AS' && typeSet.has(text.toLowerCase()) && isInCast(before)) return 'type'
  if (keyword === 'VALUE' || keyword === 'SET') return isAtItsPlace(keyword, previous)
  return keywordSet.has(keyword) ? 'keyword' : 'name'
}

/** VALUE and SET are names everywhere else. */
const isAtItsPlace = (keyword: string, previous: string | undefined): Role =>
  previous === (keyword === 'SET' ? undefined : 'SELECT') ? 'keyword' : 'name'

function isInCast(before: readonly SqlToken[]): boolean {
  return openCallOf(before)?.name.keyword === 'CAST'
}

export interface OpenCall {
  readonly name: SqlToken
  /** The number of the argument that stands at the end of the tokens, from 0. */
  readonly argument: number
}

/** The call whose brackets are still open behind these tokens. */
export function openCallOf(tokens: readonly SqlToken[]): OpenCall | undefined {
  let depth = 0
  let argument = 0
  for (let index = tokens.length - 1; index >= 0; index--) {
    const { keyword = '', role } = tokens[index] ?? {}
    if (role === 'bracket') return undefined
    if (keyword === ')' || keyword === ']' || keyword === '}') depth++
    else if (keyword === ',' && depth === 0) argument++
    else if (keyword === '(' || keyword === '[' || keyword === '{') {
      if (depth > 0) {
        depth--
        continue
      }
      const name = tokens[index - 1]
      if (keyword === '(' && (name?.role === 'function' || name?.keyword === 'CAST')) {
        return { name, argument }
      }
      argument = 0
    }
  }
  return undefined
}
