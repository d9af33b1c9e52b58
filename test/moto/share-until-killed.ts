import { consume } from '../../src/consumers/consume.ts'
import { openDynamoDbLeases } from '../../src/consumers/leases/dynamodb-leases.ts'

/**
 * Shares the stream `s` until it is killed, and stops after SIGTERM. Prints `<shard id> <text>` for
 * each record that it has handled: `<port of the lab> <endpoint of DynamoDB> <table>`.
 */
const [port = '', endpoint = '', tableName = ''] = process.argv.slice(2)
const credentials = { accessKeyId: 'lab', secretAccessKey: 'lab' }
const region = 'us-east-1'
const consumer = await consume({
  region,
  endpoint: `http://127.0.0.1:${port}`,
  credentials,
  stream: 's',
  checkpoints: openDynamoDbLeases({
    region,
    endpoint,
    credentials,
    tableName,
    failoverMs: 2_000,
    checkpointIntervalMs: 200,
  }),
  batchRecordsMax: 20,
  pollIntervalMs: 210,
  handler: ({ shardId, records }) => {
    process.stdout.write(records.map(({ data }) => `${shardId} ${data.toString()}\n`).join(''))
  },
})
process.once('SIGTERM', () => void consumer.stop())
await consumer.done
