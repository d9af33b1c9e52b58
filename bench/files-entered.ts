/**
 * Which files one QoS 1 message with one rule enters, from the socket to the answer of PutRecords:
 * V8's precise coverage is taken around a single message in the lab, whose local Kinesis runs in a
 * thread of its own and is not counted. `npm run bench:files [-- --list]`.
 */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { startApp } from '../src/app/app.ts'
import { systemClock } from '../src/base/clock.ts'
import { loadConfig } from '../src/config/config.ts'
import { createMemoryLogger } from '../src/telemetry/logger.ts'

const filesMax = 75

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
await session.post('Profiler.takePreciseCoverage')
await publishOne()
const { result } = await session.post('Profiler.takePreciseCoverage')
session.disconnect()
await client.endAsync()
await app.stop()
await rm(folder, { recursive: true })

const source = fileURLToPath(new URL('../src/', import.meta.url))
const entered = result
  .filter(({ url }) => url.startsWith('file:') && fileURLToPath(url).startsWith(source))
  .map(({ url, functions }) => ({
    file: path.relative(source, fileURLToPath(url)),
    functions: functions
      .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
      .map(({ functionName }) => functionName || '(anonymous)'),
  }))
  .filter(({ functions }) => functions.length > 0)
  .toSorted((one, other) => one.file.localeCompare(other.file))

if (process.argv.includes('--list')) {
  for (const { file, functions } of entered) console.log(`${file}: ${functions.join(', ')}`)
}
const functionCount = entered.reduce((sum, { functions }) => sum + functions.length, 0)
console.log(`${entered.length} files (limit ${filesMax}), ${functionCount} functions`)
process.exitCode = entered.length <= filesMax ? 0 : 1
