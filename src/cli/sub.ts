import { Command, InvalidArgumentError } from 'commander'
import { parseQos, withBrokerOptions } from './mqtt/broker-options.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { parseCount } from './terminal/parse-count.ts'
import type { SubscribeOptions } from './mqtt/print-messages.ts'
import { withWillOptions } from './mqtt/will-options.ts'

export function subCommand(host: Host): Command {
  const command = new Command('sub')
    .description('print the messages of an MQTT broker as they arrive')
    .requiredOption('-t, --topic <filter...>', 'topic filters to subscribe to')
    .option('-q, --qos <n>', '0, 1 or 2: the most that it is sent with', parseQos, 1)
    .option('-i, --client-id <id>', 'client id (default: one that is made up)')
    .option('-c, --count <n>', 'stop after so many messages', parseCount)
    .option('-W, --timeout <seconds>', 'stop after so long', parseSeconds)
    .option('--no-retained', 'leave out what the broker had retained before')
  withWillOptions(withBrokerOptions(command))
    .option('--json', 'one JSON object a message', false)
    .option('--raw', 'payloads alone, byte for byte, each with a line feed behind it', false)
    .action(async (options: SubscribeOptions) => {
      const { printMessages } = await import('./mqtt/print-messages.ts')
      await printMessages(host, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'Ctrl-C ends it. Exit code 1 if the broker cannot be reached or refuses, with the reason; ' +
        '2 if fewer messages than --count came within --timeout.',
      'A JSON object has the members time, topic, qos, retain and payload; bytes that are no ' +
        'UTF-8 stand in payloadBase64 instead.',
    ],
    examples: [`sluice sub -t 'dt/#'`, `sluice sub -t 'alarms/+' --count 1 --timeout 10 --json`],
  })
}

/** The longest that a timer takes, about 24 days. */
const secondsMax = 2_147_483

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= secondsMax) return seconds
  throw new InvalidArgumentError(`"${text}" is not a number above 0 and up to ${secondsMax}.`)
}
