import { Command, InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config.ts'
import { SluiceError, messageOf } from '../errors.ts'
import { endpointOf, readRunningLab } from '../lab/running-lab.ts'
import type { ConsumedRecord } from '../consumers/poll-stream.ts'
import type { KinesisAccess } from '../consumers/read-records.ts'
import { paint } from './host.ts'
import type { Host } from './host.ts'

interface TailOptions {
  readonly aws: boolean
  readonly from: 'trim-horizon' | 'latest'
  readonly json: boolean
  readonly limit: number
}

export function tailCommand(host: Host): Command {
  return new Command('tail')
    .description('print the records of a stream as they arrive')
    .argument('<stream>', 'name of the stream')
    .option('--aws', 'read from AWS even if a lab runs here', false)
    .addOption(
      new Option('--from <position>', 'where to begin')
        .choices(['trim-horizon', 'latest'])
        .default('trim-horizon'),
    )
    .option('--limit <n>', 'stop after so many records', parseLimit, Number.POSITIVE_INFINITY)
    .option('--json', 'one JSON object a record, data in base64', false)
    .addHelpText(
      'after',
      `
It reads the lab that runs on the data folder (SLUICE_DATA_DIR), else AWS with the SDK's own settings.

Examples:
  sluice tail hot-devices
  sluice tail hot-devices --limit 1 --json
`,
    )
    .action((stream: string, options: TailOptions) => tail(host, stream, options))
}

async function tail(host: Host, streamName: string, options: TailOptions): Promise<void> {
  const { access, name } = await findKinesis(host, options.aws)
  // Loaded here and not on top: `sluice --help` should not wait for the AWS SDK.
  const { createStreamReader } = await import('../consumers/read-records.ts')
  const { pollStream } = await import('../consumers/poll-stream.ts')
  host.stderr.write(paint(host.stderr, 'dim', `${streamName} on ${name}, Ctrl-C ends\n`))

  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  const reader = createStreamReader(access)
  let left = options.limit
  try {
    await pollStream(reader, systemClock, {
      streamName,
      start: options.from === 'latest' ? 'LATEST' : 'TRIM_HORIZON',
      signal: stop.signal,
      onRecords: (records) => {
        for (const record of records.slice(0, left)) {
          host.stdout.write(options.json ? jsonLine(record) : textLine(host, record))
        }
        left -= records.length
        if (left <= 0) stop.abort()
      },
    })
  } catch (thrown) {
    throw new SluiceError(
      'ResourceNotFoundException',
      `cannot read ${streamName} from ${name}: ${messageOf(thrown) || String(thrown)}`,
      { cause: thrown },
    )
  } finally {
    reader.close()
  }
}

async function findKinesis(
  host: Host,
  forceAws: boolean,
): Promise<{ access: KinesisAccess; name: string }> {
  const { dataDir } = loadConfig(host.environment, 'lab')
  const lab = forceAws ? undefined : await readRunningLab(dataDir)
  if (lab) {
    const endpoint = endpointOf(lab.kinesis)
    return {
      access: {
        region: lab.region,
        endpoint,
        credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
      },
      name: `the lab at ${endpoint}`,
    }
  }
  const region = host.environment['AWS_REGION'] || host.environment['AWS_DEFAULT_REGION']
  const endpoint =
    host.environment['AWS_ENDPOINT_URL_KINESIS'] || host.environment['AWS_ENDPOINT_URL']
  if (region) return { access: { region }, name: endpoint || `AWS, ${region}` }
  throw new SluiceError(
    'ConfigInvalid',
    `no lab runs on ${dataDir} (\`npm start\` runs one), and AWS_REGION is not set to read from AWS`,
  )
}

function textLine(host: Host, record: ConsumedRecord): string {
  const time = new Date(record.arrivedAtMs).toISOString().slice(11, 23)
  const shard = record.shardId.replace(/^shardId-0*(?=\d)/, 'shard ')
  const head = `${time}  ${shard}  ${paint(host.stdout, 'cyan', record.partitionKey)}`
  return `${head}  ${record.data.toString('utf8')}\n`
}

function jsonLine(record: ConsumedRecord): string {
  const { data, arrivedAtMs, ...rest } = record
  return `${JSON.stringify({
    ...rest,
    approximateArrivalTimestamp: new Date(arrivedAtMs).toISOString(),
    data: data.toString('base64'),
  })}\n`
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1) return limit
  throw new InvalidArgumentError(`"${text}" is not a whole number above 0.`)
}
