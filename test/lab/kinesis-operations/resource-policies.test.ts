import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { accountId, noDelays, rawCall, region, startLab } from '../lab-fixtures.ts'

const streamArn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const Policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}'

async function startWithConsumer() {
  const lab = await startLab({ statusMs: noDelays })
  lab.ensureStream('s', 1)
  const register = { StreamARN: streamArn, ConsumerName: 'c' }
  const { output } = await rawCall(lab, 'RegisterStreamConsumer', register)
  const { ConsumerARN } = output['Consumer'] as { ConsumerARN: string }
  return { lab, arns: { stream: streamArn, consumer: ConsumerARN } }
}

describe.each(['stream', 'consumer'] as const)('the resource policy of a %s', (kind) => {
  test('is empty at first, then what was put, and is deleted once', async () => {
    const { lab, arns } = await startWithConsumer()
    const ResourceARN = arns[kind]
    const get = async () => (await rawCall(lab, 'GetResourcePolicy', { ResourceARN })).output
    expect(await get()).toEqual({ Policy: '{}' })
    expect(await rawCall(lab, 'PutResourcePolicy', { ResourceARN, Policy })).toMatchObject({
      status: 200,
    })
    expect(await get()).toEqual({ Policy })
    const remove = () => rawCall(lab, 'DeleteResourcePolicy', { ResourceARN })
    expect(await remove()).toMatchObject({ status: 200 })
    expect(await get()).toEqual({ Policy: '{}' })
    expect(await remove()).toMatchObject({ type: 'ResourceNotFoundException' })
  })
})

test.each([
  ['is no JSON', 'no'],
  ['is no object', '[]'],
  ['has no statement', '{}'],
  ['has an empty list of statements', '{"Statement": []}'],
  ['is too long', JSON.stringify({ Statement: { Sid: 'x'.repeat(20 * 1024) } })],
])('a policy that %s is refused', async (_, text) => {
  const { lab } = await startWithConsumer()
  const input = { ResourceARN: streamArn, Policy: text }
  expect(await rawCall(lab, 'PutResourcePolicy', input)).toMatchObject({
    type: 'InvalidArgumentException',
  })
})

test('the policy of a missing stream is not found', async () => {
  const { lab } = await startWithConsumer()
  const input = { ResourceARN: `${streamArn}x` }
  expect(await rawCall(lab, 'GetResourcePolicy', input)).toMatchObject({
    type: 'ResourceNotFoundException',
  })
})

test('policies, distribution and warm throughput survive a restart', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'sluice-lab-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const options = { host: '127.0.0.1', port: 0, region, accountId, dataDir, statusMs: noDelays }
  const first = await createLabServer(options)
  const Status = 'ENABLED'
  await rawCall(first, 'UpdateAccountSettings', { MinimumThroughputBillingCommitment: { Status } })
  await rawCall(first, 'CreateStream', {
    StreamName: 's',
    WarmThroughputMiBps: 5,
    RecordDistributionStrategy: 'AUTO',
  })
  await rawCall(first, 'PutResourcePolicy', { ResourceARN: streamArn, Policy })
  await rawCall(first, 'PutRecord', { StreamName: 's', Data: '' })
  await first.close()
  const lab = await startLab(options)
  await rawCall(lab, 'UpdateAccountSettings', { MinimumThroughputBillingCommitment: { Status } })
  expect((await rawCall(lab, 'GetResourcePolicy', { ResourceARN: streamArn })).output).toEqual({
    Policy,
  })
  const { output } = await rawCall(lab, 'DescribeStreamSummary', { StreamName: 's' })
  expect(output['StreamDescriptionSummary']).toMatchObject({
    OpenShardCount: 5,
    RecordDistributionStrategy: 'AUTO',
    WarmThroughput: { TargetMiBps: 5, CurrentMiBps: 5 },
  })
  expect(lab.streams.records('s')).toMatchObject([{ partitionKey: '' }])
})
