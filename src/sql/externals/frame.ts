import type { Dialect } from '../values/dialect.ts'
import type { MessageDocument } from './document.ts'
import type { EvaluationFailure } from '../values/evaluation-failure.ts'
import type { ExternalCalls } from './external-request.ts'
import type { Value } from '../values/values.ts'
import type { Work, WorkPlace } from '../values/work.ts'

/** The context in which an expression is evaluated. The outermost frame is the rule's scope. */
export interface Frame {
  /** Shared by all frames of a scope. */
  readonly state: ScopeState
  readonly document: MessageDocument
  /** The values of the statement's variables in the order of SET. */
  readonly variables: Variables
  /** The current element of a nested query; Undefined outside of one. */
  readonly element: Value
  /** The index of the element; 0 outside of a nested query. */
  readonly index: number
  /** The frame around a nested query. */
  readonly outer: Frame | undefined
}

/** The state that changes while a rule is evaluated on a message. */
interface ScopeState extends Work {
  /** The calls of external functions; undefined before the first one. */
  external: ExternalCalls | undefined
  /** The first failure. With one, results of the scope do not count. */
  failure: EvaluationFailure | undefined
}

/** Variables are evaluated once per message and rule, at the first read, with those before it. */
export interface Variables {
  valueAt(index: number, frame: Frame): Value
}

/**
 * A compiled expression. It throws only the signals of external-calls.ts and WorkSpent; that file
 * catches every exception where the engine calls in.
 */
export type Evaluate = (frame: Frame) => Value

/** The compiler's knowledge at a place in the text. */
export interface Surroundings {
  readonly dialect: Dialect
  /** The text that is being compiled. */
  readonly text: string
  /** The index in SET of each variable, by name. */
  readonly variables: ReadonlyMap<string, number>
  /** The element alias of each nested query around the place, outermost first. */
  readonly aliases: readonly (string | undefined)[]
  /** Whether the text calls external functions and may therefore be evaluated in rounds. */
  readonly isResumed: boolean
  readonly isTemplate: boolean
}

/** Describes a place in the text, for the failure of a rule that does too much work there. */
export function placeOf({ text, isTemplate }: Surroundings, name: string, at: number): WorkPlace {
  return { name, text, at, isTemplate }
}
