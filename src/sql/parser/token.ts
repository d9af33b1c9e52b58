/**
 * Splits a text into tokens, one at a time. An expression in a template ends at its `}`, and the
 * text after it is not SQL. The lexer therefore never reads ahead of the parser, and text that is
 * not a token becomes an `invalid` token, which fails only when the parser takes it.
 */
type TokenKind = 'word' | 'number' | 'string' | 'variable' | 'symbol' | 'end' | 'invalid'

export interface Token {
  readonly kind: TokenKind
  /** Offsets into the text: the first character, and the one after the last. */
  readonly start: number
  readonly end: number
  /**
   * The content of a string, the name of a variable without `@`, the problem of an invalid token,
   * or the text of any other token.
   */
  readonly text: string
  /** The text that the grammar compares: words in upper case, symbols unchanged, otherwise ''. */
  readonly keyword: string
}

const space = /[ \t\r\n\f\v]*/y
const wordPattern = /[\p{L}_][\p{L}\p{M}\p{N}_]*/uy
const variablePattern = /@[A-Za-z0-9_]+/y
const numberPattern = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const symbolPattern = /<>|<=|>=|!=|[-+*/%=<>()[\]{},.:]/y

/** Beginnings of other SQL dialects, with the problem to report. */
const foreignSymbols: readonly (readonly [string, string])[] = [
  ['--', 'comments are not part of AWS IoT SQL'],
  ['/*', 'comments are not part of AWS IoT SQL'],
  ['==', "'==' is not part of AWS IoT SQL: equality is '='"],
  ['||', "'||' is not part of AWS IoT SQL: strings are joined with '+' or concat()"],
  ['&&', "'&&' is not part of AWS IoT SQL: write AND"],
  [';', "';' is not part of AWS IoT SQL: a rule is one statement"],
  ['`', 'names are not quoted in AWS IoT SQL: use get(object, "name") for other keys'],
]

/** Reads the token at or after `offset`. It never fails and never reads beyond the token. */
export function readToken(text: string, offset: number): Token {
  space.lastIndex = offset
  space.test(text)
  const start = space.lastIndex
  if (start >= text.length) return token('end', start, start, '', '')
  for (const [opening, problem] of foreignSymbols) {
    if (text.startsWith(opening, start)) {
      return token('invalid', start, start + opening.length, problem, '')
    }
  }
  const first = text.charAt(start)
  if (first === "'" || first === '"') return readString(text, start, first)
  return (
    readPattern(wordPattern, 'word', text, start) ??
    readNumber(text, start) ??
    readPattern(symbolPattern, 'symbol', text, start) ??
    readPattern(variablePattern, 'variable', text, start) ??
    token('invalid', start, start + 1, unexpectedCharacter(text, start), '')
  )
}

function readPattern(
  pattern: RegExp,
  kind: 'word' | 'number' | 'symbol' | 'variable',
  text: string,
  start: number,
): Token | undefined {
  pattern.lastIndex = start
  const found = pattern.exec(text)?.[0]
  if (found === undefined) return undefined
  const end = start + found.length
  if (kind === 'variable') return token(kind, start, end, found.slice(1), '')
  return token(kind, start, end, found, kind === 'number' ? '' : found.toUpperCase())
}

function readNumber(text: string, start: number): Token | undefined {
  const found = readPattern(numberPattern, 'number', text, start)
  if (found === undefined) return undefined
  wordPattern.lastIndex = found.end
  const glued = wordPattern.exec(text)?.[0]
  if (glued === undefined) return found
  const name = found.text + glued
  const problem = `a name cannot begin with a digit: write get(*, '${name}')`
  return token('invalid', start, found.end + glued.length, problem, '')
}

/** Reads a string in either kind of quotes. A doubled quote stands for one quote. */
function readString(text: string, start: number, quote: string): Token {
  let close = text.indexOf(quote, start + 1)
  let isDoubled = false
  while (close >= 0 && text.charAt(close + 1) === quote) {
    isDoubled = true
    close = text.indexOf(quote, close + 2)
  }
  if (close < 0) {
    return token(
      'invalid',
      start,
      text.length,
      `the string that opens here has no closing ${quote}`,
      '',
    )
  }
  const raw = text.slice(start + 1, close)
  const content = isDoubled ? raw.replaceAll(quote + quote, quote) : raw
  return token('string', start, close + 1, content, '')
}

function unexpectedCharacter(text: string, start: number): string {
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0)
  if (character === '@') return "'@' begins the name of a variable: letters, digits and '_'"
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)) return `'${character}' cannot stand here`
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  return `the character U+${code} cannot stand here`
}

function token(kind: TokenKind, start: number, end: number, text: string, keyword: string): Token {
  return { kind, start, end, text, keyword }
}
