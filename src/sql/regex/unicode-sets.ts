import { setOf } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'

/**
 * The code points that have a property in JavaScript's Unicode tables, such as `Lu`, `Script=Greek`
 * or `Alphabetic`. Each property is read once. There are some hundreds of properties, which bounds
 * the memory.
 */
const sets = new Map<string, CodePointSet>()

/**
 * The code points that are tested: ranges, each tested as one text. In planes that are unassigned
 * or for private use, one code point stands for all that are alike.
 *
 * The first plane is split between high and low surrogates, because two adjacent ones would be read
 * as one code point.
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
 * @param property the text between the braces of `\p{...}` in JavaScript: letters, digits, `_` and
 *   `=`
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

/** The code points of a property that is known to exist. */
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

/** More than a megabyte of text, made for the first property. */
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
