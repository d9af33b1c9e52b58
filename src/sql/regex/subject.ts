import { boundaryWord, combiningMarks, markBases, unicodeBoundaryWord } from './properties.ts'
import { contains } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import type { Assertion } from './pattern.ts'
import { unreachable } from '../../base/unreachable.ts'
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'

/** A text that is searched, with the assertions about the positions between its characters. */
export interface Subject {
  readonly text: string
  /** @param searchStart where the last match ended; 0 before the first one */
  holds(assertion: Assertion, position: number, searchStart: number): boolean
}

/** @param work pays for the word maps that some assertions need */
export function createSubject(text: string, work: Work): Subject {
  let words: WordMap | undefined
  let unicodeWords: WordMap | undefined
  const isBoundary = (position: number) => {
    words ??= createWordMap(text, boundaryWord(), work)
    return words[position] !== words[position + 1]
  }
  const isUnicodeBoundary = (position: number) => {
    unicodeWords ??= createWordMap(text, unicodeBoundaryWord(), work)
    return unicodeWords[position] !== unicodeWords[position + 1]
  }
  return {
    text,
    holds(assertion, position, searchStart) {
      switch (assertion) {
        case 'textStart':
          return position === 0
        case 'textEnd':
          return position === text.length
        case 'finalEnd':
          return isFinalEnd(text, position)
        case 'finalEndUnix':
          return (
            position === text.length || (position === text.length - 1 && text[position] === '\n')
          )
        case 'lineStart':
          return isLineStart(text, position)
        case 'lineStartUnix':
          return position < text.length && (position === 0 || text[position - 1] === '\n')
        case 'lineEnd':
          return isLineEnd(text, position)
        case 'lineEndUnix':
          return position === text.length || text[position] === '\n'
        case 'searchStart':
          return position === searchStart
        case 'afterLineBreak':
          return text[position] !== '\n' || text[position - 1] !== '\r'
        case 'wordBoundary':
          return isBoundary(position)
        case 'notWordBoundary':
          return !isBoundary(position)
        case 'wordBoundaryUnicode':
          return isUnicodeBoundary(position)
        case 'notWordBoundaryUnicode':
          return !isUnicodeBoundary(position)
        default:
          return unreachable(assertion)
      }
    },
  }
}

/** No line ends between `\r` and `\n`, which are one terminator. */
function isLineEnd(text: string, position: number): boolean {
  if (position === text.length) return true
  const unit = text.charCodeAt(position)
  if (unit === 0xa) return text.charCodeAt(position - 1) !== 0xd
  return isTerminator(unit)
}

function isFinalEnd(text: string, position: number): boolean {
  const left = text.length - position
  if (left > 2) return false
  if (left === 2 && !text.endsWith('\r\n')) return false
  return isLineEnd(text, position)
}

/** In Java no line begins at the end of a text, not even of an empty text. */
function isLineStart(text: string, position: number): boolean {
  if (position === text.length) return false
  if (position === 0) return true
  const before = text.charCodeAt(position - 1)
  if (before === 0xd) return text.charCodeAt(position) !== 0xa
  return before === 0xa || isTerminator(before)
}

function isTerminator(unit: number): boolean {
  return unit === 0xd || unit === 0x85 || unit === 0x2028 || unit === 0x2029
}

/**
 * By position, whether the character before it is part of a word. Position 0 has none before it.
 * There is one entry per UTF-16 unit and one for the end.
 */
type WordMap = Uint8Array

/** The steps of two or three searches in sets of code points. */
const stepsOfCharacter = 8

/** A combining mark belongs to the word when its base is a letter or digit. */
function createWordMap(text: string, word: CodePointSet, work: Work): WordMap {
  spend(work, text.length * stepsOfCharacter)
  const [marks, bases] = [combiningMarks(), markBases()]
  const map = new Uint8Array(text.length + 2)
  let hasBase = false
  for (let position = 0; position < text.length;) {
    const codePoint = text.codePointAt(position) ?? 0
    const width = codePoint > 0xffff ? 2 : 1
    hasBase = contains(bases, codePoint) || (hasBase && contains(marks, codePoint))
    if (contains(word, codePoint) || (hasBase && contains(marks, codePoint))) {
      map.fill(1, position + 1, position + 1 + width)
    }
    position += width
  }
  return map
}
