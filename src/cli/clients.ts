import { Command } from 'commander'
import { endpointNotes, endpointOption } from './engine/engine-api.ts'
import type { ClientsOptions } from './engine/show-clients.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { parseCount } from './terminal/parse-count.ts'

export function clientsCommand(host: Host): Command {
  const command = new Command('clients')
    .description('list the MQTT clients of a running engine, show one, and disconnect it')
    .argument('[clientId]', 'one client alone, with its subscriptions and rates')
    .option('--prefix <text>', 'only clients whose ids begin with this text')
    .option('--topic <topic>', 'only clients that are subscribed to this topic')
    .option('--limit <n>', 'at most this many', parseCount, 100)
    .option('--disconnect', 'end the connection of the client', false)
    .option('--json', 'one JSON object a line', false)
    .option(...endpointOption)
    .action(async (clientId: string | undefined, options: ClientsOptions) => {
      const { showClients } = await import('./engine/show-clients.ts')
      await showClients(host, clientId, options)
    })
  return addMoreHelp(command, host, {
    notes: endpointNotes,
    examples: [
      'sluice clients --topic dt/7/telemetry',
      'sluice clients sensor-7',
      'sluice clients sensor-7 --disconnect',
    ],
  })
}
