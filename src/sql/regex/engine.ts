import type { Work } from '../values/work.ts'

/** An engine, which searches one text repeatedly from given positions. */
export interface Engine {
  /** Spends steps as it searches. */
  open(text: string, work: Work): Search
}

export interface Search {
  /**
   * The first match at `from` or later in the order of Java: the leftmost one, and of several there
   * the one of the earliest alternative.
   *
   * @param from offset in UTF-16 units, never inside a pair of surrogates
   * @param searchStart the end of the match before this search; 0 for the first search
   * @throws WorkSpent
   */
  find(from: number, searchStart: number): Match | undefined
}

export interface Match {
  readonly start: number
  readonly end: number
  /** The text of a group; undefined when the group did not match. Group 0 is the whole match. */
  group(index: number): string | undefined
}
