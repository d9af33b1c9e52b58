/** Thrown inside the reader and caught at its door: the text is no pattern of Java. */
export class PatternError extends Error {
  /** Offset in the pattern, in UTF-16 units. */
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

/** Thrown in the same way where a pattern is beyond the bounds of this engine. */
export class PatternTooLarge extends PatternError {}
