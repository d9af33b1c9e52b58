import type { CodePointSet } from './code-point-set.ts'

/**
 * The code points that JavaScript's own Unicode tables give a property, such as `Lu`,
 * `Script=Greek` or `Alphabetic`. Read from the tables once a property: there are some hundreds of
 * properties in all, which bounds what is kept.
 */
const sets = new Map<string, CodePointSet>()

/**
 * The code points are shown to the tables stretch by stretch. The first plane is cut between the
 * high and the low surrogates: side by side, two of them would read as one code point.
 */
const planeSize = 0x1_0000
const stretches: readonly (readonly [from: number, to: number])[] = [
  [0, 0xdbff],
  [0xdc00, 0xffff],
  ...Array.from({ length: 16 }, (_, index): [number, number] => [
    (index + 1) * planeSize,
    (index + 2) * planeSize - 1,
  ]),
]

/**
 * @param property what stands between the braces of `\p{...}` in JavaScript; letters, digits, `_`
 *   and `=` only
 * @returns undefined for a property that JavaScript does not know
 */
export function unicodeSet(property: string): CodePointSet | undefined {
  const known = sets.get(property)
  if (known !== undefined) return known
  const members = membersPattern(property)
  if (members === undefined) return undefined
  const ranges: number[] = []
  for (const [from, to] of stretches) {
    const width = from < planeSize ? 1 : 2
    for (const { index, 0: run } of textOf(from, to).matchAll(members)) {
      const first = from + index / width
      addRange(ranges, first, first + run.length / width - 1)
    }
  }
  const set = Object.freeze(ranges)
  sets.set(property, set)
  return set
}

/** The same for a property that is known to exist. */
export function unicodeSetOf(property: string): CodePointSet {
  const set = unicodeSet(property)
  if (set === undefined) throw new Error(`no Unicode property ${property}`)
  return set
}

function membersPattern(property: string): RegExp | undefined {
  if (!/^\w+(?:=\w+)?$/.test(property)) return undefined
  try {
    return new RegExp(`\\p{${property}}+`, 'gu')
  } catch {
    return undefined // JavaScript has no such property
  }
}

/** Ranges that touch across the end of a stretch become one. */
function addRange(ranges: number[], from: number, to: number): void {
  if (ranges.length > 0 && ranges.at(-1) === from - 1) ranges[ranges.length - 1] = to
  else ranges.push(from, to)
}

function textOf(from: number, to: number): string {
  const chunkLength = 0x1000
  const chunks: string[] = []
  for (let start = from; start <= to; start += chunkLength) {
    const length = Math.min(chunkLength, to - start + 1)
    chunks.push(String.fromCodePoint(...Array.from({ length }, (_, index) => start + index)))
  }
  return chunks.join('')
}
