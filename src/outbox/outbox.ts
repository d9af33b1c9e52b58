/** Where records go. Records of one destination are delivered together and in order. */
export interface Destination {
  readonly region: string
  readonly streamName: string
  /** The role that the rule names; it is assumed to write. */
  readonly roleArn: string
}

/** A record that a rule's action gave for a message. */
export interface NewRecord {
  readonly destination: Destination
  readonly partitionKey: string
  readonly data: Buffer
  /** Whose record it is, for metrics and messages. */
  readonly ruleName: string
  /** `actions[<index>]` of that rule. */
  readonly actionIndex: number
}

/** What is accepted and not yet delivered, on disk. */
export interface Outbox {
  /**
   * Takes the records of one message, all or none, in the order of calls.
   *
   * Resolves when they are flushed to disk: only then may the message be acknowledged.
   * @throws SluiceError OutboxWriteFailed (rejects): none of them was taken
   */
  append(records: readonly NewRecord[]): Promise<void>
}
