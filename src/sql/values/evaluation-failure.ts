/** Why a rule, or a part of it, has no result for a message. */
export interface EvaluationFailure {
  /**
   * - `ExternalFunctionFailed`: an external function gave no result
   * - `WorkLimitExceeded`: the rule needs more work for the message than it may do (work.ts)
   * - `EvaluationFailed`: evaluating threw, which is a fault of the language itself
   */
  readonly code: 'ExternalFunctionFailed' | 'WorkLimitExceeded' | 'EvaluationFailed'
  /** The external function that gave no result, `get_secret()`; else `sql`. */
  readonly where: string
  /** One sentence, for people. */
  readonly reason: string
}
