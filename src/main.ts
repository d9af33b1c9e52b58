import { describeFailure } from './cli/host.ts'
import type { Host } from './cli/host.ts'
import { createProgram } from './cli/program.ts'

/**
 * The process: command line -> command -> exit code. The only reader of process.env, the only place
 * that hears signals.
 */

const host: Host = {
  environment: process.env,
  // Asked for it is opened, and some commands never do.
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  stopRequested: () =>
    new Promise((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        // `once`: a second signal finds the default handler and ends the process at once.
        process.once(signal, () => resolve(signal))
      }
    }),
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
}

// A reader that goes away (`sluice tail x | head -1`) is a normal end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await createProgram(host).parseAsync()
} catch (thrown) {
  process.stderr.write(describeFailure(thrown))
  process.exitCode = 1
}
