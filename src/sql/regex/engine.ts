import type { Work } from '../values/work.ts'

/** What every engine does: search one text from a place on, again and again. */
export interface Engine {
  /** Spends its work as it searches. */
  open(text: string, work: Work): Search
}

export interface Search {
  /**
   * The first match that begins at `from` or later, by the order of Java: the leftmost one, and of
   * those that begin there the one that the pattern's alternatives name first.
   *
   * @param from offset in UTF-16 units, never inside a pair of surrogates
   * @param searchStart where the match before this search ended; 0 in the first one
   * @throws WorkSpent
   */
  find(from: number, searchStart: number): Match | undefined
}

export interface Match {
  readonly start: number
  readonly end: number
  /** The text of a group; undefined when it took no part. Group 0 is all of the match. */
  group(index: number): string | undefined
}
