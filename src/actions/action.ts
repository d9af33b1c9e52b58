import type { NewRecord } from '../outbox/outbox.ts'
import type { Scope } from '../sql/sql.ts'

/** What an action of a rule comes to for one message: records to deliver, or why there are none. */
export type ActionOutcome =
  | { readonly ok: true; readonly records: readonly NewRecord[] }
  | { readonly ok: false; readonly failure: ActionFailure }

export interface ActionFailure {
  readonly code: 'TemplateFailed' | 'ActionFailed'
  readonly message: string
  /** Which field of the payload: `actions[0].kinesis.partitionKey`. */
  readonly where: string
}

/** An action of a rule, compiled: its templates are read once, when the rule is loaded. */
export interface CompiledAction {
  /** The member of AWS's Action union: `kinesis`. */
  readonly kind: string
  /** Streams whose name holds no template: the lab makes them in advance. */
  readonly constantStreamNames: readonly string[]
  /** Never throws. `output` is what the rule's SELECT gave. */
  apply(scope: Scope, output: Buffer): ActionOutcome
}

/** Where an action stands: for its records' destination and for messages. */
export interface ActionContext {
  readonly ruleName: string
  /** `actions[<index>]`. */
  readonly index: number
  readonly region: string
}
