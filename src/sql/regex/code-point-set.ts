/**
 * Immutable sets of code points as sorted ranges that neither overlap nor touch. Each range has two
 * numbers, both included: `[97, 122]` is a to z.
 */
export type CodePointSet = readonly number[]

const codePointMax = 0x10ffff
export const everyCodePoint: CodePointSet = Object.freeze([0, codePointMax])
export const noCodePoint: CodePointSet = Object.freeze([])

/** The set of the given ranges, which may overlap and have any order. */
export function setOf(...ranges: readonly (readonly [from: number, to: number])[]): CodePointSet {
  return normalized(ranges.flatMap(([from, to]) => [from, to]))
}

/** The set of the characters of a text. */
export function setOfCharacters(characters: string): CodePointSet {
  return normalized(
    Array.from(characters).flatMap((each) => [each.codePointAt(0) ?? 0, each.codePointAt(0) ?? 0]),
  )
}

export function union(...sets: readonly CodePointSet[]): CodePointSet {
  const [only] = sets
  return only !== undefined && sets.length === 1 ? only : normalized(sets.flat())
}

export function complement(set: CodePointSet): CodePointSet {
  const ranges: number[] = []
  let next = 0
  for (let at = 0; at < set.length; at += 2) {
    const [from, to] = [set[at] ?? 0, set[at + 1] ?? 0]
    if (from > next) ranges.push(next, from - 1)
    next = to + 1
  }
  if (next <= codePointMax) ranges.push(next, codePointMax)
  return Object.freeze(ranges)
}

export function intersection(one: CodePointSet, other: CodePointSet): CodePointSet {
  const ranges: number[] = []
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    const from = Math.max(one[i] ?? 0, other[j] ?? 0)
    const [oneEnd, otherEnd] = [one[i + 1] ?? 0, other[j + 1] ?? 0]
    const to = Math.min(oneEnd, otherEnd)
    if (from <= to) ranges.push(from, to)
    if (oneEnd < otherEnd) i += 2
    else j += 2
  }
  return Object.freeze(ranges)
}

export function difference(one: CodePointSet, other: CodePointSet): CodePointSet {
  return intersection(one, complement(other))
}

/** Tests membership by binary search. */
export function contains(set: CodePointSet, codePoint: number): boolean {
  let low = 0
  let high = set.length / 2 - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    if (codePoint < (set[middle * 2] ?? 0)) high = middle - 1
    else if (codePoint > (set[middle * 2 + 1] ?? 0)) low = middle + 1
    else return true
  }
  return false
}

function normalized(flat: readonly number[]): CodePointSet {
  const starts = Array.from({ length: flat.length / 2 }, (_, index) => index * 2).toSorted(
    (a, b) => (flat[a] ?? 0) - (flat[b] ?? 0),
  )
  const ranges: number[] = []
  for (const start of starts) {
    const [from, to] = [flat[start] ?? 0, flat[start + 1] ?? 0]
    const last = ranges.length - 1
    if (last > 0 && from <= (ranges[last] ?? 0) + 1) {
      ranges[last] = Math.max(ranges[last] ?? 0, to)
    } else ranges.push(from, to)
  }
  return Object.freeze(ranges)
}
