import * as fc from 'fast-check'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { kinesisOperations } from '../../../src/lab/kinesis-operations/kinesis-operations.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { rawCall, startLab } from '../lab-fixtures.ts'

const names = ['s', 'arn:aws:kinesis:us-east-1:000000000000:stream/s', 'shardId-000000000000', '']
const value = fc.oneof(
  fc.constantFrom(...names, 'LATEST', 'AT_TIMESTAMP', 'k', '0', 'AAAA', '__proto__'),
  fc.integer(),
  fc.double(),
  fc.constantFrom(1, 0, -1, 24, 1e300),
  fc.jsonValue({ maxDepth: 2 }),
)
const memberNames = [
  'StreamName',
  'StreamARN',
  'ShardId',
  'ShardIteratorType',
  'StartingSequenceNumber',
  'Timestamp',
  'ShardIterator',
  'Limit',
  'NextToken',
  'ShardFilter',
  'ShardCount',
  'StreamModeDetails',
  'RetentionPeriodHours',
  'Tags',
  'TagKeys',
  'Data',
  'PartitionKey',
  'ExplicitHashKey',
  'SequenceNumberForOrdering',
  'ConsumerARN',
  'ConsumerName',
  'StartingPosition',
  'ShardToSplit',
  'NewStartingHashKey',
  'TargetShardCount',
  'ScalingType',
  'ResourceARN',
  'EncryptionType',
  'KeyId',
  'ShardLevelMetrics',
  'MaxRecordSizeInKiB',
  'StreamId',
  'DryRun',
  'WarmThroughputMiBps',
  'RecordDistributionStrategy',
  'Policy',
  'MinimumThroughputBillingCommitment',
  '__proto__',
]
const members = fc.dictionary(fc.constantFrom(...memberNames), value, { maxKeys: 8 })
const input = fc
  .tuple(members, fc.option(fc.array(fc.oneof(members, value), { maxLength: 4 })), fc.boolean())
  .map(([given, records, isNamed]) => ({
    ...given,
    ...(records ? { Records: records } : {}),
    ...(isNamed ? { StreamName: 's' } : {}),
  }))

test('whatever is sent, the answer is success or an error of the API, never a fault', async () => {
  const failures: unknown[] = []
  const logger = createMemoryLogger((line) => failures.push(line))
  const lab = await startLab({ logger })
  const operations = [...kinesisOperations.keys()]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...operations), input, async (operation, given) => {
      lab.ensureStream('s', 1)
      const { status, type } = await rawCall(lab, operation, given)
      const isRefusal = status === 400 && type?.endsWith('Exception') === true
      expect(status === 200 || isRefusal, `${operation}: ${status} ${type}`).toBe(true)
    }),
    { numRuns: 500 },
  )
  expect(failures).toEqual([])
})

const idleMs = 75_000

test('whatever bytes come, the server lives', async () => {
  const clock = createManualClock()
  const lab = await startLab({ clock })
  const starts = ['', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'POST / HTTP/1.1\r\nhost: x\r\n']
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array(), async (start, bytes) => {
      const socket = connect(lab.port, '127.0.0.1')
      socket.on('error', () => undefined)
      // Node leaves a session open after some broken frames: it ends as an idle one.
      socket.on('data', () => clock.advance(idleMs))
      socket.end(Buffer.concat([Buffer.from(start), bytes]))
      await once(socket, 'close')
    }),
    {
      numRuns: 100,
      examples: [
        ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', Uint8Array.of(38, 252, 6, 4, 202, 71, 198, 2, 33)],
      ],
    },
  )
  expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({ status: 200 })
})
