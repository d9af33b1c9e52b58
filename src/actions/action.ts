import type { TopicLimits } from '../topics/topic-filter.ts'
import type { Message } from '../message.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { DeliverySettings, NewRecord, SourceMessage } from '../outbox/outbox.ts'
import type { Scope } from '../sql/sql.ts'

/** What an action of a rule comes to for one message, or why it comes to nothing. */
export type ActionOutcome =
  | {
      readonly ok: true
      /** To be delivered. */
      readonly records: readonly NewRecord[]
      /** To be published, as if a device had sent them. */
      readonly messages: readonly Message[]
    }
  | { readonly ok: false; readonly failure: ActionFailure }

export interface ActionFailure {
  readonly code: 'TemplateFailed' | 'ActionFailed'
  readonly message: string
  /** Which field of the payload: `actions[0].kinesis.partitionKey`. */
  readonly where: string
  /** Stream or topic that the action is about, as far as it is known. */
  readonly resource: string
}

/** An action of a rule, compiled: its templates are read once, when the rule is loaded. */
export interface CompiledAction {
  /** The member of AWS's Action union. */
  readonly kind: ActionKind
  /** Streams whose name holds no template: the lab makes them in advance. */
  readonly constantStreamNames: readonly string[]
  /**
   * Pure. What it throws, such as a template whose text is too long, is this action's failure.
   *
   * @param output what the action is to send: what the rule's SELECT gave, or the error document
   * @param source the message in `scope`, for what is kept of it with a record
   */
  apply(scope: Scope, output: Buffer, source: SourceMessage): ActionOutcome
}

export type ActionKind = 'kinesis' | 'republish'

/** Where an action stands: for its records' destination and for messages. */
export interface ActionContext {
  readonly ruleName: string
  /** `actions[<index>]`, or `errorActionIndex`. */
  readonly index: number
  /** The engine's own region: of streams for which nothing else is said. */
  readonly region: string
  readonly delivery: ActionDelivery
  /** Of topics that are published to; absent: AWS IoT's. */
  readonly topicLimits?: TopicLimits | undefined
}

/** How people call the place of an action in a payload: `actions[0]`, `errorAction`. */
export function fieldOfAction(index: number): string {
  return index === errorActionIndex ? 'errorAction' : `actions[${index}]`
}

/** How the records of one action are delivered: complete, from what stands beside the rule. */
export interface ActionDelivery {
  readonly settings: DeliverySettings
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
  /** A template; stands in for the action's stream name. */
  readonly streamArn?: string | undefined
  /** A template. */
  readonly explicitHashKey?: string | undefined
  /** `process`: the action's role is not assumed. */
  readonly credentials?: 'role' | 'process' | undefined
  readonly externalId?: string | undefined
}
