import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import type {
  DeliverySettings,
  Destination,
  NewRecord,
  StreamDestination,
} from '../../src/outbox/outbox.ts'

export function destination(
  streamName: string,
  settings: Partial<DeliverySettings> = {},
): StreamDestination {
  return {
    kind: 'kinesis',
    region: 'us-east-1',
    streamName,
    credentials: { kind: 'role', roleArn: 'arn:aws:iam::000000000000:role/sluice-writes' },
    settings: { ...deliveryDefaults, ...settings },
  }
}

/** A record as `SELECT *` gives it: the payload as it came. */
export function newRecord(streamName: string, partitionKey: string, text: string): NewRecord {
  return newRecordFor(destination(streamName), partitionKey, text)
}

export function newRecordFor(to: Destination, partitionKey: string, text: string): NewRecord {
  const data = Buffer.from(text)
  return {
    destination: to,
    partitionKey,
    data,
    ruleName: 'telemetry',
    actionIndex: 0,
    source: { messageId: 'm', topic: 'a/b', timestampMs: 1_700_000_000_000, payload: data },
  }
}
