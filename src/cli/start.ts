import { Command } from 'commander'
import { addMoreHelp, variablesOfMode } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { addEngineOptions, runEngine } from './run-engine.ts'
import type { EngineOptions } from './run-engine.ts'

export function startCommand(host: Host): Command {
  const command = addEngineOptions(new Command('start'))
    .description('run the engine against AWS, or what AWS_ENDPOINT_URL_KINESIS and _STS name')
    .action((options: EngineOptions) => runEngine(host, 'start', options))
  return addMoreHelp(command, host, {
    notes: [
      "The AWS SDK's own variables and files give region, credentials and endpoints. No " +
        'stream is created.',
    ],
    examples: ['AWS_REGION=eu-central-1 SLUICE_RULES_DIR=/etc/sluice/rules sluice start'],
    variables: variablesOfMode('start'),
  })
}
