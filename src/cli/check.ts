import { Command } from 'commander'
import type { Host } from './host.ts'

export function checkCommand(host: Host): Command {
  return new Command('check')
    .description('check the rules of a folder and run their tests')
    .argument('[dir]', 'folder of the rules (default: SLUICE_RULES_DIR, else ./rules)')
    .addHelpText(
      'after',
      `
Every <name>.json is compiled; every test of <name>.test.json is run on the engine's own path. Nothing is sent.
A test names the records and the republished messages that it expects: docs/ACTIONS.md.
Exit code 1 if a rule or a test is not good.

Example:
  sluice check rules/
`,
    )
    .action(async (directory: string | undefined) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      const { checkRules } = await import('./check-rules.ts')
      await checkRules(host, directory)
    })
}
