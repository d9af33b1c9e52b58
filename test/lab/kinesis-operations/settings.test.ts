import { describe, expect, test } from 'vitest'
import type { LabServer } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { base64, noDelays, rawCall, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const ShardId = 'shardId-000000000000'

interface Bench {
  readonly lab: LabServer
  readonly call: (operation: string, input?: object) => ReturnType<typeof rawCall>
  readonly summary: () => Promise<unknown>
  /** The EncryptionType of each record. */
  readonly encryptions: () => Promise<unknown[]>
}

async function createBench(): Promise<Bench> {
  const lab = await startLab({ clock: createManualClock(), statusMs: noDelays })
  lab.ensureStream(StreamName, 1)
  const call: Bench['call'] = (operation, input = {}) =>
    rawCall(lab, operation, { StreamName, ...input })
  return {
    lab,
    call,
    summary: async () => (await call('DescribeStreamSummary')).output['StreamDescriptionSummary'],
    async encryptions() {
      const start = { ShardId, ShardIteratorType: 'TRIM_HORIZON' }
      const { output } = await call('GetShardIterator', start)
      const read = await call('GetRecords', { ShardIterator: output['ShardIterator'] })
      const records = read.output['Records'] as { EncryptionType: string }[]
      return records.map((record) => record.EncryptionType)
    },
  }
}

const record = { PartitionKey: 'k', Data: base64('x') }
const kms = { EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' }

describe('encryption', () => {
  test('is reported with the stream, and with each record as it was written', async () => {
    const { call, summary, encryptions } = await createBench()
    await call('PutRecord', record)
    expect(await call('StartStreamEncryption', kms)).toMatchObject({ status: 200 })
    expect(await summary()).toMatchObject(kms)
    expect((await call('PutRecord', record)).output).toMatchObject({ EncryptionType: 'KMS' })
    await call('StopStreamEncryption', kms)
    expect(await summary()).toMatchObject({ EncryptionType: 'NONE' })
    expect(await summary()).not.toHaveProperty('KeyId')
    const { output } = await call('PutRecords', { Records: [record] })
    expect(output).not.toHaveProperty('EncryptionType')
    expect(await encryptions()).toEqual([undefined, 'KMS', undefined])
  })

  test('goes on in the shards that come of a split', async () => {
    const { lab, call } = await createBench()
    await call('StartStreamEncryption', kms)
    await call('SplitShard', { ShardToSplit: ShardId, NewStartingHashKey: '9' })
    await call('PutRecord', { ...record, ExplicitHashKey: '0' })
    const start = { ShardId: 'shardId-000000000001', ShardIteratorType: 'TRIM_HORIZON' }
    const { output } = await call('GetShardIterator', start)
    const read = await rawCall(lab, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect(read.output).toMatchObject({ Records: [{ EncryptionType: 'KMS' }] })
  })
})

test.each([
  [
    'encryption of type NONE',
    'StartStreamEncryption',
    { ...kms, EncryptionType: 'NONE' },
    'InvalidArgumentException',
  ],
  [
    'encryption without a key',
    'StartStreamEncryption',
    { EncryptionType: 'KMS' },
    'ValidationException',
  ],
  [
    'a record size under 1 MiB',
    'UpdateMaxRecordSize',
    { StreamARN, MaxRecordSizeInKiB: 1023 },
    'ValidationException',
  ],
  [
    'a record size over 10 MiB',
    'UpdateMaxRecordSize',
    { StreamARN, MaxRecordSizeInKiB: 10_241 },
    'ValidationException',
  ],
  [
    'warm throughput',
    'UpdateStreamMode',
    { StreamARN, StreamModeDetails: { StreamMode: 'ON_DEMAND' }, WarmThroughputMiBps: 1 },
    'ValidationException',
  ],
  [
    'a metric that there is not',
    'EnableEnhancedMonitoring',
    { ShardLevelMetrics: ['x'] },
    'ValidationException',
  ],
  ['no metrics', 'EnableEnhancedMonitoring', { ShardLevelMetrics: [] }, 'ValidationException'],
  [
    'tags of a stream that is not there',
    'TagResource',
    { ResourceARN: `${StreamARN}x`, Tags: { a: 'b' } },
    'ResourceNotFoundException',
  ],
  [
    'tags of another account',
    'TagResource',
    { ResourceARN: StreamARN.replace('000000000000', '111111111111'), Tags: { a: 'b' } },
    'ResourceNotFoundException',
  ],
  [
    'tags that begin with aws:',
    'TagResource',
    { ResourceARN: StreamARN, Tags: { 'aws:x': 'b' } },
    'InvalidArgumentException',
  ],
  [
    'tags of a consumer that is not there',
    'ListTagsForResource',
    { ResourceARN: `${StreamARN}/consumer/c:1` },
    'ResourceNotFoundException',
  ],
])('%s is refused', async (_what, operation, input, code) => {
  const { call } = await createBench()
  expect(await call(operation, input)).toMatchObject({ status: 400, type: code })
})

test('a record may be as large as the stream is set to, key included', async () => {
  const { call } = await createBench()
  const put = (size: number) =>
    call('PutRecord', { PartitionKey: 'k', Data: Buffer.alloc(size - 1).toString('base64') })
  const mebibyte = 1024 * 1024
  expect((await put(mebibyte + 1)).type).toBe('InvalidArgumentException')
  await call('UpdateMaxRecordSize', { StreamARN, MaxRecordSizeInKiB: 2048 })
  expect((await put(2 * mebibyte)).status).toBe(200)
  expect((await put(2 * mebibyte + 1)).type).toBe('InvalidArgumentException')
})

test('a stream in ON_DEMAND mode has shards that are not its own business', async () => {
  const { call, summary } = await createBench()
  const mode = (StreamMode: string) =>
    call('UpdateStreamMode', { StreamARN, StreamModeDetails: { StreamMode } })
  await mode('ON_DEMAND')
  expect(await summary()).toMatchObject({ StreamModeDetails: { StreamMode: 'ON_DEMAND' } })
  const scale = { TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' }
  expect((await call('UpdateShardCount', scale)).type).toBe('ValidationException')
  await mode('PROVISIONED')
  expect((await call('UpdateShardCount', scale)).status).toBe(200)
})

test('metrics of shards are switched on and off', async () => {
  const { call, summary } = await createBench()
  const on = await call('EnableEnhancedMonitoring', { ShardLevelMetrics: ['ALL'] })
  expect(on.output['DesiredShardLevelMetrics']).toHaveLength(7)
  const off = await call('DisableEnhancedMonitoring', {
    ShardLevelMetrics: ['IncomingBytes', 'OutgoingBytes'],
  })
  expect(off.output['DesiredShardLevelMetrics']).toHaveLength(5)
  expect(await summary()).toMatchObject({
    EnhancedMonitoring: [{ ShardLevelMetrics: off.output['DesiredShardLevelMetrics'] }],
  })
})

test('tags of a stream and of a consumer are set, listed and removed by their ARN', async () => {
  const { lab, call } = await createBench()
  const register = { StreamARN, ConsumerName: 'c', Tags: { a: '1' } }
  const { output } = await rawCall(lab, 'RegisterStreamConsumer', register)
  const consumerArn = (output['Consumer'] as { ConsumerARN: string }).ConsumerARN
  for (const ResourceARN of [StreamARN, consumerArn]) {
    await rawCall(lab, 'TagResource', { ResourceARN, Tags: { b: '2', c: '3' } })
    await rawCall(lab, 'UntagResource', { ResourceARN, TagKeys: ['c', 'none'] })
  }
  const of = async (ResourceARN: string) =>
    (await rawCall(lab, 'ListTagsForResource', { ResourceARN })).output['Tags']
  expect(await of(StreamARN)).toEqual([{ Key: 'b', Value: '2' }])
  expect(await of(consumerArn)).toEqual([
    { Key: 'a', Value: '1' },
    { Key: 'b', Value: '2' },
  ])
  expect((await call('ListTagsForStream')).output['Tags']).toEqual([{ Key: 'b', Value: '2' }])
})
