import { Command } from 'commander'
import { endpointNotes, endpointOption } from './engine/engine-api.ts'
import type { ClusterStatusOptions } from './engine/show-cluster.ts'
import { withCluster } from './cluster/with-cluster.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

export function clusterCommand(host: Host): Command {
  const command = new Command('cluster')
    .description(
      'show a cluster on NATS, and move rules, mappings, policies and identities between it and a folder',
    )
    .addCommand(statusCommand(host))
    .addCommand(importCommand(host))
    .addCommand(exportCommand(host))
  return addMoreHelp(command, host, {
    notes: [
      'A folder has rules/, policies/, passwords, credentials.json, registry/things/, ' +
        'registry/certificates/ and event-source/mappings/, as the files of one engine do. What is ' +
        'not there is passed over.',
    ],
    examples: [
      'sluice cluster status',
      'sluice cluster import ./from-one-engine',
      'sluice cluster export ./copy',
    ],
  })
}

function statusCommand(host: Host): Command {
  const command = new Command('status')
    .description('show nodes, lanes and log of a cluster; exit code 1 when something is wrong')
    .option('--json', 'one JSON object', false)
    .option(...endpointOption)
    .action(async (options: ClusterStatusOptions) => {
      const { showCluster } = await import('./engine/show-cluster.ts')
      await showCluster(host, options)
    })
  return addMoreHelp(command, host, {
    notes: [...endpointNotes, 'Any node of the cluster answers for all.'],
    examples: ['sluice cluster status', 'sluice cluster status --json'],
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
