import { Command } from 'commander'
import type { ListedPolicy } from '../identity/policies/policy-attachments.ts'
import { isInCluster, withCluster } from './cluster/with-cluster.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

const directoryVariable = 'SLUICE_POLICIES_DIR'
const directoryDefault = './policies'

export function policiesCommand(host: Host): Command {
  const command = new Command('policies')
    .description('show the policies of MQTT clients, and attach them')
    .addCommand(listCommand(host))
    .addCommand(changeCommand(host, 'attach'))
    .addCommand(changeCommand(host, 'detach'))
  return addMoreHelp(command, host, {
    notes: [
      'A policy is a file <name>.json in the folder, an AWS IoT policy document. A server that ' +
        'uses the folder takes a change in within a second.',
      'With SLUICE_NATS_URL, and without --dir, they are those of the cluster.',
    ],
    examples: [
      'sluice policies list',
      'sluice policies attach devices all',
      'sluice policies attach devices certs/devices/sensor-1.pem',
      'sluice policies detach devices user:device-7',
    ],
  })
}

interface DirectoryOption {
  readonly dir?: string
}

const withDirectory = (command: Command): Command =>
  command.option(
    '--dir <path>',
    `folder of the policies (default: ${directoryVariable}, else ${directoryDefault})`,
  )

const directoryOf = ({ environment }: Host, { dir }: DirectoryOption): string =>
  // As elsewhere, an empty variable counts as not set.
  dir ?? (environment[directoryVariable] || directoryDefault)

function listCommand(host: Host): Command {
  const command = withDirectory(new Command('list'))
    .description('print each policy and whom it is attached to')
    .action((options: DirectoryOption) => list(host, options))
  return addMoreHelp(command, host, {
    notes: [],
    examples: ['sluice policies list --dir /etc/sluice/policies'],
  })
}

function changeCommand(host: Host, verb: 'attach' | 'detach'): Command {
  const command = withDirectory(new Command(verb))
    .description(
      verb === 'attach' ? 'attach a policy to a target' : 'take a policy away from a target',
    )
    .argument('<policy>', 'its name: that of its file without .json')
    .argument('<target>', 'all, anonymous, user:<name>, cert:<fingerprint>, or a certificate file')
    .action((policy: string, target: string, options: DirectoryOption) =>
      change(host, verb, options, { policy, target }),
    )
  return addMoreHelp(command, host, {
    notes: [],
    examples: [`sluice policies ${verb} devices user:device-7`],
  })
}

const isShared = (host: Host, { dir }: DirectoryOption) => dir === undefined && isInCluster(host)

async function list(host: Host, options: DirectoryOption): Promise<void> {
  const directory = directoryOf(host, options)
  const isCluster = isShared(host, options)
  const policies = await (isCluster ? listInCluster(host) : listInFolder(directory))
  if (policies === undefined) {
    const what = isCluster ? 'The cluster has no policies' : `There is no folder ${directory}`
    host.stdout.write(`${what}: nothing is enforced.\n`)
  } else if (policies.length === 0) {
    const where = isCluster ? 'the cluster' : directory
    host.stdout.write(`There are no policies in ${where}: nobody may do anything.\n`)
  } else {
    for (const policy of policies) host.stdout.write(lineOf(policy))
  }
  if (policies?.some(({ problem }) => problem !== undefined)) host.setExitCode(1)
}

async function listInFolder(directory: string) {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { listPolicies } = await import('../identity/policies/policy-attachments.ts')
  return listPolicies(directory)
}

async function listInCluster(host: Host) {
  const { listClusterPolicies } = await import('./cluster/cluster-policies.ts')
  return withCluster(host, listClusterPolicies)
}

function lineOf({ name, targets, problem }: ListedPolicy): string {
  if (problem !== undefined) return `${name}  cannot be used: ${problem}\n`
  return `${name}  ${targets.length === 0 ? 'is attached to nobody' : targets.join(', ')}\n`
}

const outcomes = {
  attach: ['is now attached to', 'is already attached to'],
  detach: ['is not attached any more to', 'is not attached to'],
} as const

interface Attachment {
  readonly policy: string
  readonly target: string
}

async function changeInFolder(directory: string, verb: 'attach' | 'detach', given: Attachment) {
  const { attachPolicy, detachPolicy } = await import('../identity/policies/policy-attachments.ts')
  const act = verb === 'attach' ? attachPolicy : detachPolicy
  return act(directory, given.policy, given.target)
}

async function changeInCluster(host: Host, verb: 'attach' | 'detach', given: Attachment) {
  const { changeClusterPolicy } = await import('./cluster/cluster-policies.ts')
  return withCluster(host, (state) => changeClusterPolicy(state, verb, given))
}

async function change(
  host: Host,
  verb: 'attach' | 'detach',
  options: DirectoryOption,
  given: Attachment,
): Promise<void> {
  const { policy } = given
  const { target, isChanged } = await (isShared(host, options)
    ? changeInCluster(host, verb, given)
    : changeInFolder(directoryOf(host, options), verb, given))
  const [now, before] = outcomes[verb]
  host.stdout.write(`${policy} ${isChanged ? now : before} ${target}\n`)
}
