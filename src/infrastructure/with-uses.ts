import { isRecord } from './json-values.ts'
import { placeholderMark, placeholderMarkMax } from './resource-kinds.ts'
import type { StackRule, Unresolved } from './stack.ts'

/** Places that one entry names. */
const usesMax = 3

/**
 * Finds the members of rules in which a placeholder stands, also by way of a stream, a nested stack
 * or an output: `ReadingsRule, actions[0].kinesis.streamName`.
 *
 * @returns the entries with the places; those of a rule's own members have no further ones
 */
export function withUses(
  unresolved: readonly Unresolved[],
  rules: readonly StackRule[],
): readonly Unresolved[] {
  const uses = new Map<string, string[]>()
  const marks = new Set(unresolved.flatMap(({ placeholder = '' }) => placeholderMark(placeholder)))
  if (marks.size === 0) return unresolved
  for (const rule of rules) {
    for (const { member, text } of textsOf(rule.payload, '')) {
      for (const mark of marksIn(text, marks)) {
        const places = uses.get(mark) ?? []
        places.push(`${rule.resource}, ${member}`)
        uses.set(mark, places)
      }
    }
  }
  const resources = new Set(rules.map(placeOf))
  return unresolved.map((entry) => {
    if (resources.has(placeOf(entry))) return entry
    const [mark = ''] = placeholderMark(entry.placeholder ?? '')
    const usedIn = uses.get(mark) ?? []
    return usedIn.length === 0 ? entry : { ...entry, usedIn: firstOf(usedIn) }
  })
}

const placeOf = ({ file, resource }: { readonly file: string; readonly resource: string }) =>
  `${file}\n${resource}`

function firstOf(places: readonly string[]): readonly string[] {
  const more = places.length - usesMax
  return more > 0 ? [...places.slice(0, usesMax), `${more} more`] : places
}

/** The marks in a text, each of them as long as one that is known: others may be put behind it. */
function marksIn(text: string, marks: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set<string>()
  for (const candidate of placeholderMark(text)) {
    let mark = candidate.slice(0, placeholderMarkMax)
    while (mark !== '' && !marks.has(mark)) mark = mark.slice(0, -1)
    if (mark !== '') found.add(mark)
  }
  return found
}

/** All texts of a payload with their members. The evaluation has bounded the depth. */
function* textsOf(
  value: unknown,
  member: string,
): Iterable<{ readonly member: string; readonly text: string }> {
  if (typeof value === 'string') yield { member, text: value }
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* textsOf(item, `${member}[${index}]`)
  } else if (isRecord(value)) {
    for (const [name, item] of Object.entries(value)) {
      yield* textsOf(item, member === '' ? name : `${member}.${name}`)
    }
  }
}
