import type { NoMatch } from '../../engine/evaluate-rule.ts'
import type { WherePart } from '../../sql/sql.ts'

/** Why a rule does not match, for people: a line for the reason and one for each part of WHERE. */
export function noMatchText({ message, where }: NoMatch): string {
  return [message, ...(where ? linesOf(where, 1) : [])].map((line) => `${line}\n`).join('')
}

function linesOf({ text, line, column, value, note, parts }: WherePart, depth: number): string[] {
  const shown = value.json ?? value.type
  const why = note === undefined ? '' : `  (${note})`
  const oneLine = text.replaceAll(/\s+/g, ' ')
  return [
    `${'  '.repeat(depth)}${oneLine}  ->  ${shown}${why}  [line ${line}, column ${column}]`,
    ...parts.flatMap((part) => linesOf(part, depth + 1)),
  ]
}
