import { ServiceError } from '../wire/service-error.ts'

/** A registered consumer of a stream: what enhanced fan-out reads with. */
export interface Consumer {
  readonly name: string
  /** The stream's, the name, and when it was registered: a namesake has another. */
  readonly arn: string
  readonly createdMs: number
  readonly tags: Map<string, string>
  status: 'CREATING' | 'ACTIVE' | 'DELETING'
  /** By shard number: the last one that was granted. */
  readonly subscriptions: Map<number, Subscription>
}

export interface Subscription {
  readonly startedMs: number
  /** Tells the subscriber why, and ends it. Nothing happens when it has ended already. */
  end(reason: ServiceError): void
}

/** Ends what a consumer is subscribed to, because it is there no more. */
export function endSubscriptions(consumer: Consumer): void {
  const gone = `Consumer ${consumer.arn} was deregistered.`
  for (const subscription of consumer.subscriptions.values()) {
    subscription.end(new ServiceError('ResourceNotFoundException', gone))
  }
  consumer.subscriptions.clear()
}

const arnForm =
  /^(?<streamArn>arn:[^:]+:kinesis:[^:]*:\d{12}:stream\/[a-zA-Z0-9_.-]+)\/consumer\/(?<name>[a-zA-Z0-9_.-]+):(?<seconds>\d+)$/

/** The parts of a consumer's ARN; undefined for any other text. */
export function parseConsumerArn(
  arn: string,
): { readonly streamArn: string; readonly name: string; readonly seconds: number } | undefined {
  const { streamArn, name, seconds } = arnForm.exec(arn)?.groups ?? {}
  return streamArn && name ? { streamArn, name, seconds: Number(seconds) } : undefined
}
