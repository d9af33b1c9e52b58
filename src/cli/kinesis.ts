import { Command, InvalidArgumentError } from 'commander'
import { systemClock } from '../base/clock.ts'
import { loadKinesisConfig } from '../config/config-of-lab.ts'
import type { Host } from './host.ts'

export function kinesisCommand(host: Host): Command {
  return new Command('kinesis')
    .description('run the local Kinesis and STS alone')
    .option(
      '--stream <name[:shards]>',
      'create a stream at the start; may be given again',
      collectStream,
      [],
    )
    .option('--create-missing-streams', 'create a stream at the first record put to it', false)
    .option('--no-limits', "lift AWS's limits of each shard, as SLUICE_LAB_LIMITS=off does")
    .option('--strict', 'verify the signature of each call, as SLUICE_LAB_STRICT=1 does', false)
    .option(
      '--keys <id:secret>',
      'with --strict: the access key to sign with, beside those that AssumeRole gives',
      parseKeys,
      { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' },
    )
    .addHelpText(
      'after',
      `
Clients of any language reach it with an endpoint URL and any credentials, unless it is strict: then
with sluice-lab as access key id and as secret, or with --keys. Faults on demand: docs/LAB.md.

Example:
  sluice kinesis --stream orders:2 &
  aws --endpoint-url http://127.0.0.1:4567 kinesis list-streams

Variables: SLUICE_LAB_HOST, SLUICE_LAB_PORT, SLUICE_LAB_LIMITS, SLUICE_LAB_STRICT, SLUICE_LAB_DATA,
SLUICE_LAB_MAX_BYTES, SLUICE_LAB_STATUS_MS, AWS_REGION, SLUICE_ACCOUNT_ID, SLUICE_LOG_LEVEL,
SLUICE_INSECURE.
`,
    )
    .action((options: KinesisOptions) => runKinesis(host, options))
}

interface KinesisOptions {
  readonly stream: readonly StreamWanted[]
  readonly createMissingStreams: boolean
  readonly limits: boolean
  readonly strict: boolean
  readonly keys: Keys
}

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

interface StreamWanted {
  readonly name: string
  readonly shardCount: number
}

const shardCountDefault = 4

async function runKinesis(host: Host, options: KinesisOptions): Promise<void> {
  host.leaveAws()
  const config = loadKinesisConfig(host.environment)
  const stopRequested = host.stopRequested()
  // Loaded here and not on top: no other command needs them.
  const { createLogger } = await import('../telemetry/logger.ts')
  const logger = await createLogger(config.logLevel, { pretty: host.stdout.isTTY === true })
  const { createLabServer } = await import('../lab/server/lab-server.ts')
  const { noLimits } = await import('../lab/streams/shard-limits.ts')
  const { statusDurationsOf } = await import('../lab/streams/statuses.ts')
  const lab = await createLabServer({
    ...config.lab,
    region: config.region,
    accountId: config.accountId,
    clock: systemClock,
    logger,
    createsMissingStreams: options.createMissingStreams,
    insecure: config.insecure,
    statusMs: statusDurationsOf(config.lab.statusMs),
    ...(options.limits ? {} : { limits: noLimits }),
    ...(options.strict || config.lab.isStrict ? { strict: options.keys } : {}),
  })
  try {
    for (const { name, shardCount } of options.stream) lab.ensureStream(name, shardCount)
    logger.info({ kinesis: lab.port, sts: lab.port }, 'ready')
    logger.info({ signal: await stopRequested }, 'stopping')
  } finally {
    await lab.close()
  }
}

function collectStream(text: string, before: readonly StreamWanted[]): readonly StreamWanted[] {
  const { name, shards } =
    /^(?<name>[a-zA-Z0-9_.-]{1,128})(?::(?<shards>[1-9]\d{0,3}))?$/.exec(text)?.groups ?? {}
  if (!name) {
    throw new InvalidArgumentError(`"${text}" is not a stream name, or a name and ":shards".`)
  }
  return [...before, { name, shardCount: shards ? Number(shards) : shardCountDefault }]
}

function parseKeys(text: string): Keys {
  const { id, secret } = /^(?<id>[\w-]{1,128}):(?<secret>.+)$/.exec(text)?.groups ?? {}
  if (id && secret) return { accessKeyId: id, secretAccessKey: secret }
  throw new InvalidArgumentError('It must be an access key id, a colon and a secret.')
}
