import { Command } from 'commander'
import { addMoreHelp, variablesOfMode } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { addEngineOptions, runEngine } from './run-engine.ts'
import type { EngineOptions } from './run-engine.ts'
import { parameterOption } from './rules/parameter-option.ts'

interface LabOptions extends EngineOptions {
  readonly template: readonly string[]
  readonly parameter: ReadonlyMap<string, string>
}

export function labCommand(host: Host): Command {
  const command = addEngineOptions(new Command('lab'))
    .description('run the engine with a local Kinesis and STS; no AWS account is needed')
    .option(
      '--template <file-or-folder>',
      'runs what a stack template defines, and follows its changes; as often as needed',
      (given: string, before: readonly string[]) => [...before, given],
      [],
    )
    .addOption(parameterOption())
    .action(async ({ template: paths, parameter: parameters, ...options }: LabOptions) => {
      host.leaveAws()
      await runEngine(host, 'lab', { ...options, templates: { paths, parameters } })
    })
  return addMoreHelp(command, host, {
    notes: [
      'It never leaves this machine: AWS endpoints, profiles and credentials of the ' +
        'environment are ignored. SLUICE_LAB_AWS_ENDPOINT_URL names an emulator on loopback. Streams that the rules name exist from the start.',
    ],
    examples: ['SLUICE_MQTT_PORT=2883 sluice lab', 'sluice lab --template template.yaml'],
    variables: variablesOfMode('lab'),
  })
}
