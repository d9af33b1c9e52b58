import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { withBrokerOptions } from './mqtt/broker-options.ts'
import type { SimulateOptions } from './mqtt/simulate-devices.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

const sampleFile = fileURLToPath(
  new URL('../../samples/environmental-telemetry.ndjson', import.meta.url),
)

export function simulateCommand(host: Host): Command {
  const command = withBrokerOptions(
    new Command('simulate')
      .description('publish recorded messages of three sensor arrays, as those devices')
      .option(
        '--rate <n|max>',
        'messages a second, of all devices together; "max": as fast as they are taken',
        parseRate,
        50,
      )
      .addOption(
        new Option(
          '--file <path>',
          'NDJSON file, one message with a "device" member a line',
        ).default(sampleFile, 'samples/environmental-telemetry.ndjson of this package'),
      )
      .option('--repeat', 'start again at the end of the file, until stopped', false),
  ).action(async (options: SimulateOptions) => {
    const { simulateDevices } = await import('./mqtt/simulate-devices.ts')
    await simulateDevices(host, options)
  })
  return addMoreHelp(command, host, {
    notes: [
      'Each message goes by QoS 1 to the topic env/<device>/telemetry, from the client id ' +
        '<device>. At the end it says how many messages each rule took, where the engine tells.',
    ],
    examples: [
      'sluice simulate                 # 50 messages a second',
      'sluice simulate --rate max      # as fast as they are acknowledged',
    ],
  })
}

function parseRate(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const rate = Number(text)
  if (rate > 0) return rate
  throw new InvalidArgumentError(`"${text}" is neither a number above 0 nor "max".`)
}
