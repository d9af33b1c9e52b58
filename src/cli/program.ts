import { Command } from 'commander'
import { version } from '../base/version.ts'
import { certsCommand } from './certs.ts'
import { clusterCommand } from './cluster.ts'
import { checkCommand } from './check.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { evaluateCommand } from './evaluate.ts'
import { importCommand } from './import.ts'
import { configureHelp } from './terminal/help.ts'
import { healthCommand } from './health.ts'
import type { Host } from './terminal/host.ts'
import { keysCommand } from './keys.ts'
import { kinesisCommand } from './kinesis.ts'
import { labCommand } from './lab.ts'
import { outboxCommand } from './outbox.ts'
import { passwdCommand } from './passwd.ts'
import { policiesCommand } from './policies.ts'
import { pubCommand } from './pub.ts'
import { simulateCommand } from './simulate.ts'
import { startCommand } from './start.ts'
import { clientsCommand } from './clients.ts'
import { statsCommand } from './stats.ts'
import { subCommand } from './sub.ts'
import { tailCommand } from './tail.ts'
import { watchCommand } from './watch.ts'
import { warnOfUnknownVariables } from './terminal/unknown-variables.ts'

/** The command line of `sluice`. */
export function createProgram(host: Host): Command {
  const program = new Command('sluice')
    .description('AWS IoT rules between MQTT devices and Amazon Kinesis')
    .version(version)
    .addHelpText('after', '\nTo begin, without any account: sluice lab')
  const commands = [
    labCommand,
    startCommand,
    kinesisCommand,
    pubCommand,
    subCommand,
    simulateCommand,
    checkCommand,
    importCommand,
    evaluateCommand,
    tailCommand,
    watchCommand,
    statsCommand,
    clientsCommand,
    deadLettersCommand,
    healthCommand,
    keysCommand,
    passwdCommand,
    policiesCommand,
    certsCommand,
    outboxCommand,
    clusterCommand,
  ]
  for (const command of commands) program.addCommand(command(host))
  configureHelp(program, host)
  warnOfUnknownVariables(program, host)
  return program
}
