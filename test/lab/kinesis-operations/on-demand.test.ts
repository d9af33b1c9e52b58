import { describe, expect, test } from 'vitest'
import type { LabServerOptions } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { noDelays, rawCall, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const onDemand = { StreamModeDetails: { StreamMode: 'ON_DEMAND' } }
const provisioned = { StreamModeDetails: { StreamMode: 'PROVISIONED' } }
const auto = { RecordDistributionStrategy: 'AUTO' }
const byKey = { RecordDistributionStrategy: 'USER_PARTITION_KEY' }
const dayMs = 24 * 3_600_000

async function startBench(options: Partial<LabServerOptions> = {}) {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: noDelays, ...options })
  const call = (operation: string, input: object = {}) => rawCall(lab, operation, input)
  const summary = async () => {
    const { output } = await call('DescribeStreamSummary', { StreamName })
    return output['StreamDescriptionSummary'] as Readonly<Record<string, unknown>>
  }
  const commit = (Status = 'ENABLED') =>
    call('UpdateAccountSettings', { MinimumThroughputBillingCommitment: { Status } })
  return { lab, clock, call, summary, commit }
}

describe('a stream without a mode', () => {
  test.each([
    ['is on demand without a number of shards', {}, 'ON_DEMAND', 4],
    ['is provisioned with a number of shards', { ShardCount: 2 }, 'PROVISIONED', 2],
  ])('%s', async (_, input, mode, shards) => {
    const { call, summary } = await startBench()
    expect(await call('CreateStream', { StreamName, ...input })).toMatchObject({ status: 200 })
    expect(await summary()).toMatchObject({
      StreamModeDetails: { StreamMode: mode },
      OpenShardCount: shards,
    })
  })
})

const warm = (TargetMiBps: number) => ({ TargetMiBps, CurrentMiBps: TargetMiBps })
const put = (PartitionKey?: string) => ({ StreamName, Data: '', PartitionKey })

describe('warm throughput', () => {
  const WarmThroughputMiBps = 6

  test('scales a stream: at its creation, by a change, and with the mode', async () => {
    const { call, summary, commit } = await startBench()
    await commit()
    await call('CreateStream', { StreamName, WarmThroughputMiBps })
    expect(await summary()).toMatchObject({ OpenShardCount: 6, WarmThroughput: warm(6) })
    const changed = await call('UpdateStreamWarmThroughput', { StreamARN, WarmThroughputMiBps: 9 })
    expect(changed.output).toEqual({
      StreamName,
      StreamARN,
      WarmThroughput: { TargetMiBps: 9, CurrentMiBps: 6 },
    })
    expect(await summary()).toMatchObject({ OpenShardCount: 9, WarmThroughput: warm(9) })
    await call('UpdateStreamMode', { StreamARN, ...provisioned })
    expect(await summary()).not.toHaveProperty('WarmThroughput')
    await call('UpdateStreamMode', { StreamARN, ...onDemand, WarmThroughputMiBps: 5 })
    expect(await summary()).toMatchObject({ OpenShardCount: 5, WarmThroughput: warm(5) })
    await call('UpdateStreamWarmThroughput', { StreamName, WarmThroughputMiBps: 0 })
    expect(await summary()).toMatchObject({ OpenShardCount: 4 })
  })

  test('is refused without the commitment of the account', async () => {
    const { call, summary } = await startBench()
    const refusal = { type: 'ValidationException', status: 400 }
    const create = { StreamName, WarmThroughputMiBps }
    expect(await call('CreateStream', create)).toMatchObject(refusal)
    await call('CreateStream', { StreamName })
    const change = { StreamName, WarmThroughputMiBps }
    expect(await call('UpdateStreamWarmThroughput', change)).toMatchObject(refusal)
    const mode = { StreamARN, ...onDemand, WarmThroughputMiBps }
    expect(await call('UpdateStreamMode', mode)).toMatchObject(refusal)
    expect(await summary()).not.toHaveProperty('WarmThroughput')
  })

  test.each<[string, string, object, string]>([
    [
      'a provisioned stream',
      'CreateStream',
      { StreamName: 'new', ShardCount: 1, WarmThroughputMiBps },
      'InvalidArgumentException',
    ],
    [
      'a change to provisioned',
      'UpdateStreamMode',
      { StreamARN, ...provisioned, WarmThroughputMiBps },
      'InvalidArgumentException',
    ],
    [
      'more than 10 GiB a second',
      'UpdateStreamWarmThroughput',
      { StreamName, WarmThroughputMiBps: 10_241 },
      'LimitExceededException',
    ],
    [
      'less than nothing',
      'UpdateStreamWarmThroughput',
      { StreamName, WarmThroughputMiBps: -1 },
      'ValidationException',
    ],
  ])('is refused for %s', async (_, operation, input, type) => {
    const { call, commit } = await startBench()
    await commit()
    await call('CreateStream', { StreamName })
    expect(await call(operation, input)).toMatchObject({ type })
  })
})

describe('the commitment of the account', () => {
  test('begins, lasts a day at least, and ends', async () => {
    const { call, clock, commit } = await startBench()
    const describeAccount = async () => {
      const { output } = await call('DescribeAccountSettings')
      return output['MinimumThroughputBillingCommitment']
    }
    expect(await describeAccount()).toEqual({ Status: 'DISABLED' })
    const StartedAt = clock.wallMs() / 1000
    const EarliestAllowedEndAt = StartedAt + dayMs / 1000
    const enabled = { Status: 'ENABLED', StartedAt, EarliestAllowedEndAt }
    expect((await commit()).output).toEqual({ MinimumThroughputBillingCommitment: enabled })
    clock.advance(1000)
    await commit('DISABLED')
    expect(await describeAccount()).toEqual({
      ...enabled,
      Status: 'ENABLED_UNTIL_EARLIEST_ALLOWED_END',
    })
    expect((await commit()).output).toEqual({ MinimumThroughputBillingCommitment: enabled })
    await commit('DISABLED')
    clock.advance(dayMs)
    expect(await describeAccount()).toEqual({
      Status: 'DISABLED',
      StartedAt,
      EndedAt: EarliestAllowedEndAt,
    })
  })

  test('ends at once when it has lasted a day', async () => {
    const { clock, commit } = await startBench()
    await commit()
    clock.advance(dayMs)
    expect((await commit('DISABLED')).output).toMatchObject({
      MinimumThroughputBillingCommitment: { Status: 'DISABLED' },
    })
  })
})

describe('the distribution of records', () => {
  test('is even over the shards, whatever the keys are, and a key is not needed', async () => {
    const { call, lab, summary } = await startBench()
    await call('CreateStream', { StreamName, ...auto })
    expect(await summary()).toMatchObject(auto)
    const ids = []
    for (const key of ['a', 'a', 'a', undefined]) {
      const { output } = await call('PutRecord', { ...put(key), ExplicitHashKey: '0' })
      ids.push(output['ShardId'])
    }
    expect(new Set(ids).size).toBe(4)
    const Records = Array.from({ length: 8 }, () => ({ Data: '' }))
    expect((await call('PutRecords', { StreamName, Records })).output).toMatchObject({
      FailedRecordCount: 0,
    })
    const stored = lab.streams.records(StreamName).map(({ shardId }) => shardId)
    for (const id of ids) expect(stored.filter((other) => other === id)).toHaveLength(3)
  })

  test('gives a key to readers where the producer gave one', async () => {
    const { call } = await startBench()
    await call('CreateStream', { StreamName, ...auto })
    for (const key of ['a', undefined]) await call('PutRecord', put(key))
    const read = async (ShardId: string) => {
      const start = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
      const { output } = await call('GetShardIterator', start)
      const { ShardIterator } = output
      return (await call('GetRecords', { ShardIterator })).output['Records'] as object[]
    }
    expect(await read('shardId-0')).toMatchObject([{ PartitionKey: 'a' }])
    const [second] = await read('shardId-1')
    expect(second).not.toHaveProperty('PartitionKey')
  })

  test('changes at once, and ends with the mode', async () => {
    const { call, summary } = await startBench({ statusMs: { ...noDelays, updatingMs: 60_000 } })
    await call('CreateStream', { StreamName })
    expect(await summary()).toMatchObject(byKey)
    const change = 'UpdateStreamRecordDistributionStrategy'
    expect(await call(change, { StreamARN, ...auto })).toMatchObject({ status: 200 })
    expect(await summary()).toMatchObject({ ...auto, StreamStatus: 'ACTIVE' })
    expect(await call('PutRecord', put())).toMatchObject({ status: 200 })
    await call(change, { StreamARN, ...byKey })
    expect(await call('PutRecord', put())).toMatchObject({ type: 'ValidationException' })
  })

  test('is not for a provisioned stream', async () => {
    const { call, summary } = await startBench()
    const refusal = { type: 'InvalidArgumentException' }
    expect(await call('CreateStream', { StreamName, ShardCount: 1, ...auto })).toMatchObject(
      refusal,
    )
    await call('CreateStream', { StreamName, ...auto })
    await call('UpdateStreamMode', { StreamARN, ...provisioned })
    expect(await summary()).not.toHaveProperty('RecordDistributionStrategy')
    const change = { StreamARN, ...auto }
    expect(await call('UpdateStreamRecordDistributionStrategy', change)).toMatchObject(refusal)
    await call('UpdateStreamMode', { StreamARN, ...onDemand })
    expect(await summary()).toMatchObject(byKey)
  })
})
