import { Command } from 'commander'
import { parseQos, withBrokerOptions } from './mqtt/broker-options.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import type { PublishOptions } from './mqtt/publish-messages.ts'
import { withWillOptions } from './mqtt/will-options.ts'

export function pubCommand(host: Host): Command {
  const command = new Command('pub')
    .description('publish messages to an MQTT broker')
    .requiredOption('-t, --topic <topic>', 'topic to publish to')
    .option('-m, --message <text>', 'payload; an empty one clears what is retained')
    .option('-f, --file <path>', 'file with the payload')
    .option('-s, --stdin', 'all of standard input is the payload')
    .option('-l, --lines', 'each line of standard input is the payload of a message')
    .option('-q, --qos <n>', '0, 1 or 2', parseQos, 1)
    .option('-r, --retain', 'the broker keeps the message for later subscribers', false)
    .option('-i, --client-id <id>', 'client id (default: one that is made up)')
  withWillOptions(withBrokerOptions(command))
    .option('--json', 'print what was published as JSON', false)
    .action(async (options: PublishOptions) => {
      const { publishMessages } = await import('./mqtt/publish-messages.ts')
      await publishMessages(host, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'With QoS 1 and 2 it ends when the broker has acknowledged the message: its records are on ' +
        'disk then. Exit code 1 if the broker cannot be reached or refuses, with the reason.',
    ],
    examples: [
      `sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`,
      'sluice pub -t dt/7/telemetry -l < readings.ndjson',
      'sluice pub --ca certs/ca.pem --cert certs/devices/sensor-1.pem \\\n' +
        '    --key certs/devices/sensor-1-key.pem \\\n' +
        `    -t dt/sensor-1/telemetry -m '{"temp": 61.5}'`,
    ],
  })
}
