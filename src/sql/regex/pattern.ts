import type { CodePointSet } from './code-point-set.ts'

/**
 * A Java pattern as a tree of frozen data. Flags, letter case and class names are resolved while
 * reading, so that a node has the same meaning everywhere.
 */
export interface Pattern {
  readonly root: Node
  /** The number of capturing groups, without the whole match. They are numbered from 1. */
  readonly groupCount: number
  readonly groupNames: ReadonlyMap<string, number>
  /** The constructs that no linear engine has, in the order of the pattern. */
  readonly demands: readonly Demand[]
}

/** A construct that not every engine has. */
export interface Demand {
  /** Its name for people: `a look-ahead`, `a backreference`. */
  readonly construct: string
  /** Offset in the pattern, in UTF-16 units. */
  readonly at: number
  /** `nothing`: no engine here has it. */
  readonly needs: 'backtracking' | 'nothing'
}

export type Node =
  /** One code point of a set. */
  | { readonly kind: 'set'; readonly set: CodePointSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  /** The first branch that leads to a match wins. */
  | { readonly kind: 'alternation'; readonly branches: readonly Node[] }
  | {
      readonly kind: 'repeat'
      readonly body: Node
      readonly min: number
      readonly max: number
      readonly mode: RepeatMode
    }
  /** A group in round brackets. Without an index it captures nothing. */
  | { readonly kind: 'group'; readonly index: number | undefined; readonly body: Node }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | {
      readonly kind: 'look'
      readonly ahead: boolean
      readonly negative: boolean
      readonly body: Node
    }
  | { readonly kind: 'atomic'; readonly body: Node }
  /** `at` is its offset in the pattern. */
  | { readonly kind: 'backreference'; readonly index: number; readonly at: number }

export type RepeatMode = 'greedy' | 'lazy' | 'possessive'

/**
 * An assertion about the position between two characters.
 *
 * - `textStart`, `textEnd`: `\A` and `^`; `\z`
 * - `finalEnd`: `\Z` and `$`, at the end or before a line terminator that ends the text
 * - `lineStart`, `lineEnd`: `^` and `$` with (?m)
 * - the same with `Unix`: (?d), where `\n` alone ends a line
 * - `searchStart`: `\G`, where the last match ended
 * - `afterLineBreak`: not between `\r` and `\n`; a repeated `\R` never takes half of the pair
 */
export type Assertion =
  | 'textStart'
  | 'textEnd'
  | 'finalEnd'
  | 'finalEndUnix'
  | 'lineStart'
  | 'lineStartUnix'
  | 'lineEnd'
  | 'lineEndUnix'
  | 'searchStart'
  | 'afterLineBreak'
  | 'wordBoundary'
  | 'notWordBoundary'
  | 'wordBoundaryUnicode'
  | 'notWordBoundaryUnicode'

export const emptyNode: Node = Object.freeze({ kind: 'sequence', parts: Object.freeze([]) })
