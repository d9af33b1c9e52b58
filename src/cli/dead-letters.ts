import { Command } from 'commander'
import { endpointNotes, endpointOption } from './engine/engine-api.ts'
import type { ListOptions, ReplayOptions, SelectedOptions } from './engine/manage-dead-letters.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { parseCount } from './terminal/parse-count.ts'

export function deadLettersCommand(host: Host): Command {
  const command = new Command('dead-letters')
    .description('list, show, replay and delete the dead letters of a running engine')
    .addCommand(listCommand(host))
    .addCommand(showCommand(host))
    .addCommand(replayCommand(host))
    .addCommand(deleteCommand(host))
  return addMoreHelp(command, host, {
    notes: endpointNotes,
    examples: ['sluice dead-letters list', 'sluice dead-letters replay --rule hot_devices'],
  })
}

// Loaded when needed: `sluice --help` should not wait for it.
const actions = () => import('./engine/manage-dead-letters.ts')

function listCommand(host: Host): Command {
  const command = new Command('list')
    .description('list dead letters, the oldest first')
    .option('--rule <name>', 'those of this rule alone')
    .option('--limit <n>', 'at most this many', parseCount, 100)
    .option('--json', 'one JSON object a line, with all that is known', false)
    .option(...endpointOption)
    .action(async (options: ListOptions) => (await actions()).listDeadLetters(host, options))
  return addMoreHelp(command, host, {
    notes: endpointNotes,
    examples: ['sluice dead-letters list --rule hot_devices --limit 20'],
  })
}

function showCommand(host: Host): Command {
  const command = new Command('show')
    .description('show a dead letter: why, what was to be sent, and the message that it comes from')
    .argument('<id>', 'as `sluice dead-letters list` prints it')
    .option('--json', 'as one JSON object', false)
    .option(...endpointOption)
    .action(async (id: string, options: SelectedOptions) =>
      (await actions()).showDeadLetter(host, id, options),
    )
  return addMoreHelp(command, host, {
    notes: endpointNotes,
    examples: ['sluice dead-letters show 17'],
  })
}

function replayCommand(host: Host): Command {
  const command = new Command('replay')
    .description('send dead letters again, in order')
    .argument('[ids...]', 'these; else those of --rule, or all with --all')
    .option('--rule <name>', 'all of this rule')
    .option('--all', 'all that there are', false)
    .option(
      '--as-is',
      'the record as it was, instead of what the rule makes of the message now',
      false,
    )
    .option(...endpointOption)
    .action(async (ids: string[], options: ReplayOptions) => {
      const given = [ids.length > 0, options.rule !== undefined, options.all].filter(Boolean)
      if (given.length !== 1) command.error('error: give ids, or --rule, or --all')
      await (await actions()).replayDeadLetters(host, ids, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      ...endpointNotes,
      'What the rule makes nothing of stays a dead letter, and is counted as kept.',
    ],
    examples: ['sluice dead-letters replay 17 18', 'sluice dead-letters replay --rule hot_devices'],
  })
}

function deleteCommand(host: Host): Command {
  const command = new Command('delete')
    .description('delete dead letters for good')
    .argument('<ids...>', 'as `sluice dead-letters list` prints them')
    .option(...endpointOption)
    .action(async (ids: string[], options: SelectedOptions) =>
      (await actions()).deleteDeadLetters(host, ids, options),
    )
  return addMoreHelp(command, host, {
    notes: [...endpointNotes, 'They are lost then; the ledger counts them as dropped.'],
    examples: ['sluice dead-letters delete 17'],
  })
}
