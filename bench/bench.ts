import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { ActionKind, FloorKind, Latency, LoadReport } from './messages.ts'
import {
  cpuMicroseconds,
  runLoad,
  startEngine,
  startFloor,
  startSink,
  watchMemory,
} from './processes.ts'

/**
 * `npm run bench`: how fast the engine is, in which its share of the machine goes, and what the
 * parts below it cost at the least, measured in the same run. Three processes: load generator,
 * engine (`sluice start`) and sink, a server that acknowledges PutRecords.
 */
const usage = `npm run bench -- [options]

  --seconds <n>   measured time of each row (default 10), after 4 s of warming up
  --only <text>   the row of this name, or else the rows whose name holds the text
  --soak <n>      n million messages at 50x40, with the memory at each million, and nothing else
  --backlog <n>   n million records while Kinesis refuses, then a restart, and nothing else
`

const payloadBytesDefault = 200
const warmUpMs = 4_000
const parsed = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    soak: { type: 'string' },
    backlog: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const options = parsed.values

interface Row {
  readonly name: string
  readonly connections: number
  readonly window: number
  readonly qos: 0 | 1
  readonly rate?: number
  readonly otherRules?: number
  readonly action?: ActionKind
  /** Absent: MQTT 3.1.1. */
  readonly version?: 5
  /** Of the gate; as it comes where it is not said. */
  readonly unansweredMax?: number
  readonly payloadBytes?: number
  /** Rules that match each message; one where it is not said. */
  readonly matchingRules?: number
  /** One destination for each connection, by the template of the stream's name. */
  readonly hasManyStreams?: boolean
}

const rows: readonly Row[] = [
  { name: '1x1000 QoS 1', connections: 1, window: 1_000, qos: 1, unansweredMax: 1_000 },
  { name: '50x40 QoS 1', connections: 50, window: 40, qos: 1 },
  { name: '50x40 QoS 1, MQTT 5', connections: 50, window: 40, qos: 1, version: 5 },
  { name: '500x8 QoS 1', connections: 500, window: 8, qos: 1 },
  { name: '500x1 QoS 1', connections: 500, window: 1, qos: 1 },
  { name: '50x40 QoS 1, 1,000 rules', connections: 50, window: 40, qos: 1, otherRules: 999 },
  { name: '10,000/s on 50, QoS 1', connections: 50, window: 40, qos: 1, rate: 10_000 },
  { name: '5,000/s on 50, QoS 1', connections: 50, window: 40, qos: 1, rate: 5_000 },
  { name: '500/s on 50, QoS 1', connections: 50, window: 40, qos: 1, rate: 500 },
  { name: '100 destinations', connections: 100, window: 20, qos: 1, hasManyStreams: true },
  { name: '1,000 destinations', connections: 1_000, window: 4, qos: 1, hasManyStreams: true },
  { name: '100 rules that match', connections: 50, window: 4, qos: 1, matchingRules: 100 },
  { name: '64 KiB payload', connections: 50, window: 4, qos: 1, payloadBytes: 65_536 },
  { name: '50x40 QoS 1, sqs', connections: 50, window: 40, qos: 1, action: 'sqs' },
  { name: '50x40 QoS 1, firehose', connections: 50, window: 40, qos: 1, action: 'firehose' },
  { name: '1x1000 QoS 0', connections: 1, window: 1_000, qos: 0 },
  { name: '50x40 QoS 0', connections: 50, window: 40, qos: 0 },
  { name: '500x8 QoS 0', connections: 500, window: 8, qos: 0 },
]

interface Figures {
  readonly report: LoadReport
  readonly cpuMicroseconds: number
  readonly peakBytes: number
  readonly delivery?: Latency | undefined
  readonly deliveredEach?: number
  readonly deliveredPerSecond?: number
}

async function measureEngine(row: Row): Promise<Figures> {
  const sink = await startSink()
  const engine = await startEngine({
    sinkPort: sink.port,
    unansweredMax: row.unansweredMax ?? 64,
    otherRules: row.otherRules ?? 0,
    action: row.action,
    matchingRules: row.matchingRules,
    hasManyStreams: row.hasManyStreams,
  })
  const memory = watchMemory(engine.pid)
  let cpuBefore = 0
  let countBefore = Promise.resolve(0)
  let startMs = 0
  const report = await runLoad({ ...request(row), port: engine.port }, () => {
    startMs = performance.now()
    void cpuMicroseconds(engine.pid).then((cpu) => (cpuBefore = cpu))
    countBefore = sink.count().then(({ records }) => records)
    sink.tell({ kind: 'reset' })
  })
  // Messages of QoS 0 may be dropped, but what is taken is delivered.
  const { records, calls, latency, changedMs } = await settled(() => sink.count())
  const cpuMicros = (await cpuMicroseconds(engine.pid)) - cpuBefore
  if (row.qos === 1 && records < report.messages) {
    throw new Error(`${report.messages} messages acknowledged, ${records} records delivered`)
  }
  const peakBytes = memory.stop()
  await engine.stop()
  await sink.stop()
  const delivered = records - (await countBefore)
  return {
    report,
    cpuMicroseconds: cpuMicros / delivered,
    peakBytes,
    delivery: latency,
    deliveredEach: records / calls,
    deliveredPerSecond: (delivered / (changedMs - startMs)) * 1_000,
  }
}

/** Waits until the count does not change any more, and says when it last did. */
async function settled<Count extends { readonly records: number }>(
  count: () => Promise<Count>,
): Promise<Count & { readonly changedMs: number }> {
  let records = -1
  let changedMs = 0
  for (;;) {
    const now = await count()
    if (now.records !== records) changedMs = performance.now()
    else if (performance.now() - changedMs > 300) return { ...now, changedMs }
    records = now.records
    await sleep(50)
  }
}

async function measureFloor(kind: FloorKind, row: Row): Promise<Figures> {
  const floor = await startFloor(kind)
  const memory = watchMemory(floor.pid)
  let cpuBefore = 0
  let messagesBefore = 0
  const report = await runLoad({ ...request(row), port: floor.port }, () => {
    void cpuMicroseconds(floor.pid).then((cpu) => (cpuBefore = cpu))
  })
  messagesBefore = report.messages - report.measured
  const cpuMicros = (await cpuMicroseconds(floor.pid)) - cpuBefore
  const peakBytes = memory.stop()
  await floor.stop()
  return {
    report,
    cpuMicroseconds: cpuMicros / (report.messages - messagesBefore),
    peakBytes,
  }
}

const request = ({ connections, window, qos, rate, version, payloadBytes }: Row) => ({
  connections,
  window,
  qos,
  payloadBytes: payloadBytes ?? payloadBytesDefault,
  warmUpMs,
  measureMs: Number(options.seconds) * 1_000,
  ...(rate !== undefined && { rate }),
  ...(version !== undefined && { version }),
})

const header = [
  'profile',
  'messages/s',
  'delivered/s',
  'CPU us/message',
  'PUBACK p50 / p99 ms',
  'delivered p50 / p99 ms',
  'records/call',
  'peak RssAnon MiB',
]

function line(name: string, figures: Figures): string {
  const { report, peakBytes, delivery, deliveredEach, deliveredPerSecond } = figures
  return `| ${[
    name,
    Math.round((report.measured / report.measuredMs) * 1_000).toLocaleString('en'),
    deliveredPerSecond === undefined ? '' : Math.round(deliveredPerSecond).toLocaleString('en'),
    figures.cpuMicroseconds.toFixed(1),
    milliseconds(report.puback),
    milliseconds(delivery),
    deliveredEach === undefined ? '' : Math.round(deliveredEach),
    mebibytes(peakBytes),
  ].join(' | ')} |`
}

const milliseconds = (latency: Latency | undefined): string =>
  latency === undefined
    ? ''
    : `${(latency.p50 / 1_000).toFixed(2)} / ${(latency.p99 / 1_000).toFixed(2)}`

const isWanted = rows.some(({ name }) => name === options.only)
  ? (name: string): boolean => name === options.only
  : (name: string): boolean => name.includes(options.only)

async function printTable(): Promise<void> {
  console.log(
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, Node ${process.version}, ` +
      `${new Date().toISOString().slice(0, 10)}; ${payloadBytesDefault} bytes of JSON, one rule with WHERE\n`,
  )
  console.log(`| ${header.join(' | ')} |`)
  console.log(`| ${header.map((_, index) => (index === 0 ? '---' : '---:')).join(' | ')} |`)
  const floorRow: Row = { name: '50x40 QoS 1', connections: 50, window: 40, qos: 1 }
  const floors: readonly [FloorKind, string][] = [
    ['bytes', 'the load generator’s own limit, 50x40 QoS 1'],
    ['mqtt-packet', 'mqtt-packet alone, 50x40 QoS 1'],
    ['aedes', 'Aedes alone, 50x40 QoS 1'],
  ]
  const measured = new Map<string, Figures>()
  for (const [kind, name] of floors) {
    if (!isWanted(name)) continue
    measured.set(kind, await measureFloor(kind, floorRow))
    console.log(line(name, measured.get(kind) ?? fail()))
  }
  for (const row of rows) {
    if (!isWanted(row.name)) continue
    measured.set(row.name, await measureEngine(row))
    console.log(line(row.name, measured.get(row.name) ?? fail()))
  }
  await measureAtEqualRate(floorRow, measured)
  printVerdicts(measured)
}

/**
 * The fuller the reads of a broker, the less it spends on a message: at its own limit the least.
 */
async function measureAtEqualRate(floorRow: Row, measured: Map<string, Figures>): Promise<void> {
  const engine = measured.get(floorRow.name)
  if (engine === undefined) return
  const rate = Math.round((engine.report.measured / engine.report.measuredMs) * 1_000)
  const figures = await measureFloor('aedes', { ...floorRow, rate })
  measured.set('aedes at the rate of the engine', figures)
  console.log(line('Aedes alone, at the rate of the engine', figures))
}

const fail = (): never => {
  throw new Error('unreachable')
}

/** What the project holds itself to; a figure without a bound is there to be seen. */
function printVerdicts(measured: ReadonlyMap<string, Figures>): void {
  const engine = measured.get('50x40 QoS 1')
  const aedes = measured.get('aedes')
  const aedesAtRate = measured.get('aedes at the rate of the engine')
  const paced = measured.get('10,000/s on 50, QoS 1')
  const rules = measured.get('50x40 QoS 1, 1,000 rules')
  const sqs = measured.get('50x40 QoS 1, sqs')
  const firehose = measured.get('50x40 QoS 1, firehose')
  const verdicts: [text: string, value: number | undefined, bound?: Bound][] = [
    [
      'engine CPU over that of bare Aedes, 50x40 QoS 1, each as fast as it can',
      engine && aedes && engine.cpuMicroseconds / aedes.cpuMicroseconds,
    ],
    [
      'engine CPU over that of bare Aedes, 50x40 QoS 1, at the rate of the engine',
      engine && aedesAtRate && engine.cpuMicroseconds / aedesAtRate.cpuMicroseconds,
      { most: 4 },
    ],
    [
      '10,000/s: p99 PUBACK, ms',
      paced?.report.puback && paced.report.puback.p99 / 1_000,
      { most: 10 },
    ],
    [
      '10,000/s: p99 publish to Kinesis, ms',
      paced?.delivery && paced.delivery.p99 / 1_000,
      { most: 50 },
    ],
    [
      '1,000 rules over one rule, CPU',
      engine && rules && rules.cpuMicroseconds / engine.cpuMicroseconds,
      { most: 1.2 },
    ],
    ['messages delivered to SQS a second', sqs?.deliveredPerSecond, { least: 5_000 }],
    ['records delivered to Firehose a second', firehose?.deliveredPerSecond, { least: 5_000 }],
  ]
  console.log('')
  for (const [text, value, bound] of verdicts) {
    if (value === undefined) continue
    const figure = `${text}: ${value.toFixed(2)}`
    if (bound === undefined) console.log(`- ${figure}`)
    else if ('most' in bound) {
      console.log(`- ${held(value <= bound.most)}: ${figure} (at most ${bound.most})`)
    } else console.log(`- ${held(value >= bound.least)}: ${figure} (at least ${bound.least})`)
  }
}

type Bound = { readonly most: number } | { readonly least: number }
const held = (holds: boolean): string => (holds ? 'held' : 'MISSED')

const fullSpeed: Row = { name: 'full speed', connections: 50, window: 40, qos: 1 }

/** Many messages, and whether the memory stays. */
async function soak(millions: number): Promise<void> {
  const sink = await startSink()
  const engine = await startEngine({ sinkPort: sink.port, unansweredMax: 64, otherRules: 0 })
  console.log('| million messages | messages/s | peak RssAnon MiB |\n| ---: | ---: | ---: |')
  let done = 0
  for (let next = 1; next <= millions; next++) {
    const memory = watchMemory(engine.pid)
    const startMs = performance.now()
    const before = done
    while (done < next * 1e6) {
      await runLoad({ ...request(fullSpeed), port: engine.port }, () => {})
      done = (await settled(() => sink.count())).records
    }
    const rate = Math.round(((done - before) / (performance.now() - startMs)) * 1_000)
    console.log(
      `| ${(done / 1e6).toFixed(1)} | ${rate.toLocaleString('en')} | ${mebibytes(memory.stop())} |`,
    )
  }
  await engine.stop()
  await sink.stop()
}

/** Records that wait on disk while Kinesis refuses; then a restart, and all of them are sent. */
async function backlog(millions: number): Promise<void> {
  const sink = await startSink()
  sink.tell({ kind: 'mode', accepts: false })
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-data-'))
  const engine = { sinkPort: sink.port, unansweredMax: 64, otherRules: 0, dataDir }
  const first = await startEngine(engine)
  let written = 0
  while (written < millions * 1e6) {
    const report = await runLoad({ ...request(fullSpeed), port: first.port }, () => {})
    written += report.messages
  }
  await first.stop()
  const second = await startEngine(engine)
  console.log(`${written.toLocaleString('en')} records, opened in ${second.readyMs.toFixed(0)} ms`)
  const memory = watchMemory(second.pid)
  sink.tell({ kind: 'mode', accepts: true })
  const startMs = performance.now()
  while ((await sink.count()).records < written) await sleep(50)
  const seconds = (performance.now() - startMs) / 1_000
  console.log(
    `drained in ${seconds.toFixed(1)} s, ${Math.round(written / seconds).toLocaleString('en')} ` +
      `records/s, peak RssAnon ${mebibytes(memory.stop())} MiB`,
  )
  await second.stop()
  await sink.stop()
  await rm(dataDir, { recursive: true, force: true })
}

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

if (options.help) console.log(usage)
else if (options.soak !== undefined) await soak(Number(options.soak))
else if (options.backlog !== undefined) await backlog(Number(options.backlog))
else await printTable()
