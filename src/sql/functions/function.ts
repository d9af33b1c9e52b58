import type { Expression } from '../parser/ast.ts'
import type { Dialect } from '../values/dialect.ts'
import type { Frame } from '../externals/frame.ts'
import type { ExternalRequest } from '../externals/external-request.ts'
import type { Value } from '../values/values.ts'
import type { SqlVersion } from '../values/version.ts'

/** A function of the language. */
export interface SqlFunction {
  /** The name as the AWS IoT guide spells it. Calls may use any letter case. */
  readonly name: string
  readonly sinceVersion: Exclude<SqlVersion, 'beta'>
  /** The fewest and the most arguments. A call with another number is Undefined. */
  readonly arity: readonly [fewest: number, most: number]
  /** Computes the value; Undefined when that is impossible. @throws WorkSpent and nothing else */
  readonly implementation: Implementation
  /** The steps of each call, apart from those of its arguments; 1 by default. */
  readonly steps?: number
  /**
   * Replaces `implementation` when the first argument is `*` and means the payload, for functions
   * that take the payload's bytes, JSON or not. That argument is then not evaluated.
   */
  readonly payloadImplementation?: Implementation
  /**
   * The problem with the arguments as written, if any. Called once, when a statement is checked.
   */
  readonly findProblem?:
    ((values: readonly Expression[], dialect: Dialect) => ArgumentProblem | undefined) | undefined
  /**
   * Makes the `implementation` of one call when a statement is compiled, with state of its own.
   */
  readonly prepare?: (values: readonly Expression[], dialect: Dialect) => Implementation
  /** True when each call may give another value. */
  readonly isRandom?: true
  /** True when a failed external function in the first argument makes that argument Undefined. */
  readonly toleratesFailure?: true
  /** The external call for the arguments as written; undefined when the engine itself answers. */
  readonly externalCall?: (values: readonly Expression[]) => ExternalCall | undefined
}

/** An external call, which replaces `implementation`. */
export interface ExternalCall {
  /** Makes the request. Without a request nothing is sent, and the value is Undefined. */
  readonly request: MakeRequest
  /** Replaces `request` when the first argument is `*` and means the payload. */
  readonly payloadRequest?: MakeRequest
  /** How often the call may stand in a statement. */
  readonly writtenMax?: number
  readonly isRefusedInTemplates?: true
  /** The scope in which it may be called once per message: a second call ends the rule. */
  readonly onceIn?: 'the statement' | 'the rule'
}

/** The message and the steps that are left for it. */
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

/** A problem that makes the statement invalid, or only gives a warning. */
export interface ArgumentProblem {
  /** The offset of the argument in the text of the statement. */
  readonly at: number
  /** One sentence without a full stop. */
  readonly problem: string
  /** True when AWS IoT accepts the statement and the call is Undefined for every message. */
  readonly isWarning?: true
}

export type Implementation = (
  values: readonly Value[],
  context: FunctionContext,
  dialect: Dialect,
) => Value
