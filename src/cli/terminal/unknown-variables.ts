import type { Command } from 'commander'
import { variables } from '../../config/config.ts'
import { closestName } from '../../base/closest-name.ts'
import type { Environment } from '../../config/variable.ts'
import type { Host } from './host.ts'

/** These write a log, and tell it there. */
const loggingCommands = new Set(['lab', 'start', 'kinesis'])

/** @returns one line for each `SLUICE_*` variable that Sluice does not read, with the likely one */
export function unknownVariables(environment: Environment): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('SLUICE_') && environment[name] && !(name in variables))
    .toSorted()
    .map((name) => {
      const likely = closestName(name, Object.keys(variables))
      const advice = likely === undefined ? 'docs/CONFIG.md lists them all' : `is it ${likely}?`
      return `${name} is set, and Sluice has no such variable: ${advice}`
    })
}

/** A variable that is misspelt would change nothing, in silence. */
export function warnOfUnknownVariables(program: Command, host: Host): void {
  program.hook('preAction', (_program, command) => {
    if (loggingCommands.has(command.name())) return
    for (const line of unknownVariables(host.environment)) host.stderr.write(`${line}\n`)
  })
}
