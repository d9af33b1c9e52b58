/** The result of a backslash: one code point, a class, an assertion or a backreference. */
import { complement } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { emptyNode } from './pattern.ts'
import type { Assertion, Node } from './pattern.ts'
import { endOfPattern, literalOf } from './pattern-text.ts'
import { escapeClass, namedClass } from './properties.ts'
import { demandBacktracking, fail } from './reader-state.ts'
import type { ReaderState } from './reader-state.ts'

type Escape =
  | { readonly kind: 'codePoint'; readonly codePoint: number }
  | { readonly kind: 'class'; readonly set: CodePointSet }
  | { readonly kind: 'node'; readonly node: Node }

const simpleEscapes: ReadonlyMap<string, number> = new Map([
  ['t', 0x9],
  ['n', 0xa],
  ['r', 0xd],
  ['f', 0xc],
  ['a', 0x7],
  ['e', 0x1b],
])

const carriageReturn: Node = { kind: 'set', set: [0xd, 0xd] }
const lineFeed: Node = { kind: 'set', set: [0xa, 0xa] }
/** `\R`: the pair first, then each terminator alone. */
export const lineBreak: Node = {
  kind: 'alternation',
  branches: [
    { kind: 'sequence', parts: [carriageReturn, lineFeed] },
    { kind: 'set', set: [0xa, 0xd, 0x85, 0x85, 0x2028, 0x2029] },
  ],
}

/** The place of an escape. At both ends of a range in a class some letters have another meaning. */
type EscapePlace = 'outside' | 'class' | 'range'

/** Reads an escape; the backslash has been passed. */
export function readEscape(state: ReaderState, place: EscapePlace): Escape {
  const { text, flags } = state
  const at = text.offset() - 1
  const codePoint = text.takeRaw()
  if (codePoint === endOfPattern) fail(state, 'a backslash ends it', at)
  if (codePoint > 0x7f) return { kind: 'codePoint', codePoint: literalOf(codePoint) }
  const letter = String.fromCharCode(codePoint)
  if (!/[a-zA-Z0-9]/.test(letter)) return { kind: 'codePoint', codePoint }
  if (letter === 'v' && place === 'range') return { kind: 'codePoint', codePoint: 0xb }
  const simple = simpleEscapes.get(letter) ?? readNumbered(state, letter, at)
  if (simple !== undefined) return { kind: 'codePoint', codePoint: simple }
  const set = escapeClass(letter.toLowerCase(), flags.unicodeClasses)
  if (set !== undefined) {
    return { kind: 'class', set: letter === letter.toLowerCase() ? set : complement(set) }
  }
  if (letter === 'p' || letter === 'P') {
    const property = readProperty(state, at)
    return { kind: 'class', set: letter === 'p' ? property : complement(property) }
  }
  const node = place === 'outside' ? readNode(state, letter, at) : undefined
  return node === undefined
    ? fail(state, `\\${letter} is no escape${place === 'outside' ? '' : ' in a class'}`, at)
    : { kind: 'node', node }
}

/** Reads escapes with a number or a character. */
function readNumbered(state: ReaderState, letter: string, at: number): number | undefined {
  switch (letter) {
    case '0':
      return readOctal(state, at)
    case 'x':
      return readHexadecimal(state, at)
    case 'u':
      return readUnicode(state, at)
    case 'c': {
      const control = state.text.take()
      return control === endOfPattern
        ? fail(state, '\\c has no character behind it', at)
        : literalOf(control) ^ 64
    }
    case 'N':
      return readCharacterName(state, at)
    default:
      return undefined
  }
}

function readNode(state: ReaderState, letter: string, at: number): Node | undefined {
  const { unicodeClasses, unixLines } = state.flags
  switch (letter) {
    case 'A':
      return assertion('textStart')
    case 'z':
      return assertion('textEnd')
    case 'Z':
      return assertion(unixLines ? 'finalEndUnix' : 'finalEnd')
    case 'G':
      state.searchStartAt ??= at
      return assertion('searchStart')
    case 'B':
      return assertion(unicodeClasses ? 'notWordBoundaryUnicode' : 'notWordBoundary')
    case 'b':
      return readBoundary(state, at)
    case 'R':
      return lineBreak
    case 'X':
      state.demands.push({ construct: 'a grapheme cluster (\\X)', at, needs: 'nothing' })
      return emptyNode
    case 'k':
      return readNamedReference(state, at)
    default:
      return /[1-9]/.test(letter) ? readNumberedReference(state, Number(letter), at) : undefined
  }
}

function assertion(name: Assertion): Node {
  return { kind: 'assertion', assertion: name }
}

function readBoundary(state: ReaderState, at: number): Node {
  const { text, flags } = state
  if (text.rawAt(0) === 0x7b && text.rawAt(1) === 0x67) {
    if (text.rawAt(2) !== 0x7d) fail(state, '\\b{g has no }', at)
    text.position += 3
    state.demands.push({ construct: 'a grapheme boundary (\\b{g})', at, needs: 'nothing' })
    return emptyNode
  }
  return assertion(flags.unicodeClasses ? 'wordBoundaryUnicode' : 'wordBoundary')
}

/** Reads a backreference. It takes another digit only while a group with that number exists. */
function readNumberedReference(state: ReaderState, first: number, at: number): Node {
  let index = first
  for (;;) {
    const digit = state.text.peek() - 0x30
    const longer = index * 10 + digit
    if (digit < 0 || digit > 9 || longer > state.groupCount) break
    index = longer
    state.text.take()
  }
  return reference(state, index, at)
}

function readNamedReference(state: ReaderState, at: number): Node {
  if (state.text.take() !== 0x3c) fail(state, '\\k has no <name> behind it', at)
  const name = readGroupName(state)
  const index = state.groupNames.get(name)
  return index === undefined
    ? fail(state, `there is no group <${name}> before it`, at)
    : reference(state, index, at)
}

function reference(state: ReaderState, index: number, at: number): Node {
  if (state.flags.ignoreCase) {
    state.demands.push({ construct: 'a backreference that ignores case', at, needs: 'nothing' })
  } else {
    demandBacktracking(state, 'a backreference', at)
  }
  return { kind: 'backreference', index, at }
}

/** Reads a name up to its `>`: an ASCII letter, then letters and digits. */
export function readGroupName(state: ReaderState): string {
  const at = state.text.offset()
  let name = ''
  for (;;) {
    const codePoint = state.text.take()
    const character = codePoint > 0 && codePoint < 0x80 ? String.fromCharCode(codePoint) : ''
    if (character === '>' && name !== '') return name
    if (!(name === '' ? /[a-zA-Z]/ : /[a-zA-Z0-9]/).test(character)) {
      fail(state, 'the name of a group is a letter, then letters and digits, then >', at)
    }
    name += character
  }
}

function readProperty(state: ReaderState, at: number): CodePointSet {
  const { text, flags } = state
  let name = ''
  if (text.peek() === 0x7b) {
    text.take()
    for (;;) {
      const codePoint = text.take()
      if (codePoint === endOfPattern) fail(state, '\\p{ has no }', at)
      if (codePoint === 0x7d) break
      name += String.fromCodePoint(literalOf(codePoint))
    }
  } else {
    const codePoint = text.takeRaw()
    if (codePoint !== endOfPattern) name = String.fromCodePoint(literalOf(codePoint))
  }
  return namedClass(name, flags) ?? fail(state, `there is no character class \\p{${name}}`, at)
}

/** `\0` and up to three octal digits, at most 0377. */
function readOctal(state: ReaderState, at: number): number {
  let value = 0
  for (let count = 0; count < 3; count++) {
    const digit = state.text.peek() - 0x30
    if (digit < 0 || digit > 7 || value * 8 + digit > 0o377) {
      return count === 0 ? fail(state, '\\0 has no octal digit behind it', at) : value
    }
    state.text.take()
    value = value * 8 + digit
  }
  return value
}

/** `\xhh` or `\x{h...}`. */
function readHexadecimal(state: ReaderState, at: number): number {
  const { text } = state
  if (text.peek() !== 0x7b) return readHexDigits(state, 2, at)
  text.take()
  let value = 0
  for (let count = 0; ; count++) {
    const codePoint = text.take()
    if (codePoint === 0x7d && count > 0) return value
    const digit = hexDigit(codePoint)
    if (digit === undefined) fail(state, '\\x{ needs hexadecimal digits and a }', at)
    value = value * 16 + digit
    if (value > 0x10ffff) fail(state, '\\x{...} is above the last code point', at)
  }
}

/** `\uhhhh`; two of them that are a pair of surrogates are one code point. */
function readUnicode(state: ReaderState, at: number): number {
  const { text } = state
  const high = readHexDigits(state, 4, at)
  if (high < 0xd800 || high > 0xdbff) return high
  const { position } = text
  if (text.takeRaw() === 0x5c && text.takeRaw() === 0x75) {
    const low = readHexDigits(state, 4, at)
    if (low >= 0xdc00 && low <= 0xdfff) return (high - 0xd800) * 0x400 + low - 0xdc00 + 0x10000
  }
  text.position = position
  return high
}

function readHexDigits(state: ReaderState, count: number, at: number): number {
  let value = 0
  for (let read = 0; read < count; read++) {
    const digit = hexDigit(state.text.take())
    if (digit === undefined) fail(state, `it needs ${count} hexadecimal digits`, at)
    value = value * 16 + digit
  }
  return value
}

function hexDigit(codePoint: number): number | undefined {
  if (codePoint < 0x30 || codePoint > 0x66) return undefined
  const digit = Number.parseInt(String.fromCharCode(codePoint), 16)
  return Number.isNaN(digit) ? undefined : digit
}

/** `\N{NAME}`: this engine has no character names, so any code point takes its place. */
function readCharacterName(state: ReaderState, at: number): number {
  const { text } = state
  if (text.take() !== 0x7b) fail(state, '\\N has no {name} behind it', at)
  for (;;) {
    const codePoint = text.take()
    if (codePoint === endOfPattern) fail(state, '\\N{ has no }', at)
    if (codePoint === 0x7d) break
  }
  state.demands.push({ construct: 'a character by its name (\\N{...})', at, needs: 'nothing' })
  return codePointStandIn
}

const codePointStandIn = 0xfffd
