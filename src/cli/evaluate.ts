import { Command, Option } from 'commander'
import type { EvaluateOptions } from './rules/evaluate-statement.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function evaluateCommand(host: Host): Command {
  const command = new Command('evaluate')
    .description('try a statement on a message; nothing is sent')
    .requiredOption('--sql <statement>', 'the statement of the rule')
    .requiredOption('--topic <topic>', 'topic of the message')
    .option('--payload <text>', 'payload of the message', '')
    .option('--client-id <id>', 'MQTT client id of the sender')
    .option('--template <text...>', 'templates to expand on the message', [])
    .addOption(
      new Option('--sql-version <version>', 'awsIotSqlVersion of the rule')
        .choices(['2015-10-08', '2016-03-23', 'beta'])
        .default('2016-03-23'),
    )
    .action(async (options: EvaluateOptions) => {
      // Loaded when needed: `sluice --help` should not wait for the language.
      const { evaluateStatement } = await import('./rules/evaluate-statement.ts')
      await evaluateStatement(host, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      "It prints what the rule's actions would get, byte for byte. Exit code 2 when the rule " +
        'does not match.',
    ],
    examples: [
      `sluice evaluate --sql "SELECT temp FROM 'dt/+/x' WHERE temp > 50" \\
    --topic dt/7/x --payload '{"temp": 61.5}'`,
    ],
  })
}
