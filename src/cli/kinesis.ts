import { Command, InvalidArgumentError, Option } from 'commander'
import { createStages } from '../app/stages.ts'
import { systemClock } from '../base/clock.ts'
import { loadKinesisConfig } from '../config/lab-config.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { LabServer } from '../lab/server/lab-server.ts'
import { addMoreHelp } from './terminal/help.ts'
import { endGraceMs, isAbort } from './terminal/host.ts'
import type { Host } from './terminal/host.ts'
import { unknownVariables } from './terminal/unknown-variables.ts'

export function kinesisCommand(host: Host): Command {
  const command = new Command('kinesis')
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
    .addOption(
      new Option(
        '--keys <id:secret>',
        'with --strict: the access key to sign with, beside those that AssumeRole gives',
      )
        .argParser(parseKeys)
        .default(
          { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' },
          'sluice-lab:sluice-lab',
        ),
    )
    .action((options: KinesisOptions) => runKinesis(host, options))
  return addMoreHelp(command, host, {
    notes: [
      'Clients of any language reach it with an endpoint URL and any credentials. A strict ' +
        'one asks for sluice-lab as access key id and as secret, or for those of --keys. ' +
        'Faults on demand: docs/LAB.md.',
      'Variables: SLUICE_LAB_HOST, SLUICE_LAB_PORT, SLUICE_LAB_LIMITS, SLUICE_LAB_STRICT, ' +
        'SLUICE_LAB_DATA, SLUICE_LAB_MAX_BYTES, SLUICE_LAB_STATUS_MS, AWS_REGION, ' +
        'SLUICE_ACCOUNT_ID, SLUICE_LOG_LEVEL, SLUICE_INSECURE.',
    ],
    examples: [
      'sluice kinesis --stream orders:2 &',
      'AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws kinesis list-streams \\\n' +
        '    --region us-east-1 --endpoint-url http://127.0.0.1:4567',
    ],
  })
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
  const { logConsole } = await import('../telemetry/log-console.ts')
  const logger = await createLogger(config.logLevel, { pretty: host.stdout.isTTY === true })
  logConsole(logger)
  for (const line of unknownVariables(host.environment)) logger.warn({}, line)
  const { createLabServer } = await import('../lab/server/lab-server.ts')
  const { noLimits } = await import('../lab/streams/shard-limits.ts')
  const { statusDurationsOf } = await import('../lab/streams/stream-statuses.ts')
  const stopping = new AbortController()
  void stopRequested.then(() => stopping.abort())
  const stages = createStages({ clock: systemClock, signal: stopping.signal })
  const start = () =>
    createLabServer({
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
    const lab = await stages.open('lab', start, (it) => it.close())
    for (const stream of options.stream) makeStream(lab, stream)
    logger.info({ kinesis: lab.port, sts: lab.port }, 'ready')
    logger.info({ signal: await stopRequested }, 'stopping')
  } catch (thrown) {
    if (!isAbort(thrown, stopping.signal)) throw thrown
    logger.info({ signal: await stopRequested }, 'stopped')
    host.endWithin(endGraceMs)
  } finally {
    await stages.stop()
  }
}

function makeStream(lab: LabServer, { name, shardCount }: StreamWanted): void {
  try {
    lab.ensureStream(name, shardCount)
  } catch (thrown) {
    throw new SluiceError(
      'ConfigInvalid',
      `the stream ${name} cannot be made: ${messageOf(thrown)}`,
      { cause: thrown },
    )
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
