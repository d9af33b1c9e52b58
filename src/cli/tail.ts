import { randomUUID } from 'node:crypto'
import { Command, InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../base/clock.ts'
import type { ConsumedRecord } from '../consumers/consumed-batch.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { labRegion } from '../config/config.ts'
import { regionOfEnvironment } from '../config/region.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import { endpointOf } from '../app/running-engine.ts'
import { dataFoldersOf, findRunningEngine } from './mqtt/find-running-engine.ts'
import { addMoreHelp } from './terminal/help.ts'
import { paint } from './terminal/host.ts'
import type { Host, Output } from './terminal/host.ts'
import { parseCount } from './terminal/parse-count.ts'
import { jsonLine, textLine } from './terminal/record-line.ts'

interface TailOptions {
  readonly calls: boolean
  readonly aws: boolean
  readonly endpoint?: string
  readonly region?: string
  readonly from: 'TRIM_HORIZON' | 'LATEST' | Date
  readonly fanOut: boolean
  readonly json: boolean
  readonly limit?: number | undefined
}

export function tailCommand(host: Host): Command {
  const command = new Command('tail')
    .description('print the records of a stream, or the calls of the lab, as they arrive')
    .argument('[stream]', 'name or ARN of the stream')
    .option('--calls', 'print the calls that the lab records instead of a stream', false)
    .option('--aws', 'read from AWS even if a lab runs here', false)
    .option(
      '--endpoint <url>',
      'read from a Kinesis there, such as http://127.0.0.1:4567',
      parseUrl,
    )
    .option(
      '--region <name>',
      'region of the stream (default: that of the lab, else AWS_REGION, else AWS_DEFAULT_REGION)',
    )
    .addOption(
      new Option(
        '--from <position>',
        'where to begin: trim-horizon, latest, a time (2026-01-31T12:00:00Z) or an age (90s, ' +
          '15m, 2h, 1d)',
      )
        .default('TRIM_HORIZON', 'trim-horizon')
        .argParser(parsePosition),
    )
    .option('--fan-out', 'by enhanced fan-out: a consumer is registered meanwhile', false)
    .option('--limit <n>', 'stop after so many records', parseCount)
    .option('--json', 'one JSON object a record, data in base64, numbers whole', false)
    .action((stream: string | undefined, options: TailOptions) => {
      if (options.calls !== (stream === undefined)) {
        command.error('error: give either the name of a stream or --calls')
      }
      return stream === undefined ? tailCalls(host, options) : tail(host, stream, options)
    })
  return addMoreHelp(command, host, {
    notes: [
      'It reads the lab that runs on the data folder (SLUICE_DATA_DIR, else ./lab-data), ' +
        "else AWS with the SDK's own settings. Shards that are split or merged meanwhile " +
        'are followed. Ctrl-C ends it.',
    ],
    examples: [
      'sluice tail hot-devices',
      'sluice tail hot-devices --from 15m --fan-out',
      'sluice tail hot-devices --limit 1 --json',
      'sluice tail orders --endpoint http://127.0.0.1:4567',
      'sluice tail --calls --from latest',
    ],
  })
}

async function tailCalls(host: Host, options: TailOptions): Promise<void> {
  const { followCalls } = await import('./follow-calls.ts')
  await followCalls(host, paintable(host, host.stdout), options)
}

async function tail(host: Host, stream: string, options: TailOptions): Promise<void> {
  const { access, name } = await findKinesis(host, options)
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
  let left = options.limit ?? Number.POSITIVE_INFINITY
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

/** Logs once a minute what the reader is waiting for. */
function warningsTo(output: Output) {
  const write = (fields: Readonly<Record<string, unknown>>, text: string) => {
    const { reason } = fields
    const why = typeof reason === 'string' ? `: ${reason}` : ''
    output.write(paint(output, 'yellow', `${text}${why}\n`))
  }
  return { info: () => undefined, warn: write, error: write }
}

/** Those that a strict lab asks for, too. */
const labCredentials = { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' }

async function findKinesis(
  host: Host,
  options: TailOptions,
): Promise<{ access: KinesisAccess; name: string }> {
  const { environment } = host
  const regionNow = () => options.region ?? regionOfEnvironment(environment)
  if (options.endpoint !== undefined) {
    const { endpoint } = options
    const access = { region: regionNow() ?? labRegion, endpoint }
    return { access: { ...access, ...credentialsFor(host, endpoint) }, name: endpoint }
  }
  const lab = options.aws ? undefined : await findRunningEngine(host, ({ kinesis }) => !!kinesis)
  if (lab?.kinesis) {
    const endpoint = endpointOf(lab.kinesis)
    const access = { region: options.region ?? lab.region, endpoint, credentials: labCredentials }
    return { access, name: `the lab at ${endpoint}` }
  }
  const elsewhere = environment['AWS_ENDPOINT_URL_KINESIS'] || environment['AWS_ENDPOINT_URL']
  const region = regionNow()
  if (region !== undefined) return { access: { region }, name: elsewhere || `AWS, ${region}` }
  throw new SluiceError(
    'ConfigInvalid',
    `no lab runs on ${dataFoldersOf(host).join(' or ')} (\`npm start\` runs one), and there is ` +
      'no region to read from AWS: --region, or AWS_REGION',
  )
}

/** A lab takes any credentials: whoever reads one need not have those of AWS. */
function credentialsFor(
  { environment }: Host,
  endpoint: string,
): Pick<KinesisAccess, 'credentials'> {
  const hasOwn = environment['AWS_ACCESS_KEY_ID'] || environment['AWS_PROFILE']
  const { hostname } = new URL(endpoint)
  return !hasOwn && isLoopback(hostname.replace(/^\[|\]$/g, ''))
    ? { credentials: labCredentials }
    : {}
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

function parseUrl(text: string): string {
  if (/^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : '')) return text
  throw new InvalidArgumentError(`"${text}" is not the URL of a server, such as http://host:4567.`)
}
