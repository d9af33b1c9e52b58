import { consume } from '../../src/consumers/consume.ts'
import { openLmdbCheckpoints } from '../../src/consumers/lmdb-checkpoints.ts'

/** Prints what it handled, a line each, until it is killed: `<port> <folder of checkpoints>`. */
const [port = '', folder = ''] = process.argv.slice(2)
const consumer = await consume({
  region: 'us-east-1',
  endpoint: `http://127.0.0.1:${port}`,
  credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
  stream: 's',
  checkpoints: await openLmdbCheckpoints(folder),
  batchRecordsMax: 20,
  pollIntervalMs: 210,
  handler: ({ records }) => {
    process.stdout.write(records.map(({ data }) => `${data.toString()}\n`).join(''))
  },
})
await consumer.done
