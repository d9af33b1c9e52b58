import type { Expression } from '../parser/ast.ts'
import type { Dialect } from '../values/dialect.ts'
import type { Frame } from '../externals/frame.ts'
import type { ExternalRequest } from '../externals/external-request.ts'
import type { Value } from '../values/values.ts'
import type { SqlVersion } from '../values/version.ts'

/** A function of the language. */
export interface SqlFunction {
  /** As the guide spells it; calls are matched in any case. */
  readonly name: string
  readonly sinceVersion: Exclude<SqlVersion, 'beta'>
  /** Fewest and most arguments; a call with another count is Undefined. */
  readonly arity: readonly [fewest: number, most: number]
  /** What cannot be computed is Undefined. @throws WorkSpent and nothing else */
  readonly implementation: Implementation
  /** Steps of work that each call takes, besides what its arguments cost: 1 by default. */
  readonly steps?: number
  /**
   * Stands in for `implementation` where the first argument is `*` and means the payload: for
   * functions that take its bytes, whether they are JSON or not. That argument is then not read.
   */
  readonly payloadImplementation?: Implementation
  /**
   * What is wrong with the arguments as they are written, asked once when a statement is checked.
   */
  readonly findProblem?: (
    values: readonly Expression[],
    dialect: Dialect,
  ) => ArgumentProblem | undefined
  /**
   * Makes an `implementation` for one call, when a statement is compiled: to keep what it needs.
   */
  readonly prepare?: (values: readonly Expression[], dialect: Dialect) => Implementation
  /** Each call may give another value. */
  readonly isRandom?: true
  /** Where an external function fails in the first argument, that argument is Undefined. */
  readonly toleratesFailure?: true
  /** The call that is answered from outside, for arguments as they are written; none by default. */
  readonly externalCall?: (values: readonly Expression[]) => ExternalCall | undefined
}

/** A call that is answered from outside: it stands in for `implementation`. */
export interface ExternalCall {
  /** What it asks for. Undefined: nothing is asked, and the value is Undefined. */
  readonly request: MakeRequest
  /** The same where the first argument is `*` and means the payload; that argument is not read. */
  readonly payloadRequest?: MakeRequest
  /** How often it may stand in a statement as it is written. */
  readonly writtenMax?: number
  readonly isRefusedInTemplates?: true
  /** Where it may be called once for a message: a second call ends the rule. */
  readonly onceIn?: 'the statement' | 'the rule'
}

/** The message, and the work that may still be done for it. */
export type FunctionContext = Pick<Frame, 'document' | 'state'>

/**
 * @returns a `problem` for arguments that make the call fail: one sentence without a full stop
 * @throws WorkSpent
 */
export type MakeRequest = (
  values: readonly Value[],
  context: FunctionContext,
  dialect: Dialect,
) => ExternalRequest | { readonly problem: string } | undefined

/** The statement is refused for it, or only warned of. */
export interface ArgumentProblem {
  /** The offset of the argument in the text of the statement. */
  readonly at: number
  /** One sentence without a full stop. */
  readonly problem: string
  /** AWS IoT takes the statement, and the call is Undefined for every message. */
  readonly isWarning?: true
}

export type Implementation = (
  values: readonly Value[],
  context: FunctionContext,
  dialect: Dialect,
) => Value
