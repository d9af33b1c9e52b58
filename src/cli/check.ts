import { Command } from 'commander'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function checkCommand(host: Host): Command {
  const command = new Command('check')
    .description('check the rules of a folder and run their tests')
    .argument('[dir]', 'folder of the rules (default: SLUICE_RULES_DIR, else ./rules)')
    .action(async (directory: string | undefined) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      const { checkRules } = await import('./rules/check-rules.ts')
      await checkRules(host, directory)
    })
  return addMoreHelp(command, host, {
    notes: [
      'Every <name>.json is compiled, and every test of <name>.test.json is run on the path ' +
        'of the engine. Nothing is sent. A test names the records and the republished ' +
        'messages that it expects: docs/ACTIONS.md.',
      'Exit code 1 if a rule or a test has a problem.',
    ],
    examples: ['sluice check rules/'],
  })
}
