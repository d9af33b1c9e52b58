/**
 * The characters of a pattern for the reader, as code points.
 *
 * Characters between `\Q` and `\E` are marked with a bit above all code points, so that they never
 * equal a character of the syntax and the reader needs no mode for them. With (?x) the reader skips
 * blanks and comments in the same places as Java.
 */
const quotedBit = 1 << 21
/** The value behind the last character. */
export const endOfPattern = -1

export interface PatternText {
  /** The index of the next code point, to return to later. */
  position: number
  /** True with (?x): blanks and comments are skipped. */
  skipsBlanks: boolean
  /** True with (?d): only `\n` ends a comment. */
  isUnixLines: boolean
  /** The next significant code point, or `endOfPattern`. */
  peek(): number
  /** Takes the next significant code point. */
  take(): number
  /** Takes the next code point, significant or not. */
  takeRaw(): number
  /** The code point at a distance from the next one, significant or not. */
  rawAt(distance: number): number
  /** Offset of the next code point in the pattern's text, in UTF-16 units. */
  offset(): number
}

export function createPatternText(pattern: string): PatternText {
  const { codePoints, offsets } = readCodePoints(pattern)
  const at = (index: number) => codePoints[index] ?? endOfPattern
  const text: PatternText = {
    position: 0,
    skipsBlanks: false,
    isUnixLines: false,
    peek() {
      if (text.skipsBlanks) skipBlanks()
      return at(text.position)
    },
    take() {
      const codePoint = text.peek()
      text.position++
      return codePoint
    },
    takeRaw: () => at(text.position++),
    rawAt: (distance) => at(text.position + distance),
    offset: () => offsets[text.position] ?? pattern.length,
  }
  const skipBlanks = () => {
    for (;;) {
      while (isBlank(at(text.position))) text.position++
      if (at(text.position) !== 0x23) return
      while (!endsComment(at(text.position), text.isUnixLines)) text.position++
    }
  }
  return text
}

/** The code point of a literal character in a pattern. */
export function literalOf(codePoint: number): number {
  return codePoint & ~quotedBit
}

function isBlank(codePoint: number): boolean {
  return codePoint === 0x20 || (codePoint >= 0x9 && codePoint <= 0xd)
}

function endsComment(codePoint: number, isUnixLines: boolean): boolean {
  if (codePoint === endOfPattern || codePoint === 0xa) return true
  if (isUnixLines) return false
  return codePoint === 0xd || codePoint === 0x85 || (codePoint | 1) === 0x2029
}

function readCodePoints(pattern: string): {
  codePoints: readonly number[]
  offsets: readonly number[]
} {
  const codePoints: number[] = []
  const offsets: number[] = []
  let isQuoted = false
  for (let offset = 0; offset < pattern.length;) {
    const codePoint = pattern.codePointAt(offset) ?? 0
    const pair = codePoint === 0x5c ? pattern[offset + 1] : undefined
    if (pair === (isQuoted ? 'E' : 'Q')) {
      isQuoted = !isQuoted
      offset += 2
      continue
    }
    codePoints.push(isQuoted ? codePoint | quotedBit : codePoint)
    offsets.push(offset)
    offset += codePoint > 0xffff ? 2 : 1
    if (isQuoted || pair === undefined) continue
    // The character after a backslash begins no quotation: `\\Q` is a backslash and a Q.
    const escaped = pattern.codePointAt(offset) ?? 0
    codePoints.push(escaped)
    offsets.push(offset)
    offset += escaped > 0xffff ? 2 : 1
  }
  return { codePoints, offsets }
}
