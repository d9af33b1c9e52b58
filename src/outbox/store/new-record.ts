import type { Destination } from './destination.ts'
import type { SourceMessage } from './source-message.ts'

/** A record that a rule's action gave for a message. */
export interface NewRecord {
  readonly destination: Destination
  readonly partitionKey: string
  /** Decimal, 0 to 2^128 - 1: chooses the shard in place of the partition key. */
  readonly explicitHashKey?: string
  readonly data: Buffer
  /** Whose record it is, for the ledger and for messages. */
  readonly ruleName: string
  /** `actions[<index>]` of that rule; `errorActionIndex` for its error action. */
  readonly actionIndex: number
  readonly source: SourceMessage
}

/** Stands for a rule's error action where an action's index does. */
export const errorActionIndex = -1

/** What metrics call an action: its index, or `errorAction`. */
export function actionLabel(actionIndex: number): string {
  return actionIndex === errorActionIndex ? 'errorAction' : String(actionIndex)
}
