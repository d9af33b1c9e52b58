/** The message that gave rise to a record: what its error action and a replay start from. */
export interface SourceMessage {
  /** Of its own for each message; all records of a message share it. */
  readonly messageId: string
  readonly topic: string
  readonly clientId?: string | undefined
  readonly traceId?: string | undefined
  readonly principal?: string | undefined
  /** When the message arrived, in epoch milliseconds. */
  readonly timestampMs: number
  /** The exact bytes; they must not change afterwards. */
  readonly payload: Buffer
  /** How often republish actions have sent it on; absent for a message of a device. */
  readonly republishDepth?: number | undefined
}
