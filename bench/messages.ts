/** What the processes of a benchmark say to one another. */

export interface LoadRequest {
  readonly port: number
  readonly connections: number
  /** Unanswered PUBLISHes of a connection, kept full; for QoS 0 what is written at a time. */
  readonly window: number
  readonly qos: 0 | 1
  /** Absent: MQTT 3.1.1. */
  readonly version?: 5
  readonly payloadBytes: number
  /** Messages a second of all connections together; absent for as many as are taken. */
  readonly rate?: number
  /** How many messages are sent before the figures begin, and for how long they are then taken. */
  readonly warmUpMs: number
  readonly measureMs: number
}

/** Latencies in microseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface LoadReport {
  /** Sent and, at QoS 1, acknowledged, warming up included. */
  readonly messages: number
  /** Of those, in the measured time. */
  readonly measured: number
  readonly measuredMs: number
  readonly puback: Latency | undefined
}

/** The load generator says `measuring` when it has warmed up, and `report` at the end. */
export type LoadAnswer =
  { readonly kind: 'measuring' } | { readonly kind: 'report'; readonly report: LoadReport }

/**
 * `count`: what came so far; `reset`: forgets the latencies; `mode`: takes records or refuses all.
 */
export type SinkRequest =
  | { readonly kind: 'count' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'mode'; readonly accepts: boolean }

export type SinkAnswer =
  | { readonly kind: 'listening'; readonly port: number }
  | {
      readonly kind: 'count'
      readonly records: number
      readonly calls: number
      /**
       * From the writing of the PUBLISH to the answer of PutRecords, of one record of each call.
       */
      readonly latency: Latency | undefined
    }

export type FloorKind = 'aedes' | 'mqtt-packet' | 'bytes'

/** Actions whose delivery is measured. */
export type ActionKind = 'kinesis' | 'sqs' | 'firehose'

/** Asks the engine for its memory after a collection. */
export interface IdleRequest {
  /** A snapshot of the heap is written to this file before that. */
  readonly snapshot?: string | undefined
}

/** In bytes: the heap with what buffers hold outside of it, and the whole process. */
export interface IdleAnswer {
  readonly bytes: number
  readonly rss: number
}
