import { Command } from 'commander'
import { endpointNotes, endpointOption } from './engine/engine-api.ts'
import type { WatchOptions } from './engine/watch-messages.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function watchCommand(host: Host): Command {
  const command = new Command('watch')
    .description('show what becomes of messages, and why a rule does not match, as they come')
    .option('--topic <filter>', 'messages on these topics alone')
    .option('--client <id>', 'messages of this client alone')
    .option('--rule <name>', 'messages that concern this rule alone')
    .option('--payloads', 'show payloads too, which requires sluice:ReadPayloads', false)
    .option('--json', 'one JSON object an event', false)
    .option(...endpointOption)
    .action(async (options: WatchOptions) => {
      // Loaded when needed: `sluice --help` should not wait for it.
      const { watchMessages } = await import('./engine/watch-messages.ts')
      await watchMessages(host, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      ...endpointNotes,
      'More than 100 messages a second (1,000 with an option that selects) are left out and counted. Ctrl-C ends it.',
    ],
    examples: ["sluice watch --topic 'dt/#'", 'sluice watch --rule hot_devices --json'],
  })
}
