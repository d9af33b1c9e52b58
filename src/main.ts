import { systemClock } from './base/clock.ts'
import { describeFailure } from './cli/terminal/host.ts'
import type { Host, Output } from './cli/terminal/host.ts'
import { createProgram } from './cli/program.ts'

/**
 * The process: command line -> command -> exit code. The only reader of process.env, the only place
 * that hears signals.
 */

const outputs = [createOutput(process.stdout), createOutput(process.stderr)] as const
let stopRequested: Promise<string> | undefined

const host: Host = {
  environment: process.env,
  // Asked for it is opened, and some commands never do.
  get stdin() {
    return process.stdin
  },
  stdout: outputs[0],
  stderr: outputs[1],
  stopRequested: () => (stopRequested ??= waitForStop()),
  leaveAws() {
    for (const name of Object.keys(process.env)) {
      if (name.startsWith('AWS_') && name !== 'AWS_REGION') delete process.env[name]
    }
    // The files that the AWS tools share name profiles, endpoints and credentials too.
    process.env['AWS_CONFIG_FILE'] = '/dev/null'
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
  },
  setExitCode(code) {
    process.exitCode = code
  },
  endWithin(graceMs) {
    // The timer does not keep a process that has nothing left to do.
    systemClock.after(graceMs, endAtOnce)
  },
}

/**
 * By a signal, whose default handler is in place again: `process.exit` waits for calls of the file
 * system, which may never return. The first process of a container does not obey the signal.
 */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGTERM')
  systemClock.after(1_000, () => process.exit())
}

/** Resolves with what asks for the end: a signal, or EPIPE when nobody reads the output. */
function waitForStop(): Promise<string> {
  const signals = ['SIGTERM', 'SIGINT'] as const
  return new Promise((resolve) => {
    const stop = (reason: string) => {
      // A second signal, of whichever kind, finds the default handler and ends the process at once.
      for (const signal of signals) process.off(signal, stop)
      resolve(reason)
    }
    for (const signal of signals) process.on(signal, stop)
    for (const { closed } of outputs) void closed.then(() => stop('EPIPE'))
  })
}

/**
 * A reader that goes away (`sluice tail x | head -1`) is a normal end: what is written from then on
 * is dropped, and the command ends in order, with the exit code that it gives.
 */
function createOutput(stream: NodeJS.WriteStream): Output & { readonly closed: Promise<void> } {
  let isClosed = false
  const closed = new Promise<void>((resolve) => {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      isClosed = true
      resolve()
    })
  })
  return {
    get isTTY() {
      return stream.isTTY
    },
    get columns() {
      return stream.columns
    },
    write: (text) => isClosed || stream.write(text),
    closed,
  }
}

try {
  await createProgram(host).parseAsync()
} catch (thrown) {
  host.stderr.write(describeFailure(thrown))
  process.exitCode = 1
}
