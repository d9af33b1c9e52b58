import { targetOf } from '../../src/outbox/outbox.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import type {
  RecordToGiveUp,
  Outbox,
  OutboxOptions,
  QueuedRecord,
} from '../../src/outbox/outbox.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { Metrics } from '../../src/telemetry/telemetry.ts'

export { destination, newRecord, newRecordFor } from './records.ts'

/** A folder of the running test's own, removed when it ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface OpenedOutbox {
  readonly outbox: Outbox
  readonly metrics: Metrics
  readonly lines: readonly Record<string, unknown>[]
}

export async function openTestOutbox(
  directory: string,
  options: OutboxOptions = {},
  clock: Clock = systemClock,
): Promise<OpenedOutbox> {
  const metrics = createMetrics()
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const outbox = await openOutbox({ directory, metrics, logger, clock }, options)
  return { outbox, metrics, lines }
}

/** Limits that nothing in a test reaches. */
export const everything = { countMax: 1_000_000, bytesMax: 1_000_000_000 }

/** The id that the outbox gave to a stream's destination; 0, which holds nothing, when unknown. */
export function idOf(outbox: Outbox, streamName: string): number {
  const found = outbox.destinations().find((entry) => targetOf(entry.destination) === streamName)
  return found?.id ?? 0
}

/** What waits for a stream, as text, in order. */
export function textsOf(outbox: Outbox, streamName: string): string[] {
  return outbox
    .read(idOf(outbox, streamName), 0, everything)
    .map(({ data }) => data.toString('utf8'))
}

/** A record as the producer gives it up. */
export function givenUp(record: QueuedRecord, given: Partial<RecordToGiveUp> = {}): RecordToGiveUp {
  const reason = { code: 'ResourceNotFoundException', message: 'no such stream' }
  return { record, reason, attempts: 3, firstMs: 1_000, lastMs: 2_000, ...given }
}
