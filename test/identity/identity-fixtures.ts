import { onTestFinished } from 'vitest'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import type { Logger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'
import { temporaryFolder as makeFolder } from '../helpers/sluice-process.ts'

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await makeFolder()
  onTestFinished(() => folder.remove())
  return folder.path
}

export interface WatchedLog {
  readonly clock: ManualClock
  readonly logger: Logger
  readonly lines: readonly Record<string, unknown>[]
  /** Lets one check of the files pass, and resolves with the line that it writes. */
  readonly nextLine: () => Promise<Record<string, unknown>>
}

export function createWatchedLog(): WatchedLog {
  const clock = createManualClock()
  const lines: Record<string, unknown>[] = []
  let seeLine: ((line: Record<string, unknown>) => void) | undefined
  const logger = createMemoryLogger((line) => {
    lines.push(line)
    seeLine?.(line)
  })
  return {
    clock,
    logger,
    lines,
    async nextLine() {
      const next = new Promise<Record<string, unknown>>((resolve) => {
        seeLine = resolve
      })
      clock.advance(1_000)
      return next
    },
  }
}
