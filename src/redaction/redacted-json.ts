import { jsonSpan } from '../base/json-slice.ts'

/** The strings and numbers of a JSON document, as they are written. */
export const jsonScalars = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g

/** What stands in place of what is not shown. */
export const redactedText = '[redacted]'

/** What is asked about each part of a document; what is answered stands in its place. */
interface JsonParts {
  /** Whether the value of a member is not shown. */
  hides(name: string): boolean
  /** Gets the text of each value that is not shown. */
  hidden?: ((text: string) => void) | undefined
  string(value: string): string
  /** Whether a number, as it is written, is not shown. */
  hidesNumber(text: string): boolean
}

/**
 * Rewrites a JSON document without parsing it into values: what is not changed keeps its spelling,
 * as numbers of any length must. Neither the depth of the document nor its length can exhaust the
 * stack, and the time is that of a few passes over the text.
 *
 * @returns undefined when the text is not JSON
 */
export function redactedJson(text: string, parts: JsonParts): string | undefined {
  if (!isJson(text)) return undefined
  // A copy: strings in the document may be read in the same way before this ends.
  const token = new RegExp(jsonScalars)
  const pieces: string[] = []
  let copied = 0
  const replace = (start: number, end: number, by: string) => {
    pieces.push(text.slice(copied, start), by)
    copied = end
  }
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [written] = found
    const { index: start } = found
    const end = token.lastIndex
    if (!written.startsWith('"')) {
      if (parts.hidesNumber(written)) replace(start, end, JSON.stringify(redactedText))
      continue
    }
    const string = JSON.parse(written) as string
    const shown = parts.string(string)
    if (shown !== string) replace(start, end, JSON.stringify(shown))
    const valueStart = valueAfterName(text, end)
    if (valueStart === undefined) continue
    token.lastIndex = valueStart
    if (!parts.hides(string)) continue
    const value = jsonSpan(text, valueStart)
    parts.hidden?.(text.slice(value.start, value.end))
    replace(value.start, value.end, JSON.stringify(redactedText))
    token.lastIndex = value.end
  }
  return pieces.length === 0 ? text : pieces.join('') + text.slice(copied)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const colon = /[ \t\n\r]*:[ \t\n\r]*/y

/** Where the value of a member begins; undefined for a string that is not the name of one. */
function valueAfterName(text: string, end: number): number | undefined {
  colon.lastIndex = end
  return colon.test(text) ? colon.lastIndex : undefined
}
