import { PutRecordsCommand } from '@aws-sdk/client-kinesis'
import type { KinesisClient } from '@aws-sdk/client-kinesis'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { consume } from '../../src/consumers/consume.ts'
import type { ConsumeOptions } from '../../src/consumers/consume.ts'
import type { ConsumedRecord } from '../../src/consumers/consumed-batch.ts'
import type { LabCall } from '../../src/lab/service/call-log.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'

export const access = (lab: { readonly port: number }) => ({
  region: 'us-east-1',
  endpoint: `http://127.0.0.1:${lab.port}`,
  credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
})

/** Waits a tenth of the time: for tests of what is waited out. */
export const hastyClock: Clock = {
  ...systemClock,
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 10, signal),
}

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const numbered = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => String(first + index))

/** Writes texts; the key of each is its last digit unless one is given. */
export async function putTexts(
  kinesis: KinesisClient,
  streamName: string,
  texts: readonly string[],
  keyOf: (text: string) => string = (text) => text.at(-1) ?? '',
): Promise<void> {
  for (let start = 0; start < texts.length; start += 500) {
    const part = texts.slice(start, start + 500)
    const { FailedRecordCount } = await kinesis.send(
      new PutRecordsCommand({
        StreamName: streamName,
        Records: part.map((text) => ({ PartitionKey: keyOf(text), Data: Buffer.from(text) })),
      }),
    )
    if (FailedRecordCount !== 0) throw new Error(`${FailedRecordCount} records failed`)
  }
}

export interface Collected {
  readonly records: readonly ConsumedRecord[]
  texts(): string[]
  /** Resolves when so many records have been handled. */
  handled(count: number): Promise<void>
  readonly add: (records: readonly ConsumedRecord[]) => void
}

export function createCollected(): Collected {
  const records: ConsumedRecord[] = []
  const waiting = new Set<() => void>()
  return {
    records,
    texts: () => records.map(({ data }) => data.toString()),
    handled: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (records.length < count) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    add(more) {
      records.push(...more)
      for (const look of waiting) look()
    },
  }
}

/** Resolves when the lab has answered so many calls of an operation. */
export async function answered(lab: LabServer, operation: string, count = 1): Promise<void> {
  const isSuch = (call: LabCall) => call.operation === operation
  while (lab.calls.list().filter(isSuch).length < count) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A consumer of the lab that collects what it gets; stopped when the test ends. */
export async function startConsumer(
  lab: { readonly port: number },
  options: Omit<ConsumeOptions, 'handler'> & Partial<Pick<ConsumeOptions, 'handler'>>,
) {
  const collected = createCollected()
  const consumer = await consume({
    ...access(lab),
    pollIntervalMs: 210,
    clock: hastyClock,
    handler: ({ records }) => collected.add(records),
    ...options,
  })
  onTestFinished(() => consumer.stop())
  return { consumer, ...collected }
}
