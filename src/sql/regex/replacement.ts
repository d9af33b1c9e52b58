/**
 * The replacement text of java.util.regex.Matcher.replaceAll: `$n`, `${name}`, and a backslash that
 * makes the next character literal.
 */
import type { Match } from './engine.ts'

/** A literal text, or the number of a group whose text is inserted. */
type Part = string | number

export interface Replacement {
  /**
   * The text for one match; undefined when it is longer than `lengthMax`. A group without a match
   * inserts nothing.
   */
  expand(match: Match, lengthMax: number): string | undefined
}

interface PatternGroups {
  readonly groupCount: number
  readonly groupNames: ReadonlyMap<string, number>
}

/**
 * @returns undefined for a text that Java refuses: a bare `$` or `\`, or an unknown group
 */
export function parseReplacement(text: string, groups: PatternGroups): Replacement | undefined {
  const parts: Part[] = []
  for (let at = 0; at < text.length;) {
    const character = text[at]
    if (character === '\\') {
      const next = text[at + 1]
      if (next === undefined) return undefined
      parts.push(next)
      at += 2
    } else if (character === '$') {
      const reference = readReference(text, at + 1, groups)
      if (reference === undefined) return undefined
      parts.push(reference.group)
      at = reference.end
    } else {
      const end = endOfPlain(text, at)
      parts.push(text.slice(at, end))
      at = end
    }
  }
  return { expand: (match, lengthMax) => expand(parts, match, lengthMax) }
}

function expand(parts: readonly Part[], match: Match, lengthMax: number): string | undefined {
  let expanded = ''
  for (const part of parts) {
    expanded += typeof part === 'string' ? part : (match.group(part) ?? '')
    if (expanded.length > lengthMax) return undefined
  }
  return expanded
}

function endOfPlain(text: string, from: number): number {
  let end = from + 1
  while (end < text.length && text[end] !== '\\' && text[end] !== '$') end++
  return end
}

interface Reference {
  readonly group: number
  readonly end: number
}

function readReference(text: string, at: number, groups: PatternGroups): Reference | undefined {
  if (text[at] === '{') return readNamed(text, at + 1, groups)
  const first = digitAt(text, at)
  if (first === undefined || first > groups.groupCount) return undefined
  let group = first
  let end = at + 1
  // As many digits as name a group that is there: `$12` with nine groups is `$1` and a 2.
  for (;;) {
    const digit = digitAt(text, end)
    if (digit === undefined || group * 10 + digit > groups.groupCount) return { group, end }
    group = group * 10 + digit
    end++
  }
}

function readNamed(text: string, at: number, { groupNames }: PatternGroups): Reference | undefined {
  const end = text.indexOf('}', at)
  const group = end < 0 ? undefined : groupNames.get(text.slice(at, end))
  return group === undefined ? undefined : { group, end: end + 1 }
}

function digitAt(text: string, at: number): number | undefined {
  const digit = text.charCodeAt(at) - 0x30
  return digit >= 0 && digit <= 9 ? digit : undefined
}
