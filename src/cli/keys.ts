import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { credentialsFileName, dataDirDefaults, httpUrlOf } from '../config/config.ts'
import { regionOfEnvironment } from '../config/region.ts'
import { SluiceError, invalidRequest, messageOf } from '../base/errors.ts'
import { endpointOf } from '../app/running-engine.ts'
import { findRunningEngine } from './mqtt/find-running-engine.ts'
import type { NewAccessKey } from '../identity/access-keys/access-keys.ts'
import { isInCluster, withCluster } from './cluster/with-cluster.ts'
import { addMoreHelp } from './terminal/help.ts'
import { paint } from './terminal/host.ts'
import type { Host } from './terminal/host.ts'

export function keysCommand(host: Host): Command {
  const command = new Command('keys')
    .description('manage the access keys that requests to the HTTP API are signed with')
    .addCommand(createCommand(host))
    .addCommand(deleteCommand(host))
  return addMoreHelp(command, host, {
    notes: [],
    examples: ['sluice keys create', 'sluice keys delete SLUICEABCDEFGHIJKLMN'],
  })
}

const fileOption = [
  '--file <path>',
  'file of the keys (default: SLUICE_CREDENTIALS_FILE, else that of the engine that runs ' +
    'here, else credentials.json in SLUICE_DATA_DIR or ./data)',
] as const

interface FileOption {
  readonly file?: string
}

interface CreateOptions extends FileOption {
  readonly policy?: string
  readonly description?: string
}

function createCommand(host: Host): Command {
  const command = new Command('create')
    .description('make an access key and print its secret, once')
    .option(...fileOption)
    .option(
      '--policy <path>',
      'IAM policy document of the key (default: iot:* and sluice:* on all)',
    )
    .option('--description <text>', 'what the key is for')
    .action((options: CreateOptions) => createKey(host, options))
  return addMoreHelp(command, host, {
    notes: [
      'The key is added to the file, which is made with mode 600 if it is not there. A server ' +
        'that uses the file takes it in within a second.',
      'With SLUICE_NATS_URL, and without --file, it is a key of the cluster.',
    ],
    examples: [
      'sluice keys create --file /etc/sluice/credentials.json \\\n    --policy publish-only.json',
    ],
  })
}

function deleteCommand(host: Host): Command {
  const command = new Command('delete')
    .description('take an access key away')
    .argument('<accessKeyId>', 'the id of the key')
    .option(...fileOption)
    .action((accessKeyId: string, options: FileOption) => deleteKey(host, accessKeyId, options))
  return addMoreHelp(command, host, {
    notes: [
      'A server that uses the file refuses requests with the key within a second.',
      'With SLUICE_NATS_URL, and without --file, it is taken from the cluster.',
    ],
    examples: ['sluice keys delete SLUICEABCDEFGHIJKLMN'],
  })
}

async function deleteKey(host: Host, accessKeyId: string, options: FileOption): Promise<void> {
  const isShared = options.file === undefined && isInCluster(host)
  const { file } = await findServer(host, options)
  const place = isShared ? 'the cluster' : file
  const { wasThere, left } = isShared
    ? await deleteInCluster(host, accessKeyId)
    : await deleteInFile(file, accessKeyId)
  if (!wasThere) throw invalidRequest(`there is no access key ${accessKeyId} in ${place}`)
  const remark = left === 0 ? ' It was the last one: the HTTP API is closed.' : ''
  host.stdout.write(`The access key ${accessKeyId} was taken from ${place}.${remark}\n`)
}

async function deleteInFile(file: string, accessKeyId: string) {
  const { deleteAccessKey } = await import('../identity/access-keys/access-keys.ts')
  return deleteAccessKey(file, accessKeyId)
}

async function deleteInCluster(host: Host, accessKeyId: string) {
  const { deleteClusterAccessKey } = await import('./cluster/change-secrets.ts')
  return withCluster(host, (state) => deleteClusterAccessKey(state, accessKeyId))
}

const everything = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['iot:*', 'sluice:*'], Resource: '*' }],
}

async function createKey(host: Host, options: CreateOptions): Promise<void> {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { createAccessKey } = await import('../identity/access-keys/access-keys.ts')
  const { file, region, url } = await findServer(host, options)
  const given = {
    policy: options.policy === undefined ? everything : await readPolicy(options.policy),
    description: options.description,
  }
  const isShared = options.file === undefined && isInCluster(host)
  const { accessKeyId, secretAccessKey } = isShared
    ? await createInCluster(host, given)
    : await createAccessKey(file, given)
  const bold = (text: string) => paint(host.stdout, 'bold', text)
  host.stdout.write(
    `The access key was added to ${isShared ? 'the cluster' : file}. Its secret is shown this once:

  export AWS_ACCESS_KEY_ID=${bold(accessKeyId)}
  export AWS_SECRET_ACCESS_KEY=${bold(secretAccessKey)}

Use it with any AWS client${region ? '' : ', in the region of `sluice start`'}, for example:

  aws iot list-topic-rules --region ${region ?? '"$AWS_REGION"'} --endpoint-url ${url}
`,
  )
}

async function createInCluster(host: Host, given: NewAccessKey) {
  const { createClusterAccessKey } = await import('./cluster/change-secrets.ts')
  return withCluster(host, (state) => createClusterAccessKey(state, given))
}

/** The server that the key is for: the one that runs here and reads this file, or the next one. */
async function findServer(
  host: Host,
  { file: given }: FileOption,
): Promise<{ readonly file: string; readonly region: string | undefined; readonly url: string }> {
  const { environment } = host
  // As elsewhere, an empty variable counts as not set.
  const named = given ?? (environment['SLUICE_CREDENTIALS_FILE'] || undefined)
  const wanted = named === undefined ? undefined : path.resolve(named)
  const engine = await findRunningEngine(
    host,
    ({ credentialsFile }) =>
      credentialsFile !== undefined && (wanted === undefined || wanted === credentialsFile),
  )
  const folder = environment['SLUICE_DATA_DIR'] || dataDirDefaults.start
  const file = wanted ?? engine?.credentialsFile ?? path.resolve(folder, credentialsFileName)
  if (engine?.http) {
    const { http, region } = engine
    return { file, region, url: endpointOf(http, http.tls ? 'https' : 'http') }
  }
  return { file, region: regionOfEnvironment(environment), url: httpUrlOf(environment) }
}

async function readPolicy(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (thrown) {
    throw new SluiceError('MalformedPolicyException', `${file}: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}
