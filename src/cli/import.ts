import { Command } from 'commander'
import { parameterOption } from './rules/parameter-option.ts'
import type { ImportOptions } from './rules/import-rules.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function importCommand(host: Host): Command {
  const command = new Command('import')
    .description('write the rules of a stack template into a folder')
    .argument('<template>', 'CloudFormation, SAM, cdk.out, Serverless, or terraform show -json')
    .requiredOption('--out <folder>', 'folder of the rules to write')
    .addOption(parameterOption())
    .option('--force', 'write over rules that are there and differ', false)
    .action(async (template: string, options: ImportOptions) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      const { importRules } = await import('./rules/import-rules.ts')
      await importRules(host, template, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'What only a deployment knows gets a placeholder and is listed with file, resource and ' +
        'member, and with the name that --parameter takes: docs/STACK-TEMPLATES.md.',
      'Exit code 1 if a rule is not valid or could not be written; the others are written.',
    ],
    examples: ['sluice import template.yaml --out rules --parameter Stage=dev'],
  })
}
