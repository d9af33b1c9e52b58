/**
 * Text that others wrote, for a terminal: control characters and those that change the direction of
 * text are written as escapes, so that no name of a file, rule or client can write into the
 * terminal or hide what it says. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll(hidden, escapeOf)
}

/** The same on one line. */
export function printableLine(text: string): string {
  return printable(text).replaceAll(/[\n\t]/g, escapeOf)
}

// oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/**
 * A line of JSON that says the same, with what `printable` would escape escaped once more, so that
 * its reader finds text that is safe to show.
 */
export function printableJson(line: string): string {
  return line
    .replaceAll(/\\(?:u([0-9a-fA-F]{4})|[^u])/g, (found, hex: string | undefined) => {
      if (hex !== undefined) return isHidden(Number.parseInt(hex, 16)) ? `\\${found}` : found
      return found === '\\b' || found === '\\f' || found === '\\r' ? `\\${found}` : found
    })
    .replaceAll(hidden, (character) => `\\${escapeOf(character)}`)
}

const isHidden = (code: number) => String.fromCharCode(code).replace(hidden, '') === ''

function escapeOf(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}
