import { Command } from 'commander'
import { endpointNotes, endpointOption } from './engine/engine-api.ts'
import type { StatsOptions } from './engine/show-stats.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function statsCommand(host: Host): Command {
  const command = new Command('stats')
    .description('show what became of messages and records, and what waits, of a running engine')
    .argument('[rule]', 'one rule alone')
    .option('--json', 'one JSON object', false)
    .option(...endpointOption)
    .action(async (rule: string | undefined, options: StatsOptions) => {
      const { showStats } = await import('./engine/show-stats.ts')
      await showStats(host, rule, options)
    })
  return addMoreHelp(command, host, {
    notes: endpointNotes,
    examples: ['sluice stats', 'sluice stats hot_devices --json'],
  })
}
