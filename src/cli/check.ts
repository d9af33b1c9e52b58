import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { CheckRulesOptions } from './rules/check-rules.ts'
import { parameterOption } from './rules/parameter-option.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

interface CheckOptions extends CheckRulesOptions {
  readonly parameter: ReadonlyMap<string, string>
}

export function checkCommand(host: Host): Command {
  const command = new Command('check')
    .description('check the rules of a folder and run their tests')
    .argument(
      '[dir]',
      'folder of the rules (default: SLUICE_RULES_DIR, else ./rules), or a template',
    )
    .addOption(parameterOption())
    .option('--json', 'one JSON document instead of lines; of a folder', false)
    .option('--junit <file>', "write JUnit's XML for a CI server; of a folder")
    .action(async (directory: string | undefined, { parameter, ...options }: CheckOptions) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      if (directory !== undefined && (await isFile(directory))) {
        const { checkTemplate } = await import('./rules/import-rules.ts')
        await checkTemplate(host, directory, parameter)
        return
      }
      const { checkRules } = await import('./rules/check-rules.ts')
      await checkRules(host, directory, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'Every <name>.json is compiled, and every test of <name>.test.json is run on the path ' +
        'of the engine. Nothing is sent. A test names the records, the republished ' +
        'messages and the calls that it expects: docs/ACTIONS.md.',
      'A file is read as a stack template, whose rules are compiled: docs/STACK-TEMPLATES.md.',
      'Exit code 1 if a rule or a test has a problem, or when there is no rule. In GitHub ' +
        'Actions (GITHUB_ACTIONS=true) problems are annotations as well.',
    ],
    examples: ['sluice check rules/', 'sluice check rules/ --junit report.xml'],
  })
}

/** A rule folder is checked by its files, and a template is one file. */
async function isFile(name: string): Promise<boolean> {
  const found = await stat(name).catch(() => undefined)
  return found?.isFile() === true
}
