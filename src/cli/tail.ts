import { randomUUID } from 'node:crypto'
import { Command, InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../base/clock.ts'
import type { ConsumedRecord } from '../consumers/consumed-batch.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { endpointOf } from '../app/running-engine.ts'
import { dataFoldersOf, findRunningEngine } from './find-running-engine.ts'
import { paint } from './host.ts'
import type { Host, Output } from './host.ts'
import { jsonLine, textLine } from './record-line.ts'

interface TailOptions {
  readonly aws: boolean
  readonly from: 'TRIM_HORIZON' | 'LATEST' | Date
  readonly fanOut: boolean
  readonly json: boolean
  readonly limit: number
}

export function tailCommand(host: Host): Command {
  return new Command('tail')
    .description('print the records of a stream as they arrive')
    .argument('<stream>', 'name or ARN of the stream')
    .option('--aws', 'read from AWS even if a lab runs here', false)
    .addOption(
      new Option(
        '--from <position>',
        'where to begin: trim-horizon, latest, a time (2026-01-31T12:00:00Z) or an age (90s, 15m, 2h, 1d)',
      )
        .default('TRIM_HORIZON', 'trim-horizon')
        .argParser(parsePosition),
    )
    .option('--fan-out', 'by enhanced fan-out: a consumer is registered meanwhile', false)
    .option('--limit <n>', 'stop after so many records', parseLimit, Number.POSITIVE_INFINITY)
    .option('--json', 'one JSON object a record, data in base64', false)
    .addHelpText(
      'after',
      `
It reads the lab that runs on the data folder (SLUICE_DATA_DIR), else AWS with the SDK's own settings.
Shards that are split or merged meanwhile are followed. Ctrl-C ends it.

Examples:
  sluice tail hot-devices
  sluice tail hot-devices --from 15m --fan-out
  sluice tail hot-devices --limit 1 --json
`,
    )
    .action((stream: string, options: TailOptions) => tail(host, stream, options))
}

async function tail(host: Host, stream: string, options: TailOptions): Promise<void> {
  const { access, name } = await findKinesis(host, options.aws)
  // Loaded here and not on top: `sluice --help` should not wait for the AWS SDK.
  const { consume } = await import('../consumers/consume.ts')
  const err = paintable(host, host.stderr)
  const way = options.fanOut ? ' by enhanced fan-out' : ''
  host.stderr.write(paint(err, 'dim', `${stream} on ${name}${way}, Ctrl-C ends\n`))

  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  const out = paintable(host, host.stdout)
  const lineOf = (record: ConsumedRecord) =>
    options.json ? jsonLine(record) : textLine(out, record, systemClock.wallMs())
  let left = options.limit
  try {
    const consumer = await consume({
      ...access,
      stream,
      from: options.from,
      signal: stop.signal,
      ...(options.fanOut && {
        fanOut: { consumerName: `sluice-tail-${randomUUID()}` },
        deregisterOnStop: true,
      }),
      logger: warningsTo(err),
      handler: ({ records }) => {
        host.stdout.write(records.slice(0, left).map(lineOf).join(''))
        left = Math.max(0, left - records.length)
        if (left === 0) stop.abort()
      },
    })
    await consumer.done
  } catch (thrown) {
    // Ctrl-C while it was still looking for the stream.
    if (stop.signal.aborted) return
    const { cause = thrown } = thrown instanceof Error ? thrown : {}
    throw new SluiceError(
      'ResourceNotFoundException',
      `cannot read ${stream} from ${name}: ${messageOf(cause) || String(cause)}`,
      { cause: thrown },
    )
  }
}

/** An output that is painted where a person watches and wants it (https://no-color.org). */
function paintable(host: Host, output: Output): Output {
  const isTTY = output.isTTY === true && !host.environment['NO_COLOR']
  return { isTTY, write: (text) => output.write(text) }
}

/** What the reader waits out is told, once a minute. */
function warningsTo(output: Output) {
  const write = (fields: Readonly<Record<string, unknown>>, text: string) => {
    const { reason } = fields
    const why = typeof reason === 'string' ? `: ${reason}` : ''
    output.write(paint(output, 'yellow', `${text}${why}\n`))
  }
  return { info: () => undefined, warn: write, error: write }
}

async function findKinesis(
  host: Host,
  forceAws: boolean,
): Promise<{ access: KinesisAccess; name: string }> {
  const engine = forceAws
    ? undefined
    : await findRunningEngine(host, ({ kinesis }) => kinesis !== undefined)
  if (engine?.kinesis) {
    const endpoint = endpointOf(engine.kinesis)
    return {
      access: {
        region: engine.region,
        endpoint,
        // Those that a strict lab asks for, too.
        credentials: { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' },
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
    `no lab runs on ${dataFoldersOf(host).join(' or ')} (\`npm start\` runs one), and AWS_REGION ` +
      'is not set to read from AWS',
  )
}

const ageUnitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

function parsePosition(text: string): TailOptions['from'] {
  const name = text.toUpperCase().replace('-', '_')
  if (name === 'TRIM_HORIZON' || name === 'LATEST') return name
  const { count, unit = '' } = /^(?<count>\d{1,6})(?<unit>[smhd])$/.exec(text)?.groups ?? {}
  const timeMs = count
    ? systemClock.wallMs() - Number(count) * (ageUnitsMs[unit] ?? 0)
    : /^\d{4}-/.test(text)
      ? Date.parse(text)
      : Number.NaN
  if (!Number.isNaN(timeMs)) return new Date(timeMs)
  throw new InvalidArgumentError('It must be trim-horizon, latest, a time or an age such as 15m.')
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1) return limit
  throw new InvalidArgumentError(`"${text}" is not a whole number above 0.`)
}
