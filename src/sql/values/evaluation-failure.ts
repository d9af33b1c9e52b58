/** The reason why a rule, or a part of it, has no result for a message. */
export interface EvaluationFailure {
  /**
   * - `ExternalFunctionFailed`: an external function gave no result
   * - `WorkLimitExceeded`: the rule needs more work for the message than is allowed (work.ts)
   * - `EvaluationFailed`: evaluation threw an exception, which is a bug in this folder
   */
  readonly code: 'ExternalFunctionFailed' | 'WorkLimitExceeded' | 'EvaluationFailed'
  /** The external function that gave no result, such as `get_secret()`; otherwise `sql`. */
  readonly where: string
  /** One sentence, for people. */
  readonly reason: string
}
