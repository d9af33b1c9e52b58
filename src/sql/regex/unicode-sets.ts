import { setOf } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'

/**
 * The code points that JavaScript's own Unicode tables give a property, such as `Lu`,
 * `Script=Greek` or `Alphabetic`. Read from the tables once a property: there are some hundreds of
 * properties in all, which bounds what is kept.
 */
const sets = new Map<string, CodePointSet>()

/**
 * What the tables are asked about: stretches of code points, each asked as one text, and of the
 * planes that are unassigned or for private use one code point each for all that are alike.
 *
 * The first plane is cut between the high and the low surrogates: side by side, two of them would
 * read as one code point.
 */
const planeSize = 0x1_0000
type Stretch = readonly [from: number, to: number]
const mixedStretches: readonly Stretch[] = [
  [0, 0xdbff],
  [0xdc00, 0xffff],
  ...[1, 2, 3, 14].map((plane): Stretch => [plane * planeSize, (plane + 1) * planeSize - 1]),
]
const uniformStretches: readonly Stretch[] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16].flatMap(
  (plane): Stretch[] => {
    const end = (plane + 1) * planeSize - 1
    return [
      [plane * planeSize, end - 2],
      [end - 1, end], // no characters
    ]
  },
)

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
  const ranges: Stretch[] = []
  for (const { from, text } of mixedTexts()) {
    const width = from < planeSize ? 1 : 2
    for (const { index, 0: run } of text.matchAll(members)) {
      const first = from + index / width
      ranges.push([first, first + run.length / width - 1])
    }
  }
  for (const stretch of uniformStretches) {
    if (members.test(String.fromCodePoint(stretch[0]))) ranges.push(stretch)
    members.lastIndex = 0
  }
  const set = setOf(...ranges)
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

interface StretchText {
  readonly from: number
  readonly text: string
}

let texts: readonly StretchText[] | undefined

/** Over a megabyte of text, made when the first property is asked for. */
function mixedTexts(): readonly StretchText[] {
  texts ??= mixedStretches.map(([from, to]) => ({ from, text: textOf(from, to) }))
  return texts
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
