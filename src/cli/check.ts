import { Command } from 'commander'
import type { CheckRulesOptions } from './rules/check-rules.ts'
import { parameterOption } from './rules/parameter-option.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function checkCommand(host: Host): Command {
  const command = new Command('check')
    .description('check rules and run their tests')
    .argument(
      '[paths...]',
      'folders of rules, rule files, globs and stack templates (default: SLUICE_RULES_DIR, else ./rules)',
    )
    .addOption(parameterOption())
    .option('--json', 'one JSON document instead of lines', false)
    .option('--junit <file>', "write JUnit's XML for a CI server")
    .action(async (paths: readonly string[], options: CheckRulesOptions) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      const { checkRules } = await import('./rules/check-rules.ts')
      await checkRules(host, paths, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'Every <name>.json is compiled, and every test of <name>.test.json is run on the path ' +
        'of the engine. Nothing is sent. A test names the records, the republished ' +
        'messages and the calls that it expects: docs/ACTIONS.md.',
      'A stack template is told by what it holds: docs/STACK-TEMPLATES.md. The tests of its ' +
        'rules stand beside it, or are named in the same call.',
      'Exit code 1 if a rule, a test or a path has a problem, or when there is no rule. In ' +
        'GitHub Actions (GITHUB_ACTIONS=true) problems are annotations as well.',
    ],
    examples: [
      'sluice check rules/',
      "sluice check 'services/**/rules/*.json' template.yaml --junit report.xml",
    ],
  })
}
