import { Command } from 'commander'
import type { Host } from './host.ts'
import { runEngine } from './run-engine.ts'
import { variablesHelp } from './variables-help.ts'

export function labCommand(host: Host): Command {
  return new Command('lab')
    .description('run the engine with a local Kinesis and STS; no AWS account is needed')
    .addHelpText(
      'after',
      `
It never leaves this machine: AWS endpoints, profiles and credentials of the environment are ignored.
Streams that the rules name exist from the start.

Example:
  SLUICE_MQTT_PORT=2883 sluice lab

${variablesHelp('lab')}`,
    )
    .action(async () => {
      host.leaveAws()
      await runEngine(host, 'lab')
    })
}
