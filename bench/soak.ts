import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { readAnonymousBytes, startEngine, startSink } from './processes.ts'

/**
 * `npm run test:soak`: whether the memory of the engine grows over hours. Devices publish 2,000
 * messages a second and reconnect all the time, some with a session that is kept, some without
 * saying goodbye. The slope of RssAnon after the warm-up must stay under 1 MiB an hour.
 */
const usage = `npm run test:soak -- [options]

  --minutes <n>  how long (default 120); a run of less than 30 minutes is printed, not judged
`

const connections = 40
const messagesPerSecond = 2_000
const slopeMaxMib = 1
/** Shorter runs say nothing: the heap of V8 moves by more than the slope that is looked for. */
const judgedFromMinutes = 30
const mebibyte = 1_024 * 1_024

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '120' },
    help: { type: 'boolean', default: false },
  },
})

/** The least memory within one minute, which is the memory after a collection. */
interface Sample {
  readonly hours: number
  readonly mebibytes: number
}

/** A device that publishes at a steady rate, and reconnects every 20 to 60 seconds. */
function startDevice(port: number, index: number) {
  let client: MqttClient | undefined
  let acknowledged = 0
  let reconnects = 0
  const stopping = new AbortController()
  const payload = JSON.stringify({ temp: 21 + index, device: index, fill: 'x'.repeat(150) })

  async function connect(): Promise<void> {
    client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: `soak-${index}`,
      clean: index % 2 === 0,
      reconnectPeriod: 0,
    })
    client.on('error', () => undefined)
    if (index % 4 === 1) await client.subscribeAsync(`answers/${index}`, { qos: 1 })
  }

  async function reconnect(): Promise<void> {
    const former = client
    client = undefined
    // Every other connection ends without DISCONNECT.
    await former?.endAsync(reconnects % 2 === 0)
    reconnects += 1
    await connect()
  }

  async function live(): Promise<void> {
    await connect()
    while (!stopping.signal.aborted) {
      await sleep(20_000 + Math.random() * 40_000)
      if (!stopping.signal.aborted) await reconnect()
    }
  }

  const living = live()
  const timer = setInterval(
    () => {
      client?.publishAsync(`bench/${index}`, payload, { qos: 1 }).then(
        () => (acknowledged += 1),
        // The connection was ended before its PUBACK came.
        () => undefined,
      )
    },
    (1_000 * connections) / messagesPerSecond,
  )
  return {
    acknowledged: () => acknowledged,
    reconnects: () => reconnects,
    failed: () => living,
    async stop() {
      stopping.abort()
      clearInterval(timer)
      await client?.endAsync()
    },
  }
}

async function run(minutes: number): Promise<boolean> {
  const sink = await startSink()
  const engine = await startEngine({ sinkPort: sink.port, unansweredMax: 64, otherRules: 0 })
  const devices = Array.from({ length: connections }, (_, index) => startDevice(engine.port, index))
  const samples: Sample[] = []
  // A device that cannot connect ends the run with its error.
  const ended = Promise.race(devices.map((device) => device.failed()))
  await Promise.race([ended, watch(minutes, engine.pid, samples, devices)])
  await Promise.all(devices.map((device) => device.stop()))
  await engine.stop()
  await sink.stop()
  const settled = samples.slice(Math.ceil(samples.length / 6))
  const slope = slopeOf(settled)
  const isJudged = minutes >= judgedFromMinutes
  console.log(
    `\nRssAnon grew by ${slope.toFixed(2)} MiB an hour after the warm-up ` +
      (isJudged ? `(limit ${slopeMaxMib})` : `(not judged under ${judgedFromMinutes} minutes)`),
  )
  return !isJudged || slope < slopeMaxMib
}

async function watch(
  minutes: number,
  pid: number,
  samples: Sample[],
  devices: readonly ReturnType<typeof startDevice>[],
): Promise<void> {
  for (let minute = 1; minute <= minutes; minute++) {
    let least = Infinity
    for (let second = 0; second < 60; second++) {
      await sleep(1_000)
      least = Math.min(least, await readAnonymousBytes(pid))
    }
    const mebibytes = least / mebibyte
    samples.push({ hours: minute / 60, mebibytes })
    const acknowledged = devices.reduce((sum, device) => sum + device.acknowledged(), 0)
    const reconnects = devices.reduce((sum, device) => sum + device.reconnects(), 0)
    console.log(
      `minute ${minute} of ${minutes}: ${mebibytes.toFixed(1)} MiB, ` +
        `${acknowledged} messages acknowledged, ${reconnects} reconnects`,
    )
  }
}

/** The slope of the line with the least squares, in MiB an hour. */
function slopeOf(samples: readonly Sample[]): number {
  const meanX = meanOf(samples.map(({ hours }) => hours))
  const meanY = meanOf(samples.map(({ mebibytes }) => mebibytes))
  let above = 0
  let below = 0
  for (const { hours, mebibytes } of samples) {
    above += (hours - meanX) * (mebibytes - meanY)
    below += (hours - meanX) ** 2
  }
  return below === 0 ? 0 : above / below
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const minutes = Number(options.minutes)
if (options.help || !(minutes >= 1)) {
  console.log(usage)
  process.exit(options.help ? 0 : 2)
}
process.exit((await run(minutes)) ? 0 : 1)
