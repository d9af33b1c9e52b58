import type { SpanContext } from '@opentelemetry/api'
import type { Message } from '../message.ts'

/**
 * Traces of OpenTelemetry: the spans of a message, from its arrival to the function that an event
 * source mapping invokes. Without an endpoint none of these objects exist, and a message that the
 * sampler leaves out costs only its decision.
 *
 * Every traced message has a span of its own for each step. What messages share, a call or an
 * invocation, is one span more: it belongs to the trace of the first, with links to the others.
 *
 * No span has a value of a payload: neither a partition key nor the text of an error.
 */
export interface MessageTraces {
  readonly messages: MessageSpans
  readonly records: RecordSpans
  readonly batches: BatchSpans
}

export interface MessageSpans {
  /**
   * Begins the span of a message on which rules are about to run. Its parent is the rule that
   * republished it, or what the user property `traceparent` names (W3C Trace Context).
   *
   * @returns undefined when the message is not sampled
   */
  begin(message: Message, facts: MessageFacts): MessageTrace | undefined
  /**
   * Tells what rules made of a message that arrived. Its span ends when the records are on disk.
   *
   * @param records how many there are
   */
  appending(message: Message, records: number, durable: Promise<void>): void
}

interface MessageFacts {
  readonly messageId: string
  /** The topic filter of the one rule that the message concerns; absent when there are several. */
  readonly filter?: string | undefined
}

export interface MessageTrace {
  beginRule(ruleName: string): RuleTrace
  /** All rules have run. */
  ended(): void
}

export interface RuleTrace {
  /** The rule republishes this message. */
  republishes(message: Message): void
  /** @param failure the code of what failed first */
  ended(outcome: { readonly matched: boolean; readonly failure?: string | undefined }): void
}

export interface RecordSpans {
  /**
   * What the spans of a record belong to.
   *
   * @returns undefined when its message is not traced, or was too long ago
   */
  contextOf(record: RecordFacts): SpanContext | undefined
  /**
   * Begins a call with traced records.
   *
   * @param records at least one
   * @returns what tells how the call ended
   */
  call(call: TracedCall, records: readonly TracedRecord[]): (outcome: TracedOutcome) => void
  /** @param code why the destination will not get the record */
  givenUp(destination: TracedDestination, record: TracedRecord, code: string): void
}

interface RecordFacts {
  readonly messageId: string
  readonly acceptedAtMs: number
  /** Read for a record that an earlier process accepted. */
  readonly userProperties: () => UserProperties
}

export type UserProperties = readonly (readonly [string, string])[] | undefined

export interface TracedDestination {
  readonly kind: string
  /** The stream, queue, table or other resource. */
  readonly name: string
}

export interface TracedCall {
  readonly destination: TracedDestination
  /** Of the service, such as `PutRecords`. */
  readonly operation: string
  /** All records of the call, traced or not. */
  readonly recordCount: number
}

export interface TracedRecord {
  /** Tells it from all other records. */
  readonly key: string
  readonly context: SpanContext
  readonly acceptedAtMs: number
  readonly ruleName: string
  readonly actionIndex: number
  readonly bytes: number
}

export interface TracedOutcome {
  /** Why the call failed; absent when it was answered. */
  readonly failure?: string | undefined
  /** One for each traced record, in their order. */
  readonly records: readonly {
    readonly ok: boolean
    readonly shardId?: string | undefined
    readonly sequenceNumber?: string | undefined
    readonly failure?: string | undefined
  }[]
}

export interface BatchSpans {
  /**
   * Begins an invocation of a function with records of a stream.
   *
   * @returns what tells how it ended; undefined when no record is traced
   */
  invocation(batch: TracedBatch): ((failure: string | undefined) => void) | undefined
}

export interface TracedBatch {
  readonly streamName: string
  readonly shardId: string
  readonly functionName: string
  /** The UUID of the mapping. */
  readonly mapping: string
  readonly sequenceNumbers: readonly string[]
}
