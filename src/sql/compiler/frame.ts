import type { Dialect } from '../values/dialect.ts'
import type { MessageDocument } from '../externals/document.ts'
import type { EvaluationFailure } from '../values/evaluation-failure.ts'
import type { ExternalCalls } from '../externals/external-request.ts'
import type { Value } from '../values/values.ts'

/** What an expression sees while it is evaluated. The outermost frame is the rule's scope. */
export interface Frame {
  /** Shared by all frames of a scope. */
  readonly state: ScopeState
  readonly document: MessageDocument
  /** The values of the statement's variables in the order of SET. */
  readonly variables: Variables
  /** In a nested query the element that it looks at; else Undefined. */
  readonly element: Value
  /** The frame around a nested query. */
  readonly outer: Frame | undefined
  /** What nested queries may still look at; none outside of them. */
  readonly budget: QueryBudget | undefined
}

/** What changes while a rule is evaluated on a message. */
export interface ScopeState {
  /** Its calls of external functions, from the first one on. */
  external: ExternalCalls | undefined
  /** The first one: whatever is evaluated counts for nothing then. */
  failure: EvaluationFailure | undefined
}

/** A variable is evaluated once a message and rule, with those before it, when it is first read. */
export interface Variables {
  valueAt(index: number, frame: Frame): Value
}

/** Shared by a nested query and the queries inside it. */
export interface QueryBudget {
  elementsLeft: number
}

/**
 * A compiled expression. What it may throw are the signals of external-calls.ts, which stands around
 * everything that is called from outside; anything else that is thrown becomes a failure there.
 */
export type Evaluate = (frame: Frame) => Value

/** What the compiler knows at a place in the text. */
export interface Surroundings {
  readonly dialect: Dialect
  /** Names of variables to their places in SET. */
  readonly variables: ReadonlyMap<string, number>
  /** One entry for each nested query around the place, outermost first: its element's alias. */
  readonly aliases: readonly (string | undefined)[]
  /** Whether the text calls external functions, so that it may be evaluated in rounds. */
  readonly isResumed: boolean
  readonly isTemplate: boolean
}
