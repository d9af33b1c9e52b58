import { Command } from 'commander'
import { checkCommand } from './cli/check.ts'
import { evaluateCommand } from './cli/evaluate.ts'
import { describeFailure } from './cli/host.ts'
import type { Host } from './cli/host.ts'
import { kinesisCommand } from './cli/kinesis.ts'
import { labCommand } from './cli/lab.ts'
import { simulateCommand } from './cli/simulate.ts'
import { startCommand } from './cli/start.ts'
import { tailCommand } from './cli/tail.ts'
import { version } from './version.ts'

/**
 * The process: command line -> command -> exit code. The only reader of process.env, the only place
 * that hears signals.
 */

// The AWS SDK says at each start which Node a release after January 2027 will want. The README
// recommends it; a line on every command does not help.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

const host: Host = {
  environment: process.env,
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
      if (name.startsWith('AWS_') && !keptInLab.has(name)) delete process.env[name]
    }
    // The shared files of the AWS tools name profiles, endpoints and credentials too.
    process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
  },
  setExitCode(code) {
    process.exitCode = code
  },
}
const keptInLab = new Set(['AWS_REGION', 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'])

const program = new Command('sluice')
  .description('AWS IoT rules between MQTT devices and Amazon Kinesis')
  .version(version)
  .showHelpAfterError('(sluice --help tells more)')
  .addHelpText('after', '\nTo begin: sluice lab')

for (const command of [
  labCommand,
  startCommand,
  kinesisCommand,
  simulateCommand,
  checkCommand,
  evaluateCommand,
  tailCommand,
]) {
  program.addCommand(command(host))
}

// A reader that goes away (`sluice tail x | head -1`) is a normal end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (thrown) {
  process.stderr.write(describeFailure(thrown))
  process.exitCode = 1
}
