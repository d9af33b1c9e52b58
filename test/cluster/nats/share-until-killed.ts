import { consume } from '../../../src/consumers/consume.ts'
import { openNatsLeases } from '../../../src/consumers/leases/nats-leases.ts'

/**
 * Shares the stream `s` until it is killed, and stops after SIGTERM. Prints `<shard id> <text>` for
 * each record that it has handled: `<port of the lab> <servers of NATS> <cluster>`.
 */
const [port = '', servers = '', cluster = ''] = process.argv.slice(2)
const consumer = await consume({
  region: 'us-east-1',
  endpoint: `http://127.0.0.1:${port}`,
  credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
  stream: 's',
  checkpoints: openNatsLeases({ servers, cluster, failoverMs: 3_000, checkpointIntervalMs: 200 }),
  batchRecordsMax: 20,
  pollIntervalMs: 210,
  handler: ({ shardId, records }) => {
    process.stdout.write(records.map(({ data }) => `${shardId} ${data.toString()}\n`).join(''))
  },
})
process.once('SIGTERM', () => void consumer.stop())
await consumer.done
