import type { Readable } from 'node:stream'
import { styleText } from 'node:util'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { printable } from '../../telemetry/printable.ts'

/** What a command sees of the process, so that none but main.ts touches it. */
export interface Host {
  /** The environment variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  /**
   * Resolves with the signal's name at the first SIGTERM or SIGINT, or with `EPIPE` when nobody
   * reads the output any more. A second signal ends the process.
   */
  stopRequested(): Promise<string>
  /** Takes AWS's variables and files from this process, so that a lab never leaves the machine. */
  leaveAws(): void
  setExitCode(code: number): void
  /** Ends the process after a while, whatever still keeps it; it may end by itself before. */
  endWithin(graceMs: number): void
}

/** `isTTY` where a person types. */
export type Input = Readable & { readonly isTTY?: boolean }

export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string | Uint8Array): unknown
}

/** One line that says which and why; a fault of Sluice itself brings its stack. */
export function describeFailure(thrown: unknown): string {
  if (thrown instanceof SluiceError) return `sluice: ${printable(thrown.message)}\n`
  const stack = thrown instanceof Error ? thrown.stack : undefined
  return `sluice: ${printable(stack ?? messageOf(thrown))}\n`
}

/** What a stage that did not start in time may still need to let go of the process. */
export const endGraceMs = 1_000

/** Whether a start was given up because the signal aborted. */
export function isAbort(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && thrown instanceof Error && thrown.name === 'AbortError'
}

/** Colours text where a person watches. */
export function paint(
  output: Output,
  style: Parameters<typeof styleText>[0],
  text: string,
): string {
  return output.isTTY ? styleText(style, text) : text
}
