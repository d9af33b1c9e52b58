import type { KinesisRecord } from '../consumers/shard-reader.ts'

/** The members that all records of a mapping's events share. */
export interface EventSourceMembers {
  readonly eventSourceArn: string
  readonly region: string
  /** The ARN of the role that the function runs with. */
  readonly invokeIdentityArn: string
  readonly shardId: string
}

/** The window of an invocation, in Lambda's terms. */
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
 * The event of an invocation, in the exact form that Lambda sends (Lambda Developer Guide, "Using
 * Lambda with Kinesis").
 *
 * @returns JSON text
 */
export function writeEvent(
  records: readonly KinesisRecord[],
  origin: EventSourceMembers,
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

function eventRecordOf(record: KinesisRecord, origin: EventSourceMembers) {
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

/** An upper bound of the bytes that a record takes in an event. */
export function eventBytesOf(record: KinesisRecord, origin: EventSourceMembers): number {
  const data = 4 * Math.ceil(record.data.length / 3)
  const key = Buffer.byteLength(JSON.stringify(record.partitionKey))
  return data + key + 2 * record.sequenceNumber.length + fixedBytesOf(origin)
}

/** The names and quotes of the members, and the members that are the same in every record. */
const memberBytes = 400

const fixedBytesOf = ({ eventSourceArn, region, invokeIdentityArn, shardId }: EventSourceMembers) =>
  memberBytes + eventSourceArn.length + region.length + invokeIdentityArn.length + shardId.length

const secondsText = (timeMs: number) => new Date(timeMs).toISOString().replace('.000Z', 'Z')
