/** What a device sent, and all that is known about the sending. Immutable once made. */
export interface Message {
  /** The topic that rules see: for Basic Ingest without its `$aws/rules/<rule>/` prefix. */
  readonly topic: string
  /** Basic Ingest: the one rule that this message is for. */
  readonly basicIngestRule?: string | undefined
  /** The exact bytes. They belong to the message: never a view of a reused buffer. */
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly transport: 'mqtt' | 'http'
  /** Absent when the message did not come over MQTT. */
  readonly clientId?: string | undefined
  readonly principal?: string | undefined
  readonly sourceIp?: string | undefined
  readonly traceId?: string | undefined
  /** When it arrived, in epoch milliseconds; what `timestamp()` gives. */
  readonly timestampMs: number
  readonly mqtt5?: Mqtt5Properties | undefined
  /** The only client that gets it, subscribed or not; no rule sees it. Absent: all subscribers. */
  readonly receiver?: string | undefined
  /** It was published to another broker, whose services answer what it requests. */
  readonly isFromUpstream?: true | undefined
  /** How many republish actions sent it on, one after the other. Absent: none did. */
  readonly republishDepth?: number | undefined
}

/** The connection or the request that a message came by. */
export interface MessageSender {
  /** It has gone, and nobody waits for an answer. */
  readonly closed: boolean
  /** Aborts when it goes before the answer: a message that waits for room is then dropped. */
  readonly signal?: AbortSignal | undefined
}

/** The PUBLISH properties of MQTT 5 that rules read or set. */
export interface Mqtt5Properties {
  readonly contentType?: string
  readonly payloadFormatIndicator?: 0 | 1
  readonly responseTopic?: string
  readonly correlationData?: Buffer
  readonly userProperties?: readonly (readonly [string, string])[]
  readonly messageExpirySeconds?: number
}

/** AWS IoT takes 128 KiB of payload, which an operator may change. */
export const payloadBytesMaxDefault = 131_072
