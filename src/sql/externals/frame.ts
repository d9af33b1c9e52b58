import type { Dialect } from '../values/dialect.ts'
import type { MessageDocument } from './document.ts'
import type { EvaluationFailure } from '../values/evaluation-failure.ts'
import type { ExternalCalls } from './external-request.ts'
import type { Value } from '../values/values.ts'
import type { Work, WorkPlace } from '../values/work.ts'

/** What an expression sees while it is evaluated. The outermost frame is the rule's scope. */
export interface Frame {
  /** Shared by all frames of a scope. */
  readonly state: ScopeState
  readonly document: MessageDocument
  /** The values of the statement's variables in the order of SET. */
  readonly variables: Variables
  /** In a nested query the element that it looks at; else Undefined. */
  readonly element: Value
  /** Its place among the elements; 0 outside of a nested query. */
  readonly index: number
  /** The frame around a nested query. */
  readonly outer: Frame | undefined
}

/** What changes while a rule is evaluated on a message. */
interface ScopeState extends Work {
  /** Its calls of external functions, from the first one on. */
  external: ExternalCalls | undefined
  /** The first one: whatever is evaluated counts for nothing then. */
  failure: EvaluationFailure | undefined
}

/** A variable is evaluated once a message and rule, with those before it, when it is first read. */
export interface Variables {
  valueAt(index: number, frame: Frame): Value
}

/**
 * A compiled expression. What it may throw are the signals of external-calls.ts and WorkSpent. The
 * former stands around everything that is called from outside, and makes a failure of all others.
 */
export type Evaluate = (frame: Frame) => Value

/** What the compiler knows at a place in the text. */
export interface Surroundings {
  readonly dialect: Dialect
  /** The text that is compiled. */
  readonly text: string
  /** Names of variables to their places in SET. */
  readonly variables: ReadonlyMap<string, number>
  /** One entry for each nested query around the place, outermost first: its element's alias. */
  readonly aliases: readonly (string | undefined)[]
  /** Whether the text calls external functions, so that it may be evaluated in rounds. */
  readonly isResumed: boolean
  readonly isTemplate: boolean
}

/** Where a part of the text stands, for the failure of a rule that does too much work there. */
export function placeOf({ text, isTemplate }: Surroundings, name: string, at: number): WorkPlace {
  return { name, text, at, isTemplate }
}
