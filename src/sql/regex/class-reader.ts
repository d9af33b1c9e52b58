/**
 * Reads character classes in square brackets, with Java's unions, nested classes and intersections.
 *
 * Java collects single characters separately and adds them at `&&` and at the end. An intersection
 * does not empty this collection, so classes such as `[a-z&&[b]c]` have undocumented results; this
 * reader follows Java step by step.
 */
import { foldedCodePoint, foldedRange } from './case-folding.ts'
import { complement, intersection, noCodePoint, union } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { readEscape } from './escape-reader.ts'
import { PatternTooLarge } from './pattern-error.ts'
import { endOfPattern, literalOf } from './pattern-text.ts'
import { counted, fail, foldingOf } from './reader-state.ts'
import type { ReaderState } from './reader-state.ts'

const openBracket = 0x5b
const closeBracket = 0x5d
const backslash = 0x5c
const ampersand = 0x26
const hyphen = 0x2d
const caret = 0x5e

const classDepthMax = 100

interface Gathered {
  /** Ranges, escapes and nested classes, which are united on demand. */
  parts: CodePointSet[]
  /** The latest part: the other side of an intersection without a right side. */
  last: CodePointSet | undefined
  /** Single characters of Latin-1. */
  singles: CodePointSet
  hasSingles: boolean
}

/** Reads a class; the next character is its `[`. */
export function readClass(state: ReaderState): CodePointSet {
  state.text.take()
  const isNegative = state.text.peek() === caret && state.text.rawAt(-1) === openBracket
  if (isNegative) state.text.take()
  const set = readMembers(state, 'brackets')
  return counted(state, isNegative ? complement(set) : set)
}

/** @param within `brackets`: passes the closing one; `intersection`: stops before it */
function readMembers(state: ReaderState, within: 'brackets' | 'intersection'): CodePointSet {
  if (++state.depth > classDepthMax) {
    throw new PatternTooLarge(`brackets deeper than ${classDepthMax}`, state.text.offset())
  }
  const { text } = state
  const gathered: Gathered = {
    parts: [],
    last: undefined,
    singles: noCodePoint,
    hasSingles: false,
  }
  for (;;) {
    const codePoint = text.peek()
    if (codePoint === endOfPattern) fail(state, 'a character class has no ]')
    if (codePoint === openBracket) {
      join(gathered, readClass(state))
    } else if (codePoint === ampersand && isIntersection(state)) {
      readIntersection(state, gathered)
    } else if (codePoint === closeBracket && (gathered.parts.length > 0 || gathered.hasSingles)) {
      if (within === 'brackets') text.take()
      state.depth--
      return unionOf(gathered)
    } else {
      readRange(state, gathered)
    }
  }
}

function isIntersection({ text }: ReaderState): boolean {
  const { position } = text
  text.take()
  const isDouble = text.peek() === ampersand
  text.position = position
  return isDouble
}

function readIntersection(state: ReaderState, gathered: Gathered): void {
  const { text } = state
  text.take()
  text.take()
  let right: CodePointSet | undefined
  for (;;) {
    const codePoint = text.peek()
    if (codePoint === closeBracket || codePoint === ampersand) break
    if (codePoint === endOfPattern) fail(state, 'a character class has no ]')
    const more = codePoint === openBracket ? readClass(state) : readMembers(state, 'intersection')
    right = right === undefined ? more : union(right, more)
  }
  const hasLeft = gathered.parts.length > 0 || gathered.hasSingles
  const left = unionOf(gathered)
  if (gathered.hasSingles && gathered.parts.length === 0) gathered.last = gathered.singles
  gathered.hasSingles = false
  if (right !== undefined) gathered.last = right
  gathered.parts = [
    hasLeft
      ? intersection(left, gathered.last ?? left)
      : (right ?? fail(state, '&& has nothing on either side')),
  ]
}

/** One character, a range of two, or a class by its escape. */
function readRange(state: ReaderState, gathered: Gathered): void {
  const { text } = state
  const at = text.offset()
  const from = readEnd(state, 'class')
  if (typeof from !== 'number') {
    join(gathered, from)
    return
  }
  const folding = foldingOf(state.flags)
  const after = text.rawAt(1)
  if (text.peek() === hyphen && after !== openBracket && after !== closeBracket) {
    text.take()
    const to = readEnd(state, 'range')
    if (typeof to !== 'number' || to < from) fail(state, 'a range of characters runs backwards', at)
    join(gathered, foldedRange(from, to, folding))
    return
  }
  const single = foldedCodePoint(from, folding)
  const isLatin = from < 0x100 && (folding !== 'unicode' || single.every((end) => end < 0x100))
  if (!isLatin) {
    join(gathered, single)
    return
  }
  gathered.singles = union(gathered.singles, single)
  gathered.hasSingles = true
  gathered.last = undefined
}

/** A code point, or the set of an escape that stands for many. */
function readEnd(state: ReaderState, place: 'class' | 'range'): number | CodePointSet {
  const { text } = state
  const codePoint = text.take()
  if (codePoint === endOfPattern) fail(state, 'a character class has no ]')
  if (codePoint !== backslash) return literalOf(codePoint)
  const isRange = place === 'range' || text.rawAt(1) === hyphen
  const escape = readEscape(state, isRange ? 'range' : 'class')
  if (escape.kind === 'codePoint') return escape.codePoint
  return escape.kind === 'class'
    ? counted(state, escape.set)
    : fail(state, 'this escape has no place in a class')
}

function join(gathered: Gathered, set: CodePointSet): void {
  gathered.parts.push(set)
  gathered.last = set
}

function unionOf({ parts, singles, hasSingles }: Gathered): CodePointSet {
  return union(...parts, hasSingles ? singles : noCodePoint)
}
