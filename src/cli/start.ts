import { Command } from 'commander'
import type { Host } from './host.ts'
import { runEngine } from './run-engine.ts'
import { variablesHelp } from './variables-help.ts'

export function startCommand(host: Host): Command {
  return new Command('start')
    .description('run the engine against AWS, or what AWS_ENDPOINT_URL_KINESIS and _STS name')
    .addHelpText(
      'after',
      `
The AWS SDK's own variables and files give region, credentials and endpoints. No stream is created.

Example:
  AWS_REGION=eu-central-1 SLUICE_RULES_DIR=/etc/sluice/rules sluice start

${variablesHelp('start')}`,
    )
    .action(() => runEngine(host, 'start'))
}
