import type { KinesisRecord } from '../consumers/shard-reader.ts'

/** What stands in every record of a mapping's events. */
export interface EventOrigin {
  readonly eventSourceArn: string
  readonly region: string
  /** Of the role that the function runs with. */
  readonly invokeIdentityArn: string
  readonly shardId: string
}

/** The window of an invocation, as Lambda tells it. */
export interface WindowOfEvent {
  readonly startMs: number
  readonly endMs: number
  readonly state: unknown
  readonly isFinal: boolean
  readonly isTerminatedEarly: boolean
}

/** The payload of a synchronous invocation (Lambda quotas: 6 MB). */
export const payloadBytesMax = 6 * 1024 * 1024

/**
 * The event of an invocation, in exactly the form that Lambda sends (Lambda Developer Guide, "Using
 * Lambda with Kinesis").
 *
 * @returns JSON text
 */
export function writeEvent(
  records: readonly KinesisRecord[],
  origin: EventOrigin,
  window?: WindowOfEvent,
): string {
  const Records = records.map((record) => eventRecordOf(record, origin))
  if (!window) return JSON.stringify({ Records })
  return JSON.stringify({
    Records,
    window: { start: secondsText(window.startMs), end: secondsText(window.endMs) },
    state: window.state,
    shardId: origin.shardId,
    eventSourceARN: origin.eventSourceArn,
    isFinalInvokeForWindow: window.isFinal,
    isWindowTerminatedEarly: window.isTerminatedEarly,
  })
}

function eventRecordOf(record: KinesisRecord, origin: EventOrigin) {
  return {
    kinesis: {
      kinesisSchemaVersion: '1.0',
      partitionKey: record.partitionKey,
      sequenceNumber: record.sequenceNumber,
      data: record.data.toString('base64'),
      // Seconds, with the milliseconds as decimals.
      approximateArrivalTimestamp: record.approximateArrivalMs / 1_000,
    },
    eventSource: 'aws:kinesis',
    eventVersion: '1.0',
    eventID: `${origin.shardId}:${record.sequenceNumber}`,
    eventName: 'aws:kinesis:record',
    invokeIdentityArn: origin.invokeIdentityArn,
    awsRegion: origin.region,
    eventSourceARN: origin.eventSourceArn,
  }
}

/** The bytes that a record takes in an event, at most. */
export function eventBytesOf(record: KinesisRecord, origin: EventOrigin): number {
  const data = 4 * Math.ceil(record.data.length / 3)
  const key = Buffer.byteLength(JSON.stringify(record.partitionKey))
  return data + key + 2 * record.sequenceNumber.length + fixedBytesOf(origin)
}

/** Names and quotes of the members, and what is the same in every record. */
const memberBytes = 400

const fixedBytesOf = ({ eventSourceArn, region, invokeIdentityArn, shardId }: EventOrigin) =>
  memberBytes + eventSourceArn.length + region.length + invokeIdentityArn.length + shardId.length

const secondsText = (timeMs: number) => new Date(timeMs).toISOString().replace('.000Z', 'Z')
