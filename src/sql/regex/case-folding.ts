/**
 * Java's case-insensitive matching of single code points. Without the flag (?u) only ASCII letters
 * have another case. With it, two code points match when the lower cases of their upper cases are
 * equal. Both are the simple mappings, from one code point to one.
 */
import { contains, setOf, union } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { unicodeSetOf } from './unicode-sets.ts'

export type CaseFolding = 'none' | 'ascii' | 'unicode'

/** The code points that match one code point of a pattern. */
export function foldedCodePoint(codePoint: number, folding: CaseFolding): CodePointSet {
  const alone = setOf([codePoint, codePoint])
  if (folding === 'none') return alone
  if (folding === 'ascii') return withOtherCase(alone, codePoint, codePoint)
  const folded = foldOf(codePoint)
  const same = foldTable().byFold.get(folded)
  return same === undefined ? alone : union(setOf([folded, folded]), same, alone)
}

/** The code points that match a range of a pattern's character class. */
export function foldedRange(from: number, to: number, folding: CaseFolding): CodePointSet {
  const range = setOf([from, to])
  if (folding === 'none') return range
  if (folding === 'ascii') return withOtherCase(range, from, to)
  const isInside = (codePoint: number) => codePoint >= from && codePoint <= to
  const others = foldTable().cased.filter(
    ({ upper, folded }) => isInside(upper) || isInside(folded),
  )
  return union(range, setOf(...others.map(({ codePoint }) => [codePoint, codePoint] as const)))
}

const upperLetters = setOf([0x41, 0x5a])
const letters = union(upperLetters, setOf([0x61, 0x7a]))
const caseBit = 0x20

function withOtherCase(set: CodePointSet, from: number, to: number): CodePointSet {
  const added: [number, number][] = []
  for (let letter = 0x41; letter <= 0x7a; letter++) {
    if (!contains(letters, letter) || letter < from || letter > to) continue
    added.push([letter ^ caseBit, letter ^ caseBit])
  }
  return added.length === 0 ? set : union(set, setOf(...added))
}

interface Cased {
  readonly codePoint: number
  readonly upper: number
  readonly folded: number
}

interface FoldTable {
  /** Every code point that a mapping changes. */
  readonly cased: readonly Cased[]
  readonly byFold: ReadonlyMap<number, CodePointSet>
}

let table: FoldTable | undefined

/** About 2,900 code points; made at the first use. */
function foldTable(): FoldTable {
  table ??= createFoldTable()
  return table
}

function createFoldTable(): FoldTable {
  const changing = union(
    unicodeSetOf('Changes_When_Uppercased'),
    unicodeSetOf('Changes_When_Lowercased'),
  )
  const cased: Cased[] = []
  const byFold = new Map<number, [number, number][]>()
  for (let at = 0; at < changing.length; at += 2) {
    for (let codePoint = changing[at] ?? 0; codePoint <= (changing[at + 1] ?? 0); codePoint++) {
      const upper = upperOf(codePoint)
      const folded = lowerOf(upper)
      cased.push({ codePoint, upper, folded })
      const same = byFold.get(folded)
      if (same === undefined) byFold.set(folded, [[codePoint, codePoint]])
      else same.push([codePoint, codePoint])
    }
  }
  return {
    cased,
    byFold: new Map([...byFold].map(([folded, ranges]) => [folded, setOf(...ranges)])),
  }
}

function foldOf(codePoint: number): number {
  return lowerOf(upperOf(codePoint))
}

/**
 * JavaScript maps to whole texts (`ß` to `SS`). When the result has more than one code point there
 * is no simple mapping, except for Greek letters with iota subscript.
 */
function upperOf(codePoint: number): number {
  const mapped = Array.from(String.fromCodePoint(codePoint).toUpperCase())
  const [first] = mapped
  if (first !== undefined && mapped.length === 1) return first.codePointAt(0) ?? codePoint
  const row = codePoint & ~0x7
  if (row === 0x1f80 || row === 0x1f90 || row === 0x1fa0) return codePoint + 8
  return [0x1fb3, 0x1fc3, 0x1ff3].includes(codePoint) ? codePoint + 9 : codePoint
}

/**
 * The one code point whose lower case has two: capital I with a dot above. Its simple mapping is
 * `i`.
 */
function lowerOf(codePoint: number): number {
  if (codePoint === 0x130) return 0x69
  return String.fromCodePoint(codePoint).toLowerCase().codePointAt(0) ?? codePoint
}
