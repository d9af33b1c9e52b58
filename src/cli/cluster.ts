import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { loadConfig } from '../config/config.ts'
import type { ClusterState } from '../cluster/state/cluster-state.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function clusterCommand(host: Host): Command {
  const command = new Command('cluster')
    .description('move rules, policies and identities between a folder and a cluster on NATS')
    .addCommand(importCommand(host))
    .addCommand(exportCommand(host))
  return addMoreHelp(command, host, {
    notes: [
      'A folder has rules/, policies/, passwords, credentials.json, registry/things/ and ' +
        'registry/certificates/, as the files of one engine do. What is not there is passed over.',
    ],
    examples: ['sluice cluster import ./from-one-engine', 'sluice cluster export ./copy'],
  })
}

interface MoveOptions {
  readonly force: boolean
  readonly dryRun: boolean
}

function importCommand(host: Host): Command {
  const command = new Command('import')
    .description('write what a folder holds into the cluster of SLUICE_NATS_URL')
    .argument('<folder>', 'the folder')
    .option('--dry-run', 'tell what would be written, and write nothing', false)
    .option('--force', 'write over what is there and differs', false)
    .action((folder: string, options: MoveOptions) =>
      withCluster(host, async (state) => {
        const { importFolder } = await import('./cluster/move-state.ts')
        await importFolder({ state, print: printerOf(host) }, { folder, ...options })
      }),
    )
  return addMoreHelp(command, host, {
    notes: [
      'Nothing is written when a file cannot be used, or when something differs without --force. ' +
        'What the cluster has besides stays.',
    ],
    examples: ['sluice cluster import ./from-one-engine --dry-run'],
  })
}

function exportCommand(host: Host): Command {
  const command = new Command('export')
    .description('write what the cluster of SLUICE_NATS_URL holds into a folder')
    .argument('<folder>', 'a folder that is new or empty')
    .option('--force', 'write over the files of a folder that is not empty', false)
    .action((folder: string, options: Pick<MoveOptions, 'force'>) =>
      withCluster(host, async (state) => {
        const { exportFolder } = await import('./cluster/move-state.ts')
        await exportFolder({ state, print: printerOf(host) }, { folder, ...options })
      }),
    )
  return addMoreHelp(command, host, {
    notes: ['Passwords and access keys are written with mode 600.'],
    examples: ['sluice cluster export ./copy'],
  })
}

const printerOf = (host: Host) => (line: string) => void host.stdout.write(`${line}\n`)

/** How long a command waits for servers. */
const openMsMax = 15_000

/** @throws SluiceError ConfigInvalid, ServiceUnavailableException (rejects) */
async function withCluster(
  host: Host,
  work: (state: ClusterState) => Promise<void>,
): Promise<void> {
  const { cluster, region } = loadConfig(host.environment, 'start')
  if (!cluster) {
    throw new SluiceError('ConfigInvalid', 'SLUICE_NATS_URL is not set: it names the cluster')
  }
  // Loaded when needed: `sluice --help` should not wait for the client of NATS.
  const { openNatsState } = await import('../app/open-nats-state.ts')
  const { openClusterState } = await import('../cluster/state/cluster-state.ts')
  const { createMemoryLogger } = await import('../telemetry/telemetry.ts')
  const logger = createMemoryLogger(({ level, msg }) => {
    if (level === 'warn' || level === 'error') host.stderr.write(`${String(msg)}\n`)
  })
  const signal = AbortSignal.timeout(openMsMax)
  const dependencies = { logger, clock: systemClock }
  const nats = await openNatsState(dependencies, { cluster, region }, signal).catch(explain)
  try {
    const place = `cluster ${cluster.name}`
    const opening = openClusterState({ ...dependencies, state: nats.state }, { place, signal })
    const state = await opening.catch(explain)
    try {
      await work(state)
    } finally {
      state.close()
    }
  } finally {
    await nats.close()
  }
}

/** @throws SluiceError ServiceUnavailableException: the wait was over */
function explain(thrown: unknown): never {
  if (thrown instanceof SluiceError) throw thrown
  throw new SluiceError(
    'ServiceUnavailableException',
    `no server of SLUICE_NATS_URL answered within ${openMsMax / 1_000} s`,
    { cause: thrown },
  )
}
