/**
 * Which files one QoS 1 message with one rule enters, from the socket to the answer of PutRecords:
 * V8's precise coverage is taken around a single message in the lab, whose local Kinesis runs in a
 * thread of its own and is not counted. Timers of the process fall between as well, the more the
 * slower the machine: what counts is what all of a few messages enter.
 * `npm run bench:files [-- --list]`.
 */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { startApp } from '../src/app/app.ts'
import { systemClock } from '../src/base/clock.ts'
import { loadConfig } from '../src/config/config.ts'
import { createMemoryLogger } from '../src/telemetry/logger.ts'

const filesMax = 85
const messages = 5

const rule = {
  sql: "SELECT temp FROM 'dt/+/telemetry' WHERE temp > 50",
  actions: [
    {
      kinesis: {
        roleArn: 'arn:aws:iam::000000000000:role/sluice',
        streamName: 'measured',
        partitionKey: '${topic(2)}',
      },
    },
  ],
}

const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-files-'))
const rulesDir = path.join(folder, 'rules')
await mkdir(rulesDir)
await writeFile(path.join(rulesDir, 'measured.json'), JSON.stringify(rule))
const config = loadConfig(
  {
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: rulesDir,
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
    // Its reader would come and go meanwhile.
    SLUICE_SAMPLE_MAPPING: 'off',
  },
  'lab',
)
const logger = createMemoryLogger(() => undefined)
const app = await startApp({ config, logger, clock: systemClock })
const client = await connectAsync(`mqtt://127.0.0.1:${app.ports.mqtt}`)

async function publishOne(): Promise<void> {
  await client.publishAsync('dt/7/telemetry', '{"temp": 61.5}', { qos: 1 })
  await app.delivered()
}

// The first message meets what is done once: shards and limits are asked for, credentials made.
await publishOne()

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
const source = fileURLToPath(new URL('../src/', import.meta.url))
const runs: ReadonlyMap<string, readonly string[]>[] = []
for (let message = 0; message < messages; message++) {
  await session.post('Profiler.takePreciseCoverage')
  await publishOne()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  runs.push(enteredIn(result))
}
session.disconnect()
await client.endAsync()
await app.stop()
await rm(folder, { recursive: true })

const [first = new Map<string, readonly string[]>(), ...others] = runs
const entered = Array.from(first, ([file, functions]) => ({ file, functions }))
  .filter(({ file }) => others.every((run) => run.has(file)))
  .toSorted((one, other) => one.file.localeCompare(other.file))

if (process.argv.includes('--list')) {
  for (const { file, functions } of entered) console.log(`${file}: ${functions.join(', ')}`)
}
const functionCount = entered.reduce((sum, { functions }) => sum + functions.length, 0)
console.log(`${entered.length} files (limit ${filesMax}), ${functionCount} functions`)
process.exitCode = entered.length <= filesMax ? 0 : 1

/** The functions that were called, by file. */
function enteredIn(result: readonly Profiler.ScriptCoverage[]): Map<string, readonly string[]> {
  const files = result
    .filter(({ url }) => url.startsWith('file:') && fileURLToPath(url).startsWith(source))
    .map(({ url, functions }) => {
      const called = functions
        .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
        .map(({ functionName }) => functionName || '(anonymous)')
      return [path.relative(source, fileURLToPath(url)), called] as const
    })
  return new Map(files.filter(([, called]) => called.length > 0))
}
