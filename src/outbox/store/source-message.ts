import type { Mqtt5Properties } from '../../message.ts'

/** The message that a record comes from. The error action and a replay start from it. */
export interface SourceMessage {
  /** Unique to the message; all its records share it. */
  readonly messageId: string
  readonly topic: string
  readonly clientId?: string | undefined
  readonly traceId?: string | undefined
  readonly principal?: string | undefined
  /** When the message arrived, in epoch milliseconds. */
  readonly timestampMs: number
  /** The exact bytes. They must not change afterwards. */
  readonly payload: Buffer
  /** How many republish actions sent the message on. Absent for a message of a device. */
  readonly republishDepth?: number | undefined
  /** What MQTT 5 adds to the message. */
  readonly mqtt5?: Mqtt5Properties | undefined
}
