import { createEventSourceMappings } from '../../src/event-source/event-source-mappings.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'

/** Prints the output of its function until it is killed: `<port> <data folder> <functions>`. */
const [port = '', dataDir = '', functionsDir = ''] = process.argv.slice(2)
const logger = createMemoryLogger(({ function: name, msg }) => {
  if (name !== undefined) process.stdout.write(`${String(msg)}\n`)
})
const mappings = await createEventSourceMappings(
  { clock: systemClock, logger, metrics: createMetrics() },
  {
    dataDir,
    functionsDir,
    region: 'us-east-1',
    accountId: '000000000000',
    kinesis: {
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
    },
    invokesAws: false,
  },
)
if (mappings.list({}).EventSourceMappings.length === 0) {
  await mappings.create({
    FunctionName: 'f',
    EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
    StartingPosition: 'TRIM_HORIZON',
    BatchSize: 20,
    ParallelizationFactor: 2,
  })
}
mappings.start()
