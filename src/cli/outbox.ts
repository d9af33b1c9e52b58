import path from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import type { SalvageResult } from '../outbox/store/salvage.ts'
import { lockDataFolder } from '../storage/data-folder.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function outboxCommand(host: Host): Command {
  const command = new Command('outbox')
    .description('verify, export and repair the outbox of a data folder that no engine uses')
    .addCommand(verifyCommand(host))
    .addCommand(exportCommand(host))
    .addCommand(repairCommand(host))
  return addMoreHelp(command, host, {
    notes: [],
    examples: ['sluice outbox verify data', 'sluice outbox repair data'],
  })
}

const folder = ['<folder>', 'the data folder (SLUICE_DATA_DIR)'] as const

function verifyCommand(host: Host): Command {
  const command = new Command('verify')
    .description('read the whole file of the outbox, and tell what is damaged')
    .argument(...folder)
    .action((directory: string) => verify(host, directory))
  return addMoreHelp(command, host, {
    notes: ['Exit code 1 if anything is damaged. Nothing is changed.'],
    examples: ['sluice outbox verify data'],
  })
}

function exportCommand(host: Host): Command {
  const command = new Command('export')
    .description('print the records and the dead letters that can be read, one JSON object a line')
    .argument(...folder)
    .action((directory: string) => exportRows(host, directory))
  return addMoreHelp(command, host, {
    notes: ['Damaged rows are printed as they are. Nothing is changed.'],
    examples: ['sluice outbox export data > outbox.ndjson'],
  })
}

function repairCommand(host: Host): Command {
  const command = new Command('repair')
    .description('keep what can be read in a new file, and the damaged file beside it')
    .argument(...folder)
    .action((directory: string) => repair(host, directory))
  return addMoreHelp(command, host, {
    notes: ['Damaged rows go to quarantine/outbox.ndjson of the data folder.'],
    examples: ['sluice outbox repair data'],
  })
}

async function verify(host: Host, given: string): Promise<void> {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { verifyOutbox } = await import('../outbox/repair.ts')
  const result = await withLock(given, (directory) => verifyOutbox(directory))
  const { file, records, deadLetters } = result
  host.stdout.write(`${file}: ${records} records and ${deadLetters} dead letters can be read\n`)
  if (!reportDamage(host, result)) host.stdout.write('nothing is damaged\n')
}

async function exportRows(host: Host, given: string): Promise<void> {
  const { exportOutbox } = await import('../outbox/repair.ts')
  const result = await withLock(given, (directory) =>
    exportOutbox(directory, (line) => host.stdout.write(`${line}\n`)),
  )
  reportDamage(host, result)
}

async function repair(host: Host, given: string): Promise<void> {
  const { repairOutbox } = await import('../outbox/repair.ts')
  const { createLogger } = await import('../telemetry/logger.ts')
  const logger = await createLogger('silent', { pretty: false })
  const result = await withLock(given, (directory) =>
    repairOutbox(directory, { clock: systemClock, logger }),
  )
  const { file, records, deadLetters, keptAs } = result
  if (keptAs === undefined) {
    host.stdout.write(`${file}: nothing is damaged\n`)
    return
  }
  host.stdout.write(
    `${file}: ${records} records and ${deadLetters} dead letters are kept\n` +
      `${result.damagedRows} damaged rows are in quarantine\n` +
      `the damaged file is ${keptAs}\n`,
  )
}

async function withLock<Result>(
  given: string,
  act: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = path.resolve(given)
  const release = await lockDataFolder(directory)
  try {
    return await act(directory)
  } finally {
    release()
  }
}

/** Tells what is damaged, with exit code 1. */
function reportDamage(host: Host, { faults, faultCount, damagedRows }: SalvageResult): boolean {
  if (faultCount + damagedRows === 0) return false
  for (const fault of faults) host.stderr.write(`${fault}\n`)
  if (faultCount > faults.length) host.stderr.write(`and ${faultCount - faults.length} more\n`)
  if (damagedRows > 0) host.stderr.write(`${damagedRows} rows do not fit their checksums\n`)
  host.setExitCode(1)
  return true
}
