/**
 * The text of one value inside a JSON document, exactly as it was written. `JSON.parse` would round
 * a number such as 12345678901234567890 and drop the blanks, but a rule must receive the payload as
 * a device would send it.
 *
 * The text must have been accepted by `JSON.parse`; it is not checked again.
 */

/**
 * @param text a valid JSON document
 * @param path names of members and indexes of elements from the outside in
 * @returns undefined when there is no such value; the last value of a name that occurs twice, as
 *   `JSON.parse` returns it
 */
export function jsonSlice(text: string, path: readonly (string | number)[]): string | undefined {
  let span: Span | undefined = jsonSpan(text, skipBlanks(text, 0))
  for (const step of path) {
    if (!span) return undefined
    span = childAt(text, span.start, step)
  }
  return span && text.slice(span.start, span.end)
}

interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

function childAt(text: string, start: number, step: string | number): Span | undefined {
  const isObject = text[start] === '{'
  if (!isObject && text[start] !== '[') return undefined
  let found: Span | undefined
  let index = 0
  let position = skipBlanks(text, start + 1)
  while (text[position] !== '}' && text[position] !== ']') {
    let name: string | number = index
    if (isObject) {
      const key = jsonSpan(text, position)
      name = JSON.parse(text.slice(key.start, key.end)) as string
      const colon = skipBlanks(text, key.end)
      position = skipBlanks(text, colon + 1)
    }
    const value = jsonSpan(text, position)
    if (name === step) found = value
    index += 1
    position = skipBlanks(text, value.end)
    if (text[position] === ',') position = skipBlanks(text, position + 1)
  }
  return found
}

const blanks = /[ \t\n\r]*/y
const string = /"[^"\\]*(?:\\.[^"\\]*)*"/y
const scalar = /[^\s,\]}]+/y
/** Brackets are counted; strings are matched so that the brackets inside them are not. */
const stringOrBracket = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}]/g

function skipBlanks(text: string, position: number): number {
  return endOf(blanks, text, position)
}

/**
 * Where the value that begins at `start` ends. It counts brackets, because recursion could exhaust
 * the stack.
 */
export function jsonSpan(text: string, start: number): Span {
  const first = text[start]
  if (first === '"') return { start, end: endOf(string, text, start) }
  if (first !== '{' && first !== '[') return { start, end: endOf(scalar, text, start) }
  let depth = 0
  let end = start
  stringOrBracket.lastIndex = start
  do {
    const [token = ''] = stringOrBracket.exec(text) ?? []
    if (token === '') break
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    end = stringOrBracket.lastIndex
  } while (depth > 0)
  return { start, end }
}

function endOf(pattern: RegExp, text: string, position: number): number {
  pattern.lastIndex = position
  return pattern.test(text) ? pattern.lastIndex : position
}
