import type { ShownPayload } from './shown-payload.ts'

/** What became of one action of a rule when the rule ran on a message. */
export interface WatchedAction {
  readonly kind: string
  /** `-1` for the error action. */
  readonly actionIndex: number
  /** Of a record for a stream. */
  readonly partitionKey?: string | undefined
  /**
   * `queued`: its record waits for the disk and the service; `republished`: subscribers and rules
   * see its message; `failed`: it made nothing, and `reason` says why.
   */
  readonly state: 'queued' | 'republished' | 'failed'
  readonly reason?: string | undefined
}

/** What one rule made of a message. */
export interface WatchedRule {
  readonly ruleName: string
  readonly matched: boolean
  /** Why it did not match or failed; absent when it matched. */
  readonly because?: string | undefined
  readonly actions: readonly WatchedAction[]
}

/** A message, and what the rules that its topic concerns made of it. */
export interface MessageEvent {
  readonly messageId: string
  /** When it arrived: RFC 3339, in UTC. */
  readonly at: string
  readonly topic: string
  /** Absent when the message did not come over MQTT. */
  readonly clientId?: string | undefined
  readonly qos: 0 | 1 | 2
  /** Bytes of its payload. */
  readonly bytes: number
  readonly rules: readonly WatchedRule[]
  /** Rules beyond those that `rules` shows. */
  readonly furtherRules?: number | undefined
}

/** The records of a message are on disk; only then is the message acknowledged. */
export interface DurableEvent {
  readonly messageId: string
  /** Milliseconds since the message arrived. */
  readonly latencyMs: number
}

interface RecordEvent extends DurableEvent {
  readonly ruleName: string
  readonly actionIndex: number
  readonly kind: string
  /** The stream, queue, table or other resource. */
  readonly destination: string
}

/** A service took a record. */
export interface DeliveredEvent extends RecordEvent {
  /** Of a record in a stream. */
  readonly shardId?: string | undefined
  readonly sequenceNumber?: string | undefined
  /** How many records the call had. */
  readonly callRecords: number
}

/** A record was given up or dropped. */
export interface FailedEvent extends RecordEvent {
  readonly reason: string
  /** The records of the rule's error action, a dead letter, or nothing, as it was dropped. */
  readonly followedBy: 'errorAction' | 'deadLetter' | 'nothing'
}

/** What watchers are told. */
export type WatchEvent =
  | { readonly name: 'message'; readonly data: MessageEvent & ShownPayload }
  | { readonly name: 'durable'; readonly data: DurableEvent }
  | { readonly name: 'delivered'; readonly data: DeliveredEvent }
  | { readonly name: 'failed'; readonly data: FailedEvent }

/** The path of one message, as far as it has come. */
export interface MessagePath {
  readonly message: MessageEvent
  readonly durable?: DurableEvent | undefined
  /** What became of its records, in the order of time. */
  readonly records: readonly (DeliveredEvent | FailedEvent)[]
}
