/** Thrown and caught inside the reader: the text is not a pattern in Java. */
export class PatternError extends Error {
  /** Offset in the pattern, in UTF-16 units. */
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

/** Thrown in the same way when a pattern exceeds the bounds of this engine. */
export class PatternTooLarge extends PatternError {}
