/**
 * The batches that mappings with an on-failure destination give up: `<folder>/<mapping
 * UUID>.ndjson`, one invocation record on each line, in the form that Lambda sends to a destination
 * (Lambda Developer Guide, "Retain discarded batch records"). The file takes the place of the
 * queue, topic or bucket that the mapping names.
 *
 * Invariants: `write` resolves when the line is on disk; a file that has reached `fileBytesMax` is
 * renamed to `<mapping UUID>.1.ndjson`, which it replaces.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, rename } from 'node:fs/promises'
import path from 'node:path'
import { flushFolder } from '../storage/durable-file.ts'
import type { RecordRange } from './record-range.ts'

export type GiveUpCondition = 'RetryAttemptsExhausted' | 'RecordAgeExceeded'

/** A batch that was given up. */
interface GivenUpBatch {
  readonly condition: GiveUpCondition
  /** Of the last invocation; empty when the function was never invoked for these records. */
  readonly requestId: string
  readonly functionArn: string
  readonly invokeCount: number
  /** Null when the function returned, and reported records as failed. */
  readonly functionError?: string | null | undefined
  readonly shardId: string
  readonly streamArn: string
  readonly records: RecordRange
  /** The event, for buckets, which receive it too. */
  readonly payload?: string | undefined
}

export interface FailureFiles {
  write(uuid: string, document: object): Promise<void>
}

const fileBytesMax = 64 * 1024 * 1024

export function createFailureFiles(folder: string): FailureFiles {
  return {
    async write(uuid, document) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const name = path.join(folder, `${uuid}.ndjson`)
      const file = await open(name, 'a', 0o600)
      const line = Buffer.from(`${JSON.stringify(document)}\n`)
      let sizeBytes: number
      try {
        await file.appendFile(line)
        await file.datasync()
        sizeBytes = (await file.stat()).size
      } finally {
        await file.close()
      }
      const isFull = sizeBytes > fileBytesMax
      if (isFull) await rename(name, path.join(folder, `${uuid}.1.ndjson`))
      // The name of a file that this line began is not on disk until the folder is.
      if (isFull || sizeBytes === line.length) await flushFolder(folder)
    },
  }
}

/**
 * The document that Lambda sends. As recorded from AWS in 2025, records that are too old have no
 * response, and those for which the function was never invoked have a request id all the same.
 */
export function failureDocument(batch: GivenUpBatch, nowMs: number): object {
  const { first, last, count } = batch.records
  return {
    requestContext: {
      requestId: batch.requestId === '' ? randomUUID() : batch.requestId,
      functionArn: batch.functionArn,
      condition: batch.condition,
      approximateInvokeCount: Math.max(1, batch.invokeCount),
    },
    ...(batch.condition === 'RetryAttemptsExhausted' && {
      responseContext: {
        statusCode: 200,
        executedVersion: '$LATEST',
        functionError: batch.functionError ?? null,
      },
    }),
    version: '1.0',
    timestamp: isoOf(nowMs),
    KinesisBatchInfo: {
      shardId: batch.shardId,
      startSequenceNumber: first.sequenceNumber,
      endSequenceNumber: last.sequenceNumber,
      approximateArrivalOfFirstRecord: isoOf(first.approximateArrivalMs),
      approximateArrivalOfLastRecord: isoOf(last.approximateArrivalMs),
      batchSize: count,
      streamArn: batch.streamArn,
    },
    payload: batch.payload,
  }
}

const isoOf = (timeMs: number) => new Date(timeMs).toISOString()
