import type { SluiceError } from '../../base/errors.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import type { Message } from '../../message.ts'
import { errorActionIndex } from '../../outbox/outbox.ts'
import type {
  DeliverySettings,
  NewRecord,
  ServiceKind,
  SourceMessage,
  StreamDestination,
} from '../../outbox/outbox.ts'
import type { Scope } from '../../sql/sql.ts'

/** What an action of a rule makes of one message, or why it fails. */
export type ActionOutcome =
  | {
      readonly ok: true
      /** Records to deliver. */
      readonly records: readonly NewRecord[]
      /** Messages to publish, as if a device had sent them. */
      readonly messages: readonly Message[]
    }
  | { readonly ok: false; readonly failure: ActionFailure }

export interface ActionFailure {
  readonly code: 'TemplateFailed' | 'ActionFailed'
  readonly message: string
  /** The field of the payload: `actions[0].kinesis.partitionKey`. */
  readonly where: string
  /** The stream, topic or other target of the action, as far as it is known. */
  readonly resource: string
}

/** A compiled action of a rule: its templates are parsed once, when the rule is loaded. */
export interface CompiledAction {
  readonly kind: ActionKind
  /** Streams that no template names: the lab creates them in advance. */
  readonly constantStreams: readonly StreamDestination[]
  /**
   * Pure. An error that it throws, such as a template whose text is too long, fails this action.
   *
   * @param output the bytes to send: the result of the rule's SELECT, or the error document
   * @param source the message in `scope`, as records keep it
   */
  apply(scope: Scope, output: Buffer, source: SourceMessage): ActionOutcome
}

/** The member of AWS's Action union [AWS IoT API Reference, Action]. */
export type ActionKind = 'kinesis' | 'republish' | ServiceKind

/** The rule and the settings around an action. */
export interface ActionContext {
  readonly ruleName: string
  /** `actions[<index>]`, or `errorActionIndex`. */
  readonly index: number
  /** The engine's own region: the default for streams. */
  readonly region: string
  readonly delivery: ActionDelivery
  /** Limits of topics that are published to. Absent: those of AWS IoT. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of a message that is published. Absent: AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
  /**
   * What is wrong with a URL for the HTTP action; undefined when it will do. Absent: what AWS takes
   * is taken, and loopback as well.
   */
  readonly httpUrlProblem?: ((url: string) => string | undefined) | undefined
  /** Gets what is wrong with the action; the compiled one is not used when there is anything. */
  readonly faults: SluiceError[]
  /** Fields of the payload that the schema has refused. */
  readonly faultyFields: ReadonlySet<string>
}

/** An action of a definition that its schema may not have accepted. */
export interface DefinitionContext {
  /** The field that holds the definition: `actions[0].s3`. */
  readonly place: string
  /** The index of the action, or `errorActionIndex`. */
  readonly index: number
  /** Whether a member was found faulty, and has a stand-in or is left out: `headers[0].key`. */
  readonly isFaulty: (member: string) => boolean
}

/** The field of an action in a payload, as errors name it: `actions[0]`, `errorAction`. */
export function fieldOfAction(index: number): string {
  return index === errorActionIndex ? 'errorAction' : `actions[${index}]`
}

/** How the records of one action are delivered: the complete settings beside the rule. */
export interface ActionDelivery {
  readonly settings: DeliverySettings
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
  /** A template. Replaces the action's stream name. */
  readonly streamArn?: string | undefined
  /** A template. */
  readonly explicitHashKey?: string | undefined
  /** `process`: the action's role is not assumed. */
  readonly credentials?: 'role' | 'process' | undefined
  readonly externalId?: string | undefined
}
