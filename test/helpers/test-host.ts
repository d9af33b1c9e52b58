import { Readable } from 'node:stream'
import type { Host, Input } from '../../src/cli/terminal/host.ts'

/** A host for commands under test: collects what is written, stops when told. */
export function createTestHost(
  environment: Record<string, string> = {},
  stdin: Input = Readable.from([]),
): Host & {
  readonly written: { stdout: string; stderr: string }
  exitCode(): number
  stop(): void
} {
  const written = { stdout: '', stderr: '' }
  let exitCode = 0
  const stopping = new AbortController()
  const stopped = new Promise<string>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve('SIGTERM'))
  })
  return {
    environment,
    written,
    stdin,
    stdout: { write: (text) => void (written.stdout += text) },
    stderr: { write: (text) => void (written.stderr += text) },
    stopRequested: () => stopped,
    leaveAws: () => {},
    setExitCode: (code) => {
      exitCode = code
    },
    endWithin: () => {},
    exitCode: () => exitCode,
    stop: () => stopping.abort(),
  }
}
