import { SluiceError } from '../../base/errors.ts'

/** Characters of the line that a message shows. Longer lines are cut around the caret. */
const shownColumnsMax = 100

/**
 * The error of a text that is not AWS IoT SQL: the problem, its place, and the line with a caret.
 *
 * @param text the whole text that was read
 * @param offset of the problem, in UTF-16 units from 0
 * @param problem one sentence without a full stop
 * @returns a SqlParseException whose details carry `line` and `column`, both counted from 1
 */
export function syntaxError(text: string, offset: number, problem: string): SluiceError {
  const { line, column } = placeIn(text, offset)
  const lineStart = offset - column + 1
  const lineEnd = text.indexOf('\n', offset)
  const sourceLine = text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd)
  const { shown, caretAt } = cutAround(sourceLine, offset - lineStart)
  const message = [
    `${problem} (line ${line}, column ${column})`,
    `  ${shown}`,
    `  ${' '.repeat(caretAt)}^`,
  ].join('\n')
  return new SluiceError('SqlParseException', message, { details: { line, column } })
}

/** Line and column of an offset, both counted from 1. */
export function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

/** The part of a line to show, and the number of its characters before the caret. */
function cutAround(line: string, index: number): { shown: string; caretAt: number } {
  const plain = line.replace(/\s/g, ' ')
  if (plain.length <= shownColumnsMax)
    return { shown: plain.trimEnd(), caretAt: widthOf(plain, index) }
  const from = Math.max(0, Math.min(index - shownColumnsMax / 2, plain.length - shownColumnsMax))
  const cut = plain.slice(from, from + shownColumnsMax).trimEnd()
  const head = from > 0 ? '...' : ''
  const tail = from + shownColumnsMax < plain.length ? '...' : ''
  return { shown: head + cut + tail, caretAt: head.length + widthOf(cut, index - from) }
}

/** The code points before an index: a surrogate pair takes one column on the screen. */
function widthOf(line: string, index: number): number {
  return Array.from(line.slice(0, index)).length
}
