import { ServiceError } from '../wire/service-error.ts'

/** A registered consumer of a stream, for enhanced fan-out. */
export interface FanOutConsumer {
  readonly name: string
  /** Made of the stream's ARN, the name, and the time of registration, so it is never reused. */
  arn: string
  readonly createdMs: number
  readonly tags: Map<string, string>
  /** The resource policy as it was put. */
  policy: string | undefined
  status: 'CREATING' | 'ACTIVE' | 'DELETING'
  /** The last granted subscription, by shard number. */
  readonly subscriptions: Map<number, Subscription>
}

export interface Subscription {
  readonly startedMs: number
  /** Sends the reason and ends the subscription; does nothing after its end. */
  end(reason: ServiceError): void
}

/** Ends all subscriptions of a consumer that was deregistered. */
export function endSubscriptions(consumer: FanOutConsumer): void {
  const gone = `Consumer ${consumer.arn} was deregistered.`
  for (const subscription of consumer.subscriptions.values()) {
    subscription.end(new ServiceError('ResourceNotFoundException', gone))
  }
  consumer.subscriptions.clear()
}

/** The number at the end of a consumer's ARN. */
export const secondsOf = (consumerArn: string) => parseConsumerArn(consumerArn)?.seconds ?? 0

const arnForm =
  /^(?<streamArn>arn:[^:]+:kinesis:[^:]*:\d{12}:stream\/[a-zA-Z0-9_.-]+)\/consumer\/(?<name>[a-zA-Z0-9_.-]+):(?<seconds>\d+)$/

/** @returns the parts of a consumer's ARN; undefined for any other text */
export function parseConsumerArn(
  arn: string,
): { readonly streamArn: string; readonly name: string; readonly seconds: number } | undefined {
  const { streamArn, name, seconds } = arnForm.exec(arn)?.groups ?? {}
  return streamArn && name ? { streamArn, name, seconds: Number(seconds) } : undefined
}
